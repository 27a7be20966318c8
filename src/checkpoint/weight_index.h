#pragma once
// `*.index.json`: which shard holds which tensor.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"

namespace llm2mnn {

struct WeightIndex {
  std::vector<std::string> shards;  ///< plain file names, sorted, unique
  /// (tensor, index into `shards`), sorted by tensor, unique.
  std::vector<std::pair<std::string, std::uint32_t>> tensors;
};

/// Parses the text of an index: an object whose `weight_map` maps tensor names to names of files in the same
/// directory. Other keys (`metadata`) are not looked at.
/// @throws Error(kFormat), without the file's name, for anything else: a repeated tensor, an empty map, a
/// shard name that is empty or holds '/', '\', '..' or NUL.
WeightIndex parse_weight_index(const JsonBuffer& text);

}  // namespace llm2mnn
