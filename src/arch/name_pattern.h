#pragma once
// Patterns of tensor names: layer, expert and head numbers have marks. Private to this folder.

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace llm2mnn {

inline constexpr std::int64_t kAnyLayer = std::numeric_limits<std::int64_t>::max();
inline constexpr std::string_view kHeadMark = "{h}";

/// Whether `name` fits `pattern`: `*` is any text, `{i}` a layer number below `num_layers`, `{e}` any number,
/// `{n}` the number of one of `num_further` layers behind those.
bool matches_pattern(std::string_view pattern, std::string_view name, std::int64_t num_layers,
                     std::int64_t num_further = 0);

/// `pattern` with a number for `mark` ("{i}").
std::string with_number(std::string pattern, std::string_view mark, std::int64_t value);

inline bool is_per_head(std::string_view pattern) {
  return pattern.find(kHeadMark) != std::string_view::npos;
}

}  // namespace llm2mnn
