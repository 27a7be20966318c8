#include "quant/zero_point.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
#include "kernels/groups.h"

namespace llm2mnn {

void quantize_rows_zero_point(const WeightRows& w, const ZeroPointScheme& scheme, std::int64_t first_row,
                              std::span<std::uint8_t> codes, std::span<float> scales,
                              std::span<std::uint8_t> zero_points) {
  LLM2MNN_CHECK(is_weight_dtype(w.dtype) && scheme.block > 0 && w.cols % scheme.block == 0);
  const auto groups = checked_cast<std::size_t>(w.rows * w.cols / scheme.block);
  const auto block = checked_cast<std::size_t>(scheme.block);
  LLM2MNN_CHECK(codes.size() == groups * block && scales.size() == groups && zero_points.size() == groups);
  std::vector<float> offsets(groups);
  std::vector<float> high(groups);
  if (!group_min_max(w.data, w.dtype, block, groups, offsets.data(), high.data()))
    fail_if_not_finite(w, first_row);
  const auto most = static_cast<float>((1 << scheme.bits) - 1);
  const auto half = static_cast<float>(1 << (scheme.bits - 1));
  for (std::size_t i = 0; i < groups; ++i) {
    const float low = std::min(offsets[i], 0.0F);
    // In double: the range of two floats can exceed a float.
    const double range = static_cast<double>(std::max(high[i], 0.0F)) - static_cast<double>(low);
    const auto scale = static_cast<float>(range / static_cast<double>(most));
    scales[i] = scale > 0 ? scale : 1.0F;
    const float zero = std::clamp(std::nearbyint(-low / scales[i]), 0.0F, most);
    zero_points[i] = static_cast<std::uint8_t>(zero);
    // The kernel's codes are signed: w = signed * scale + offset.
    offsets[i] = (half - zero) * scales[i];
  }
  group_codes(w.data, w.dtype, block, groups, scales.data(), offsets.data(), scheme.bits, codes.data());
}

}  // namespace llm2mnn
