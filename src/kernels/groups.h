#pragma once
// Groups of consecutive values on a uniform grid: range, grid, codes. value = code * scale + offset with
// signed codes in [-2^(bits-1), 2^(bits-1) - 1]; the kernels handle the unsigned code + 2^(bits-1).

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace llm2mnn {

/// Smallest and largest value of each of `num_groups` consecutive groups of `group_len` >= 1 values. Zeros of
/// either sign come out as +0.
/// @return false when some value is NaN or Inf; min and max are then of no use.
[[nodiscard]] bool group_min_max(const std::byte* src, DType dtype, std::size_t group_len,
                                 std::size_t num_groups, float* min, float* max);

/// How a grid follows from a range.
struct GridRule {
  int bits = 4;            ///< 2-8
  bool symmetric = false;  ///< offset 0, nothing stored for it
  bool f16 = true;         ///< stored as FP16, else FP32
};

/// Bytes that `group_grids` stores for a group.
std::size_t grid_bytes(const GridRule& rule);

/// Stores one grid as `group_grids` does; both values must fit. @return the byte behind it.
std::byte* store_grid(const GridRule& rule, float scale, float offset, std::byte* alpha);

/// The grid of each range, in float32 with one rounding per operation:
///   asymmetric: scale = (max - min) / (2^bits - 1), offset = min + scale * 2^(bits-1);
///   symmetric:  scale = max(|min|, |max|) / (2^(bits-1) - 1), offset = 0;
/// then each rounded to its stored type. A scale that then leaves more than half a step of the range
/// uncovered (only among the smallest values of the type; zero is one of them) becomes the next larger value.
/// max == min (symmetric: both 0): scale 1, offset min.
/// @param scale,offset  the stored values, as float32.
/// @param alpha         num_groups * grid_bytes(rule) bytes: (offset, scale) pairs, or scales when symmetric.
/// @return false when a range, scale or offset is beyond its type; the outputs are then of no use.
[[nodiscard]] bool group_grids(const GridRule& rule, const float* min, const float* max,
                               std::size_t num_groups, float* scale, float* offset, std::byte* alpha);

/// The unsigned code of each value: clamp(round_half_even((value - offset) / scale)) + 2^(bits-1), the
/// quotient in float32. Precondition: values finite, scale > 0.
void group_codes(const std::byte* src, DType dtype, std::size_t group_len, std::size_t num_groups,
                 const float* scale, const float* offset, int bits, std::uint8_t* codes);

}  // namespace llm2mnn
