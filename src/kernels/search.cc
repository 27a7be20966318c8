#include "kernels/search.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "kernels/convert.h"
#include "kernels/kernel_table.h"

namespace llm2mnn {
namespace {

// Groups [first, first + lanes) of the call as [group_len][lanes]; the last one fills the lanes behind it.
class Batch {
 public:
  Batch(std::size_t group_len, std::size_t lanes, float* scratch)
      : len_(group_len), lanes_(lanes), row_(scratch), values_(scratch + group_len) {}

  const float* values() const { return values_; }
  const float* importance() const { return values_ + len_ * lanes_; }

  void load(const std::byte* groups, DType dtype, std::size_t count) {
    const auto value_bytes = static_cast<std::size_t>(dtype_bytes(dtype));
    for (std::size_t lane = 0; lane < lanes_; ++lane) {
      if (lane < count)
        static_cast<void>(active_kernels().decode(groups + lane * len_ * value_bytes, dtype, len_, row_));
      spread(row_, values_, lane);
    }
  }
  void load_importance(const float* groups, std::size_t count) {
    for (std::size_t lane = 0; lane < lanes_; ++lane)
      spread(groups + std::min(lane, count - 1) * len_, values_ + len_ * lanes_, lane);
  }

 private:
  void spread(const float* row, float* out, std::size_t lane) const {
    for (std::size_t i = 0; i < len_; ++i)
      out[i * lanes_ + lane] = row[i];
  }

  std::size_t len_, lanes_;
  float* row_;
  float* values_;
};

using Lanes = std::array<float, kSearchBatch>;

Lanes padded(const float* values, std::size_t count) {
  Lanes lanes;
  for (std::size_t i = 0; i < lanes.size(); ++i)
    lanes[i] = values[std::min(i, count - 1)];
  return lanes;
}

}  // namespace

std::size_t search_scratch(std::size_t group_len, bool is_weighted) {
  return group_len * (1 + kSearchBatch * (is_weighted ? 2 : 1));
}

bool search_grids(const std::byte* src, DType dtype, std::size_t group_len, std::size_t num_groups,
                  const GridRule& rule, const float* min, const float* max, const float* importance,
                  float* scratch, float* scale, float* offset, std::byte* alpha) {
  LLM2MNN_CHECK(is_weight_dtype(dtype) && group_len > 0);
  if (!group_grids(rule, min, max, num_groups, scale, offset, alpha)) return false;
  const KernelTable& kernels = active_kernels();
  const std::size_t lanes = kernels.search_lanes();
  const std::size_t group_bytes = group_len * static_cast<std::size_t>(dtype_bytes(dtype));
  Batch batch(group_len, lanes, scratch);
  for (std::size_t g = 0; g < num_groups; g += lanes) {
    const std::size_t count = std::min(lanes, num_groups - g);
    batch.load(src + g * group_bytes, dtype, count);
    if (importance != nullptr) batch.load_importance(importance + g * group_len, count);
    const Lanes lowest = padded(min + g, count), highest = padded(max + g, count);
    Lanes scales = padded(scale + g, count), offsets = padded(offset + g, count);
    kernels.search_batch(
        {rule, group_len, batch.values(), importance != nullptr ? batch.importance() : nullptr, lowest.data(),
         highest.data()},
        scales.data(), offsets.data());
    for (std::size_t i = 0; i < count; ++i) {
      scale[g + i] = scales[i];
      offset[g + i] = offsets[i];
      alpha = store_grid(rule, scales[i], offsets[i], alpha);
    }
  }
  return true;
}

}  // namespace llm2mnn
