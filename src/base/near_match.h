#pragma once
// "Did you mean": names that differ from a wrong one by a few letters.

#include <string>
#include <string_view>
#include <vector>

namespace llm2mnn {

/// Number of inserted, deleted, replaced or swapped neighbouring bytes that turn `a` into `b`.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidates within a third of `name`'s length (at least two edits), nearest first, at most `limit`.
std::vector<std::string> near_matches(std::string_view name, const std::vector<std::string>& candidates,
                                      std::size_t limit = 3);

/// "; did you mean 'a' or 'b'?", or nothing when no candidate is near.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates);

/// "'a', 'b', 'c' and 7 more": the first `limit` names, shown.
std::string list_names(const std::vector<std::string>& names, std::size_t limit = 3);

}  // namespace llm2mnn
