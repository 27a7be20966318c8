#pragma once
// The score of a piece as `tokenizers` reads it.

#include <optional>
#include <string_view>

namespace llm2mnn {

/// The double that `tokenizers` makes of a JSON number: not always the nearest one. Its parser multiplies or
/// divides the digits that fit 64 bits by one power of ten, so that about one score in seven is a neighbour
/// of the nearest double. Two segmentations of equal score can only be told apart as it does with its very
/// numbers.
/// @param number a checked JSON number
/// @return empty when it is beyond the largest double (`tokenizers` refuses such a file)
std::optional<double> parse_score(std::string_view number);

}  // namespace llm2mnn
