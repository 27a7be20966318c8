#pragma once
// The grid of least squared error for groups of consecutive values.

#include <cstddef>
#include <cstdint>

#include "kernels/groups.h"

namespace llm2mnn {

/// Groups that one call of `search_grids` works on at a time, at most; fewer at once cost as much.
inline constexpr std::size_t kSearchBatch = 16;

/// Floats of scratch memory that `search_grids` needs.
std::size_t search_scratch(std::size_t group_len, bool is_weighted);

/// The grid (as stored, see `group_grids`) whose nearest codes leave the least sum of squared errors of those
/// that a local search finds: grids that begin and end near the ends of the range are each improved by a
/// least squares fit of scale and offset to their codes; the best of them alternate codes and fit until that
/// stops improving; they are compared as stored, with the grid of `group_grids`, which none exceeds in error.
/// Symmetric grids use the code range up to -2^(bits-1). All arithmetic is float32 in one order: the result
/// does not depend on the level or on the other groups of a call.
/// @param min,max     the groups' ranges (`group_min_max`).
/// @param importance  num_groups * group_len factors of the squared errors, finite and not negative, or null.
/// @param scratch     search_scratch(group_len, importance != nullptr) floats.
/// @param scale,offset,alpha  as of `group_grids`.
/// @return false when a range, scale or offset is beyond its type; the outputs are then of no use.
[[nodiscard]] bool search_grids(const std::byte* src, DType dtype, std::size_t group_len,
                                std::size_t num_groups, const GridRule& rule, const float* min,
                                const float* max, const float* importance, float* scratch, float* scale,
                                float* offset, std::byte* alpha);

}  // namespace llm2mnn
