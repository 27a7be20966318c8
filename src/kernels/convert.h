#pragma once
// Weights to and from float32. Conversions to a narrower type round half to even; subnormal values are kept.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tensor/dtype.h"

namespace llm2mnn {

/// `n` values of a weight dtype (F32, F16, BF16; little endian, any alignment) as float32, exactly.
/// @return false when some value is NaN or Inf; `out` is then complete but of no use.
[[nodiscard]] bool decode_to_f32(const std::byte* src, DType dtype, std::size_t n, float* out);

/// `n` float32 values as a weight dtype, round half to even. The sign of a zero is kept.
/// @return false when some value is NaN or Inf, or rounds to Inf; `out` is then complete but of no use.
[[nodiscard]] bool encode_from_f32(const float* src, std::size_t n, DType dtype, std::byte* out);

/// Both in one: `n` values of `from` as `to`. Returns as the two above.
[[nodiscard]] bool convert_values(const std::byte* src, DType from, std::size_t n, DType to, std::byte* out);

// One value: the definition of the conversions above. NaN stays NaN; overflow becomes Inf.

inline float f16_to_f32(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000u) << 16;
  const std::uint32_t rest = bits & 0x7fffu;
  if (rest >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | (rest << 13));
  // The exponent field is 112 too small for float32; multiplying repairs normal and subnormal values alike.
  const float magnitude = std::bit_cast<float>(rest << 13) * 0x1p112f;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

inline std::uint16_t f32_to_f16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  const std::uint32_t rest = bits & 0x7fffffffu;
  if (rest > 0x7f800000u) return static_cast<std::uint16_t>(sign | 0x7e00u);   // NaN
  if (rest >= 0x47800000u) return static_cast<std::uint16_t>(sign | 0x7c00u);  // 2^16 and more
  if (rest < 0x38800000u) {
    // Below 2^-14: the ulp of [0.5, 1) is 2^-24, FP16's subnormal step, so the addition rounds to it.
    const float sum = std::bit_cast<float>(rest) + 0.5f;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(sum) - 0x3f000000u));
  }
  const std::uint32_t rounded = rest + 0xfffu + ((rest >> 13) & 1u);  // half to even on the 13 dropped bits
  return static_cast<std::uint16_t>(sign | ((rounded >> 13) - (112u << 10)));
}

inline float bf16_to_f32(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

inline std::uint16_t f32_to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);  // NaN
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/// Value `index` of `src`, as float32.
inline float load_value(const std::byte* src, DType dtype, std::size_t index) {
  std::uint16_t narrow = 0;
  float wide = 0;
  if (dtype == DType::kF32) {
    std::memcpy(&wide, src + 4 * index, 4);
    return wide;
  }
  std::memcpy(&narrow, src + 2 * index, 2);
  return dtype == DType::kBF16 ? bf16_to_f32(narrow) : f16_to_f32(narrow);
}

}  // namespace llm2mnn
