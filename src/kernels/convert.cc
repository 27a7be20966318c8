#include "kernels/convert.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/error.h"
#include "kernels/groups.h"
#include "kernels/kernel_table.h"

namespace llm2mnn {
namespace {

template <typename T>
T load(const std::byte* src, std::size_t index) {
  T value;
  std::memcpy(&value, src + index * sizeof(T), sizeof(T));
  return value;
}

}  // namespace

float f16_to_f32(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000u) << 16;
  const std::uint32_t rest = bits & 0x7fffu;
  if (rest >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | (rest << 13));
  // The exponent field is 112 too small for float32; multiplying repairs normal and subnormal values alike.
  const float magnitude = std::bit_cast<float>(rest << 13) * 0x1p112f;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

std::uint16_t f32_to_f16(float value) {
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

float bf16_to_f32(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

std::uint16_t f32_to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);  // NaN
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

float load_value(const std::byte* src, DType dtype, std::size_t index) {
  if (dtype == DType::kBF16) return bf16_to_f32(load<std::uint16_t>(src, index));
  if (dtype == DType::kF16) return f16_to_f32(load<std::uint16_t>(src, index));
  return load<float>(src, index);
}

bool decode_to_f32(const std::byte* src, DType dtype, std::size_t n, float* out) {
  LLM2MNN_CHECK(is_weight_dtype(dtype));
  return active_kernels().decode(src, dtype, n, out);
}

bool encode_from_f32(const float* src, std::size_t n, DType dtype, std::byte* out) {
  LLM2MNN_CHECK(is_weight_dtype(dtype));
  return active_kernels().encode(src, n, dtype, out);
}

bool convert_values(const std::byte* src, DType from, std::size_t n, DType to, std::byte* out) {
  if (from == to) {
    float min = 0;
    float max = 0;
    std::memcpy(out, src, n * static_cast<std::size_t>(dtype_bytes(from)));
    return n == 0 || group_min_max(src, from, n, 1, &min, &max);  // false for NaN and Inf
  }
  constexpr std::size_t kChunk = 2048;  // 8 KiB of float32: stays in L1
  std::array<float, kChunk> chunk;
  const auto from_bytes = static_cast<std::size_t>(dtype_bytes(from));
  const auto to_bytes = static_cast<std::size_t>(dtype_bytes(to));
  bool fits = true;
  for (std::size_t done = 0; done < n; done += kChunk) {
    const std::size_t count = std::min(kChunk, n - done);
    fits = decode_to_f32(src + done * from_bytes, from, count, chunk.data()) && fits;
    fits = encode_from_f32(chunk.data(), count, to, out + done * to_bytes) && fits;
  }
  return fits;
}

}  // namespace llm2mnn
