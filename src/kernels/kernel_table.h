#pragma once
// Internal to kernels/: one table of functions per level. The public functions call through the active table.
// Every level gives the same bytes as the scalar one (docs/adr/0007).

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/groups.h"

namespace llm2mnn {

/// A batch of groups for the search (search.h), one to a lane.
struct SearchInput {
  GridRule rule;
  std::size_t group_len = 0;
  const float* values = nullptr;      ///< [group_len][lanes]
  const float* importance = nullptr;  ///< likewise, or null
  const float* min = nullptr;         ///< [lanes]
  const float* max = nullptr;
};

struct KernelTable {
  // convert.h
  bool (*decode)(const std::byte* src, DType dtype, std::size_t n, float* out);
  bool (*encode)(const float* src, std::size_t n, DType dtype, std::byte* out);
  // groups.h
  bool (*group_min_max)(const std::byte* src, DType dtype, std::size_t group_len, std::size_t num_groups,
                        float* min, float* max);
  bool (*group_grids)(const GridRule& rule, const float* min, const float* max, std::size_t num_groups,
                      float* scale, float* offset, std::byte* alpha);
  void (*group_codes)(const std::byte* src, DType dtype, std::size_t group_len, std::size_t num_groups,
                      const float* scale, const float* offset, int bits, std::uint8_t* codes);
  // search.h: replaces the stored grids [search_lanes()] for which it finds better ones
  void (*search_batch)(const SearchInput& in, float* scale, float* offset);
  std::size_t (*search_lanes)();
  // pack.h
  void (*pack_codes)(const std::uint8_t* codes, std::size_t n, int bits, std::byte* out);
};

/// The reference: plain loops in the order that every level keeps.
const KernelTable& scalar_kernels();
/// The table of the level in use.
const KernelTable& active_kernels();

/// A compiled level: Highway's target bit and its table (null when `target` cannot run here).
struct SimdLevel {
  std::int64_t target = 0;
  const KernelTable* table = nullptr;
};

/// The Highway targets in this binary, best first.
std::vector<SimdLevel> simd_levels();

}  // namespace llm2mnn
