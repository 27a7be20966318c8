#pragma once
// Weights to and from float32. Conversions to a narrower type round half to even; subnormal values are kept.

#include <cstddef>
#include <cstdint>

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

/// One value, the definition of the conversions above. NaN stays NaN; overflow becomes Inf.
float f16_to_f32(std::uint16_t bits);
std::uint16_t f32_to_f16(float value);
float bf16_to_f32(std::uint16_t bits);
std::uint16_t f32_to_bf16(float value);
/// Value `index` of `src`, as float32.
float load_value(const std::byte* src, DType dtype, std::size_t index);

}  // namespace llm2mnn
