#include "kernels/fp8.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>

#include "base/error.h"

namespace llm2mnn {
namespace {

using Table = std::array<float, 256>;

/// Values by their bits. The exponent field counts from another bias than float32's; multiplying by `repair`
/// mends normal and subnormal values alike.
constexpr Table make_table(int mantissa_bits, float repair) {
  Table table{};
  for (std::uint32_t bits = 0; bits < table.size(); ++bits) {
    const float magnitude = std::bit_cast<float>((bits & 0x7fu) << (23 - mantissa_bits)) * repair;
    table[bits] = (bits & 0x80u) != 0 ? -magnitude : magnitude;
  }
  return table;
}

/// E4M3 is finite up to its last two patterns; E5M2 has Inf and NaN where FP16 has them.
constexpr Table with_special(Table table, std::size_t first, float special) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  for (std::size_t bits = first; bits < 0x80; ++bits) {
    table[bits] = bits == first ? special : kNaN;
    table[bits | 0x80] = -table[bits];
  }
  return table;
}

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr Table kE4M3 = with_special(make_table(3, 0x1p120f), 0x7f, std::numeric_limits<float>::quiet_NaN());
constexpr Table kE5M2 = with_special(make_table(2, 0x1p112f), 0x7c, kInf);

}  // namespace

bool decode_fp8(const std::byte* src, DType dtype, std::size_t n, float scale, float* out) {
  LLM2MNN_CHECK(dtype == DType::kF8E4M3 || dtype == DType::kF8E5M2);
  const Table& table = dtype == DType::kF8E4M3 ? kE4M3 : kE5M2;
  std::uint32_t largest = 0;  // magnitude, as bits
  for (std::size_t i = 0; i < n; ++i) {
    out[i] = table[static_cast<unsigned>(src[i])] * scale;
    largest = std::max(largest, std::bit_cast<std::uint32_t>(out[i]) & 0x7fffffffu);
  }
  return largest < 0x7f800000u;
}

}  // namespace llm2mnn
