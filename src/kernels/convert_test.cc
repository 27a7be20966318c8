#include "kernels/convert.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>
#include <random>
#include <vector>

#include "kernels/test_levels.h"

namespace llm2mnn {
namespace {

constexpr DType kTypes[] = {DType::kF32, DType::kF16, DType::kBF16};

/// Value of a binary format with `exponent_bits` and `mantissa_bits`, by the definition.
double value_by_definition(unsigned bits, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const double sign = ((bits >> (exponent_bits + mantissa_bits)) & 1u) != 0 ? -1 : 1;
  const int exponent = static_cast<int>((bits >> mantissa_bits) & ((1u << exponent_bits) - 1));
  const double fraction = bits & ((1u << mantissa_bits) - 1);
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias - mantissa_bits);
  return sign * std::ldexp(std::ldexp(1, mantissa_bits) + fraction, exponent - bias - mantissa_bits);
}

double value_of(DType dtype, unsigned bits) {
  return dtype == DType::kF16 ? value_by_definition(bits, 5, 10) : value_by_definition(bits, 8, 7);
}

unsigned inf_of(DType dtype) { return dtype == DType::kF16 ? 0x7c00 : 0x7f80; }

std::vector<std::byte> bytes_of_bits(const std::vector<std::uint16_t>& bits) {
  std::vector<std::byte> bytes(2 * bits.size());
  std::memcpy(bytes.data(), bits.data(), bytes.size());
  return bytes;
}

std::vector<std::uint16_t> encode_all(const std::vector<float>& values, DType dtype, bool expected) {
  std::vector<std::byte> bytes(2 * values.size());
  EXPECT_EQ(encode_from_f32(values.data(), values.size(), dtype, bytes.data()), expected);
  std::vector<std::uint16_t> bits(values.size());
  std::memcpy(bits.data(), bytes.data(), bytes.size());
  return bits;
}

TEST(Convert, EveryFinite16BitPatternDecodesToItsValue) {
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    std::vector<std::uint16_t> patterns;
    for (unsigned bits = 0; bits < 0x10000; ++bits) {
      if ((bits & 0x7fff) < inf_of(dtype)) patterns.push_back(static_cast<std::uint16_t>(bits));
    }
    const std::vector<std::byte> source = bytes_of_bits(patterns);
    for_each_level([&](const std::string&) {
      std::vector<float> out(patterns.size());
      EXPECT_TRUE(decode_to_f32(source.data(), dtype, patterns.size(), out.data()));
      for (std::size_t i = 0; i < patterns.size(); ++i) {
        ASSERT_EQ(out[i], value_of(dtype, patterns[i])) << patterns[i];
        ASSERT_EQ(std::signbit(out[i]), patterns[i] >= 0x8000) << patterns[i];
      }
      EXPECT_EQ(encode_all(out, dtype, true), patterns);
    });
  }
}

TEST(Convert, RoundsHalfToEvenBetweenAllNeighbours) {
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    std::vector<float> values;
    std::vector<std::uint16_t> expected;
    for (unsigned bits = 0; bits + 1 < inf_of(dtype); ++bits) {
      const auto middle = static_cast<float>((value_of(dtype, bits) + value_of(dtype, bits + 1)) / 2);
      const unsigned even = bits % 2 == 0 ? bits : bits + 1;
      for (const auto& [value, nearest] :
           {std::pair(std::nextafter(middle, 0.0f), bits), std::pair(middle, even),
            std::pair(std::nextafter(middle, INFINITY), bits + 1)}) {
        values.push_back(value);
        expected.push_back(static_cast<std::uint16_t>(nearest));
        values.push_back(-value);
        expected.push_back(static_cast<std::uint16_t>(nearest | 0x8000));
      }
    }
    for_each_level([&](const std::string&) { EXPECT_EQ(encode_all(values, dtype, true), expected); });
  }
}

TEST(Convert, ReportsWhatRoundsToInf) {
  for (const auto& [dtype, limit] :
       {std::pair(DType::kF16, 65520.0f), std::pair(DType::kBF16, 0x1.ffp127f)}) {
    for (std::size_t at = 0; at < 70; ++at) {
      for (const float sign : {1.0f, -1.0f}) {
        std::vector<float> values(70, 1.0f);
        for_each_level([&](const std::string&) {
          values[at] = sign * limit;
          encode_all(values, dtype, false);
          values[at] = sign * std::nextafter(limit, 0.0f);
          encode_all(values, dtype, true);
        });
      }
    }
  }
}

TEST(Convert, ReportsNaNAndInfAtEveryPlace) {
  for (const DType dtype : kTypes) {
    const std::size_t width = dtype == DType::kF32 ? 4 : 2;
    for (const std::uint32_t bad : {0x7f800000u, 0xff800000u, 0x7fc00000u, 0x7f800001u, 0xffffffffu}) {
      std::uint32_t bits = bad;
      if (dtype == DType::kBF16) bits = bad == 0x7f800001u ? 0x7f81u : bad >> 16;
      if (dtype == DType::kF16)
        bits = bad == 0x7f800001u ? 0x7c01u : (bad >> 16 & 0x8000u) | 0x7c00u | (bad >> 13 & 0x3ffu);
      for (std::size_t n = 1; n < 70; ++n) {
        for (std::size_t at = 0; at < n; at += 1 + n / 9) {
          std::vector<std::byte> source(n * width);
          std::vector<float> out(n);
          std::vector<std::byte> copy(4 * n);
          std::memcpy(source.data() + at * width, &bits, width);
          for_each_level([&](const std::string&) {
            ASSERT_FALSE(decode_to_f32(source.data(), dtype, n, out.data())) << n << ' ' << at;
            ASSERT_FALSE(convert_values(source.data(), dtype, n, DType::kF32, copy.data())) << n << ' ' << at;
            ASSERT_FALSE(convert_values(source.data(), dtype, n, dtype, copy.data())) << n << ' ' << at;
          });
        }
      }
    }
  }
}

TEST(Convert, NothingIsWrittenBeyondTheEnd) {
  std::mt19937 random(3);
  for (const DType from : kTypes) {
    for (const DType to : kTypes) {
      for (std::size_t n = 0; n < 140; ++n) {
        std::vector<float> values(n);
        for (float& value : values)
          value = static_cast<float>(random() % 1000) / 8;
        std::vector<std::byte> source(4 * n);
        ASSERT_TRUE(encode_from_f32(values.data(), n, from, source.data()));
        const auto out_bytes = n * static_cast<std::size_t>(dtype_bytes(to));
        std::vector<std::byte> reference;
        for_each_level([&](const std::string&) {
          std::vector<std::byte> out(out_bytes + 1, std::byte{0xa5});
          ASSERT_TRUE(convert_values(source.data(), from, n, to, out.data()));
          ASSERT_EQ(out[out_bytes], std::byte{0xa5});
          if (reference.empty()) reference = out;
          ASSERT_EQ(out, reference);
        });
      }
    }
  }
}

TEST(Convert, OneNaNStaysNaN) {
  EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(NAN))));
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(0x7fffffffu)))));
  EXPECT_EQ(f32_to_f16(INFINITY), 0x7c00);
  EXPECT_EQ(f32_to_f16(-1e30f), 0xfc00);
  EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
}

}  // namespace
}  // namespace llm2mnn
