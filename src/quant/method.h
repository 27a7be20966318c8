#pragma once
// What a quantisation method is: it chooses the grid of each group of weights. The codes are those nearest to
// the grid as it is stored, for every method (docs/adr/0005).

#include <cstddef>
#include <span>
#include <string_view>

#include "kernels/groups.h"

namespace llm2mnn {

/// The method when none is named.
inline constexpr std::string_view kDefaultMethod = "rtn";

/// Consecutive groups of one length in a weight dtype, all values finite.
struct WeightGroups {
  const std::byte* data = nullptr;
  DType dtype = DType::kF32;
  std::size_t group_len = 0;
  std::size_t num_groups = 0;
  const float* min = nullptr;  ///< [num_groups], as of `group_min_max`
  const float* max = nullptr;
};

/// Grids as they are stored: see `group_grids`.
struct StoredGrids {
  float* scale = nullptr;      ///< [num_groups]
  float* offset = nullptr;     ///< [num_groups]
  std::byte* alpha = nullptr;  ///< num_groups * grid_bytes(rule)
};

class QuantMethod {
 public:
  virtual ~QuantMethod() = default;
  /// As `--method` spells it.
  virtual std::string_view name() const = 0;
  /// One line for the help.
  virtual std::string_view summary() const = 0;
  /// Whether it has a form without offsets.
  virtual bool is_symmetric_too() const { return true; }
  /// Groups that it works on at a time; with fewer it takes as long.
  virtual std::size_t batch() const { return 1; }
  /// Floats of scratch memory for groups of `group_len`.
  virtual std::size_t scratch_floats(std::size_t group_len) const = 0;
  /// Chooses the grids. The result depends on each group's values alone, not on its neighbours, the thread or
  /// the SIMD level. A constant group is exact. Thread-safe.
  /// @return false when a range, scale or offset is beyond its type; the outputs are then of no use.
  [[nodiscard]] virtual bool choose_grids(const WeightGroups& groups, const GridRule& rule,
                                          std::span<float> scratch, const StoredGrids& out) const = 0;
};

/// All methods, by name: the sub-folders of quant/methods.
std::span<const QuantMethod* const> quant_methods();
/// Null when there is none of that name.
const QuantMethod* find_method(std::string_view name);
const QuantMethod& default_method();

}  // namespace llm2mnn
