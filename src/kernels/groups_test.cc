#include "kernels/groups.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <vector>

#include "kernels/convert.h"
#include "kernels/test_levels.h"

namespace llm2mnn {
namespace {

constexpr DType kTypes[] = {DType::kF32, DType::kF16, DType::kBF16};

/// Random finite bit patterns: every exponent, subnormals and both zeros included.
std::vector<std::byte> random_patterns(DType dtype, std::size_t n, std::mt19937& random) {
  std::vector<std::byte> bytes;
  const auto width = static_cast<std::size_t>(dtype_bytes(dtype));
  while (bytes.size() < n * width) {
    std::uint32_t bits = static_cast<std::uint32_t>(random());
    if (random() % 8 == 0) bits &= 0x80008000u;  // zeros
    std::array<std::byte, 4> value;
    std::memcpy(value.data(), &bits, 4);
    if (!std::isfinite(load_value(value.data(), dtype, 0))) continue;
    bytes.insert(bytes.end(), value.begin(), value.begin() + static_cast<std::ptrdiff_t>(width));
  }
  return bytes;
}

struct Ranges {
  std::vector<float> min;
  std::vector<float> max;
};

TEST(GroupMinMax, IsTheRangeOfEveryGroupOnEveryLevel) {
  constexpr unsigned kSeed = 11;
  std::mt19937 random(kSeed);
  for (const DType dtype : kTypes) {
    const auto width = static_cast<std::size_t>(dtype_bytes(dtype));
    for (std::size_t length = 1; length < 150; ++length) {
      constexpr std::size_t kGroups = 3;
      const std::vector<std::byte> source = random_patterns(dtype, kGroups * length, random);
      for_each_level([&](const std::string&) {
        Ranges got{std::vector<float>(kGroups), std::vector<float>(kGroups)};
        ASSERT_TRUE(group_min_max(source.data(), dtype, length, kGroups, got.min.data(), got.max.data()));
        for (std::size_t g = 0; g < kGroups; ++g) {
          double low = INFINITY;
          double high = -INFINITY;
          for (std::size_t i = 0; i < length; ++i) {
            const double value = load_value(source.data() + (g * length + i) * width, dtype, 0);
            low = std::fmin(low, value);
            high = std::fmax(high, value);
          }
          ASSERT_EQ(got.min[g], low) << "seed " << kSeed << ", " << dtype_name(dtype) << ", length "
                                     << length;
          ASSERT_EQ(got.max[g], high)
              << "seed " << kSeed << ", " << dtype_name(dtype) << ", length " << length;
          ASSERT_FALSE(got.min[g] == 0 && std::signbit(got.min[g]));
          ASSERT_FALSE(got.max[g] == 0 && std::signbit(got.max[g]));
        }
      });
    }
  }
}

TEST(GroupMinMax, SeesANaNOrInfAtEveryPlace) {
  for (const DType dtype : kTypes) {
    const auto width = static_cast<std::size_t>(dtype_bytes(dtype));
    for (const std::size_t length : {1u, 5u, 15u, 16u, 17u, 31u, 32u, 48u, 63u, 64u, 65u, 96u, 130u}) {
      for (std::size_t at = 0; at < 2 * length; ++at) {
        for (const float bad : {NAN, -NAN, INFINITY, -INFINITY}) {
          std::vector<std::byte> source(2 * length * width);
          const std::uint16_t narrow = dtype == DType::kF16 ? f32_to_f16(bad) : f32_to_bf16(bad);
          std::memcpy(source.data() + at * width, width == 4 ? static_cast<const void*>(&bad) : &narrow,
                      width);
          for_each_level([&](const std::string&) {
            float min[2];
            float max[2];
            ASSERT_FALSE(group_min_max(source.data(), dtype, length, 2, min, max)) << length << ' ' << at;
          });
        }
      }
    }
  }
}

struct Grids {
  bool fits;
  std::vector<float> scale;
  std::vector<float> offset;
  std::vector<std::byte> alpha;
  friend bool operator==(const Grids&, const Grids&) = default;
};

Grids grids_of(const GridRule& rule, const Ranges& ranges) {
  const std::size_t n = ranges.min.size();
  Grids grids{false, std::vector<float>(n), std::vector<float>(n),
              std::vector<std::byte>(n * grid_bytes(rule))};
  grids.fits = group_grids(rule, ranges.min.data(), ranges.max.data(), n, grids.scale.data(),
                           grids.offset.data(), grids.alpha.data());
  return grids;
}

std::vector<GridRule> all_rules() {
  std::vector<GridRule> rules;
  for (int bits = 2; bits <= 8; ++bits) {
    for (const bool symmetric : {false, true}) {
      for (const bool f16 : {false, true})
        rules.push_back({bits, symmetric, f16});
    }
  }
  return rules;
}

/// Ranges of any magnitude up to 2^`top`, some constant, some zero.
Ranges random_ranges(std::size_t n, int top, std::mt19937& random) {
  Ranges ranges;
  std::uniform_real_distribution<float> mantissa(-1, 1);
  for (std::size_t i = 0; i < n; ++i) {
    const int exponent = top - static_cast<int>(random() % 160);
    float a = std::ldexp(mantissa(random), exponent);
    float b = std::ldexp(mantissa(random), exponent);
    if (random() % 7 == 0) b = a;
    if (random() % 7 == 0) a = 0;
    if (random() % 9 == 0) b = a;
    ranges.min.push_back(std::min(a, b) + 0.0f);
    ranges.max.push_back(std::max(a, b) + 0.0f);
  }
  return ranges;
}

TEST(GroupGrids, AreTheSameBytesOnEveryLevel) {
  constexpr unsigned kSeed = 5;
  std::mt19937 random(kSeed);
  for (const GridRule& rule : all_rules()) {
    for (std::size_t n = 0; n < 70; ++n) {
      const Ranges ranges = random_ranges(n, rule.f16 ? 14 : 125, random);
      std::vector<Grids> grids;
      for_each_level([&](const std::string&) { grids.push_back(grids_of(rule, ranges)); });
      for (const Grids& each : grids) {
        ASSERT_TRUE(each.fits);
        ASSERT_EQ(each, grids.back()) << "seed " << kSeed << ", " << rule.bits << " bits";
      }
    }
  }
}

TEST(GroupGrids, ReportABeyondRangeGroupAtEveryPlace) {
  for (const GridRule& rule : all_rules()) {
    for (std::size_t at = 0; at < 37; ++at) {
      Ranges ranges{std::vector<float>(37, -1.0f), std::vector<float>(37, 2.0f)};
      // FP16: the offset or the symmetric scale overflows. FP32: the range overflows, or nothing can.
      ranges.min[at] = rule.f16 ? -3e37f : -3e38f;
      ranges.max[at] = rule.f16 ? 3e37f : 3e38f;
      const bool fits = !rule.f16 && rule.symmetric;
      for_each_level([&](const std::string&) { EXPECT_EQ(grids_of(rule, ranges).fits, fits) << at; });
    }
  }
}

TEST(GroupGrids, TheLargestHalfIsTheLimit) {
  const GridRule rule{2, true, true};  // symmetric at 2 bits: scale = largest magnitude
  for_each_level([&](const std::string&) {
    for (const std::size_t n : {1u, 16u}) {
      EXPECT_TRUE(grids_of(rule, {std::vector<float>(n, 0.0f), std::vector<float>(n, 65519.996f)}).fits);
      EXPECT_FALSE(grids_of(rule, {std::vector<float>(n, 0.0f), std::vector<float>(n, 65520.0f)}).fits);
      EXPECT_FALSE(grids_of(rule, {std::vector<float>(n, -65520.0f), std::vector<float>(n, 0.0f)}).fits);
    }
  });
}

TEST(GroupCodes, AreTheSameOnEveryLevelAndForEveryTail) {
  constexpr unsigned kSeed = 21;
  std::mt19937 random(kSeed);
  std::normal_distribution<float> normal(0, 1);
  for (const DType dtype : kTypes) {
    for (std::size_t length = 1; length < 140; ++length) {
      constexpr std::size_t kGroups = 3;
      std::vector<float> values(kGroups * length);
      for (float& value : values)
        value = normal(random);
      std::vector<std::byte> source(4 * values.size());
      ASSERT_TRUE(encode_from_f32(values.data(), values.size(), dtype, source.data()));
      const float scale[] = {0.125f, 0.031f, 3.0f};
      const float offset[] = {0.0f, -0.7f, 1e6f};  // the last one is far outside: every code is clamped
      for (int bits = 2; bits <= 8; ++bits) {
        std::vector<std::uint8_t> reference;
        for_each_level([&](const std::string&) {
          std::vector<std::uint8_t> codes(values.size() + 1, 0xa5);
          group_codes(source.data(), dtype, length, kGroups, scale, offset, bits, codes.data());
          ASSERT_EQ(codes.back(), 0xa5);
          if (reference.empty()) reference = codes;
          ASSERT_EQ(codes, reference)
              << "seed " << kSeed << ", " << dtype_name(dtype) << ", length " << length;
        });
        ASSERT_TRUE(std::all_of(reference.end() - 1 - static_cast<std::ptrdiff_t>(length),
                                reference.end() - 1, [](std::uint8_t code) { return code == 0; }));
        ASSERT_LT(*std::max_element(reference.begin(), reference.end() - 1), 1 << bits);
      }
    }
  }
}

}  // namespace
}  // namespace llm2mnn
