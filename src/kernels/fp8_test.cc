#include "kernels/fp8.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <vector>

namespace llm2mnn {
namespace {

/// By the definition: sign, exponent, mantissa.
double value_by_definition(unsigned bits, int mantissa_bits) {
  const int bias = (1 << (6 - mantissa_bits)) - 1;
  const double sign = (bits & 0x80u) != 0 ? -1 : 1;
  const int exponent = static_cast<int>((bits & 0x7fu) >> mantissa_bits);
  const double fraction = bits & ((1u << mantissa_bits) - 1);
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias - mantissa_bits);
  return sign * std::ldexp(std::ldexp(1, mantissa_bits) + fraction, exponent - bias - mantissa_bits);
}

struct Form {
  DType dtype;
  int mantissa_bits;
  unsigned not_finite;  // the first such magnitude
  double largest;
};
constexpr Form kForms[] = {{DType::kF8E4M3, 3, 0x7f, 448}, {DType::kF8E5M2, 2, 0x7c, 57344}};

TEST(Fp8, EveryFinitePatternDecodesToItsValue) {
  for (const Form& form : kForms) {
    double largest = 0;
    for (unsigned bits = 0; bits < 256; ++bits) {
      if ((bits & 0x7f) >= form.not_finite) continue;
      const auto byte = static_cast<std::byte>(bits);
      float out = 0;
      EXPECT_TRUE(decode_fp8(&byte, form.dtype, 1, 1.0f, &out));
      EXPECT_EQ(out, value_by_definition(bits, form.mantissa_bits)) << bits;
      EXPECT_EQ(std::signbit(out), bits >= 0x80) << bits;
      largest = std::max(largest, static_cast<double>(out));
    }
    EXPECT_EQ(largest, form.largest);
  }
}

TEST(Fp8, NaNAndInfAreReportedWhereverTheyAre) {
  for (const Form& form : kForms) {
    for (unsigned magnitude = form.not_finite; magnitude < 0x80; ++magnitude) {
      for (const unsigned bits : {magnitude, magnitude | 0x80}) {
        for (std::size_t at = 0; at < 37; ++at) {
          std::vector<std::byte> source(37, std::byte{0x7b});
          if (form.dtype == DType::kF8E4M3) source.assign(37, std::byte{0x7e});
          std::vector<float> out(source.size());
          EXPECT_TRUE(decode_fp8(source.data(), form.dtype, source.size(), 1.0f, out.data()));
          source[at] = static_cast<std::byte>(bits);
          EXPECT_FALSE(decode_fp8(source.data(), form.dtype, source.size(), 1.0f, out.data())) << bits;
        }
      }
    }
  }
}

TEST(Fp8, TheScaleIsOneFloat32Product) {
  const std::vector<std::byte> source = {std::byte{0x39}, std::byte{0xb1}, std::byte{0x01}};
  std::vector<float> out(source.size());
  EXPECT_TRUE(decode_fp8(source.data(), DType::kF8E4M3, source.size(), 0.1f, out.data()));
  EXPECT_EQ(out, (std::vector<float>{1.125f * 0.1f, -0.5625f * 0.1f, 0.001953125f * 0.1f}));
}

TEST(Fp8, AnOverflowOfTheProductIsReported) {
  const std::byte largest{0x7e};
  float out = 0;
  EXPECT_TRUE(decode_fp8(&largest, DType::kF8E4M3, 1, 7e35f, &out));
  EXPECT_FALSE(decode_fp8(&largest, DType::kF8E4M3, 1, 8e35f, &out));
  EXPECT_FALSE(decode_fp8(&largest, DType::kF8E4M3, 1, std::numeric_limits<float>::quiet_NaN(), &out));
}

}  // namespace
}  // namespace llm2mnn
