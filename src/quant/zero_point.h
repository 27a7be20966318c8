#pragma once
// Weights to codes with an integer zero point per group, as ONNX's quantised operators want them.

#include <cstdint>
#include <span>

#include "quant/rounding.h"

namespace llm2mnn {

/// w = (code - zero_point) * scale per group of `block` weights along a row, all codes in [0, 2^bits - 1].
struct ZeroPointScheme {
  int bits = 4;             ///< 4 or 8
  std::int64_t block = 32;  ///< divides the row
};

/// Rounds each group to nearest: over the range of the group and zero, scale = (max - min) / (2^bits - 1) in
/// float32, zero_point = round(-min / scale), code = clamp(round(w / scale) + zero_point). So zero is exact.
/// A group of zeros has scale 1 and zero point 0.
/// @param codes  rows * cols, one code a byte.
/// @param scales,zero_points  rows * cols / block.
/// @throws Error(kFormat) "row R: NaN|Inf in column C ..." (R counted from `first_row`).
void quantize_rows_zero_point(const WeightRows& w, const ZeroPointScheme& scheme, std::int64_t first_row,
                              std::span<std::uint8_t> codes, std::span<float> scales,
                              std::span<std::uint8_t> zero_points);

}  // namespace llm2mnn
