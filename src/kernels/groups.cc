#include "kernels/groups.h"

#include <cstring>

#include "base/error.h"
#include "kernels/convert.h"
#include "kernels/kernel_table.h"

namespace llm2mnn {

std::size_t grid_bytes(const GridRule& rule) {
  return (rule.symmetric ? std::size_t{1} : std::size_t{2}) * (rule.f16 ? 2 : 4);
}

std::byte* store_grid(const GridRule& rule, float scale, float offset, std::byte* alpha) {
  const auto store = [&](float value) {
    if (rule.f16) {
      const std::uint16_t half = f32_to_f16(value);
      std::memcpy(alpha, &half, sizeof half);
    } else {
      std::memcpy(alpha, &value, sizeof value);
    }
    alpha += rule.f16 ? 2 : 4;
  };
  if (!rule.symmetric) store(offset);
  store(scale);
  return alpha;
}

bool group_min_max(const std::byte* src, DType dtype, std::size_t group_len, std::size_t num_groups,
                   float* min, float* max) {
  LLM2MNN_CHECK(is_weight_dtype(dtype) && group_len > 0);
  return active_kernels().group_min_max(src, dtype, group_len, num_groups, min, max);
}

bool group_grids(const GridRule& rule, const float* min, const float* max, std::size_t num_groups,
                 float* scale, float* offset, std::byte* alpha) {
  LLM2MNN_CHECK(rule.bits >= 2 && rule.bits <= 8);
  return active_kernels().group_grids(rule, min, max, num_groups, scale, offset, alpha);
}

void group_codes(const std::byte* src, DType dtype, std::size_t group_len, std::size_t num_groups,
                 const float* scale, const float* offset, int bits, std::uint8_t* codes) {
  LLM2MNN_CHECK(is_weight_dtype(dtype) && bits >= 2 && bits <= 8);
  active_kernels().group_codes(src, dtype, group_len, num_groups, scale, offset, bits, codes);
}

}  // namespace llm2mnn
