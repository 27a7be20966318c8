#include "kernels/scalar_kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "kernels/convert.h"
#include "kernels/kernel_table.h"

namespace llm2mnn::scalar {
namespace {

constexpr std::uint32_t kSignBit = 0x80000000u;
constexpr std::uint32_t kF32Inf = 0x7f800000u;

std::uint32_t bits_of(float value) { return std::bit_cast<std::uint32_t>(value); }
bool is_finite(float value) { return (bits_of(value) & kF32Inf) != kF32Inf; }

/// Calls body(constant) with the dtype as a compile-time constant, so that no loop tests it.
template <typename Body>
auto with_dtype(DType dtype, Body body) {
  switch (dtype) {
    case DType::kBF16:
      return body(std::integral_constant<DType, DType::kBF16>());
    case DType::kF16:
      return body(std::integral_constant<DType, DType::kF16>());
    default:
      return body(std::integral_constant<DType, DType::kF32>());
  }
}

struct Grid {
  float scale;
  float offset;
};

/// `value` as stored: rounded to FP16 or kept.
float stored(const GridRule& rule, float value) { return rule.f16 ? f16_to_f32(f32_to_f16(value)) : value; }

/// The next larger value of the stored type.
float next_stored(const GridRule& rule, float scale) {
  if (rule.f16) return f16_to_f32(static_cast<std::uint16_t>(f32_to_f16(scale) + 1));
  return std::bit_cast<float>(bits_of(scale) + 1);
}

Grid grid_of(const GridRule& rule, float min, float max) {
  const auto half = static_cast<float>(1 << (rule.bits - 1));
  const float range = rule.symmetric ? std::max(-min, max) : max - min;
  if (range == 0) return {1, rule.symmetric ? 0 : stored(rule, min)};
  const float levels = rule.symmetric ? half - 1 : 2 * half - 1;
  const float unrounded = range / levels;
  float scale = stored(rule, unrounded);
  // Only among the smallest steps of the type, where rounding may lose a third of the range or all of it.
  if (range - scale * levels > scale * 0.5f) scale = next_stored(rule, scale);
  return {scale, rule.symmetric ? 0 : stored(rule, min + unrounded * half)};
}

}  // namespace

bool decode(const std::byte* src, DType dtype, std::size_t n, float* out) {
  return with_dtype(dtype, [=](auto type) {
    bool finite = true;
    for (std::size_t i = 0; i < n; ++i) {
      out[i] = load_value(src, type, i);
      finite = finite && is_finite(out[i]);
    }
    return finite;
  });
}

bool encode(const float* src, std::size_t n, DType dtype, std::byte* out) {
  bool finite = true;
  for (std::size_t i = 0; i < n; ++i) {
    if (dtype == DType::kF32) {
      std::memcpy(out + 4 * i, src + i, 4);
      finite = finite && is_finite(src[i]);
      continue;
    }
    const bool f16 = dtype == DType::kF16;
    const std::uint16_t bits = f16 ? f32_to_f16(src[i]) : f32_to_bf16(src[i]);
    std::memcpy(out + 2 * i, &bits, 2);
    const unsigned exponent_mask = f16 ? 0x7c00u : 0x7f80u;
    finite = finite && (bits & exponent_mask) != exponent_mask;
  }
  return finite;
}

bool group_min_max(const std::byte* src, DType dtype, std::size_t group_len, std::size_t num_groups,
                   float* min, float* max) {
  return with_dtype(dtype, [=](auto type) {
    bool finite = true;
    for (std::size_t g = 0; g < num_groups; ++g) {
      float low = load_value(src, type, g * group_len);
      float high = low;
      for (std::size_t i = 0; i < group_len; ++i) {
        const float value = load_value(src, type, g * group_len + i);
        finite = finite && is_finite(value);
        low = std::min(low, value);
        high = std::max(high, value);
      }
      min[g] = low + 0.0f;  // -0 + +0 is +0
      max[g] = high + 0.0f;
    }
    return finite;
  });
}

bool group_grids(const GridRule& rule, const float* min, const float* max, std::size_t num_groups,
                 float* scale, float* offset, std::byte* alpha) {
  bool finite = true;
  for (std::size_t g = 0; g < num_groups; ++g) {
    const Grid grid = grid_of(rule, min[g], max[g]);
    finite = finite && is_finite(grid.scale) && is_finite(grid.offset);
    scale[g] = grid.scale;
    offset[g] = grid.offset;
    alpha = store_grid(rule, grid.scale, grid.offset, alpha);
  }
  return finite;
}

void group_codes(const std::byte* src, DType dtype, std::size_t group_len, std::size_t num_groups,
                 const float* scale, const float* offset, int bits, std::uint8_t* codes) {
  const auto half = static_cast<float>(1 << (bits - 1));
  const float magic = kRoundMagic + half;
  with_dtype(dtype, [=](auto type) {
    for (std::size_t g = 0; g < num_groups; ++g) {
      for (std::size_t i = g * group_len; i < (g + 1) * group_len; ++i) {
        // Clamping before rounding: the ends are integers, so the result is the same.
        const float t = (load_value(src, type, i) - offset[g]) / scale[g];
        const float clamped = std::min(std::max(t, -half), half - 1);
        codes[i] = static_cast<std::uint8_t>(bits_of(clamped + magic));
      }
    }
  });
}

void pack_codes(const std::uint8_t* codes, std::size_t n, int bits, std::byte* out) {
  std::uint32_t window = 0;
  int held = 0;
  for (std::size_t i = 0; i < n; ++i) {
    window = (window << bits) | codes[i];
    held += bits;
    if (held >= 8) {
      held -= 8;
      *out++ = static_cast<std::byte>(window >> held);
    }
  }
  if (held > 0) *out = static_cast<std::byte>(window << (8 - held));
}

}  // namespace llm2mnn::scalar

namespace llm2mnn {

const KernelTable& scalar_kernels() {
  static constexpr KernelTable kTable = {&scalar::decode,       &scalar::encode,      &scalar::group_min_max,
                                         &scalar::group_grids,  &scalar::group_codes, &scalar::search_batch,
                                         &scalar::search_lanes, &scalar::pack_codes};
  return kTable;
}

}  // namespace llm2mnn
