#include "quant/zero_point.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>
#include <random>

#include "base/error.h"

namespace llm2mnn {
namespace {

struct Quantised {
  std::vector<std::uint8_t> codes, zero_points;
  std::vector<float> scales;
  std::int64_t block = 0;

  double decoded(std::size_t i) const {
    const std::size_t group = i / static_cast<std::size_t>(block);
    return (static_cast<double>(codes[i]) - static_cast<double>(zero_points[group])) *
           static_cast<double>(scales[group]);
  }
};

Quantised quantise(const std::vector<float>& values, std::int64_t cols, const ZeroPointScheme& scheme) {
  const auto rows = static_cast<std::int64_t>(values.size()) / cols;
  const auto groups = values.size() / static_cast<std::size_t>(scheme.block);
  Quantised out{std::vector<std::uint8_t>(values.size()), std::vector<std::uint8_t>(groups),
                std::vector<float>(groups), scheme.block};
  const WeightRows w = {reinterpret_cast<const std::byte*>(values.data()), DType::kF32, rows, cols};
  quantize_rows_zero_point(w, scheme, 0, out.codes, out.scales, out.zero_points);
  return out;
}

TEST(ZeroPoint, ARampOfSixteenStepsIsExact) {
  std::vector<float> values;
  for (int i = -5; i <= 10; ++i)
    values.push_back(0.5F * static_cast<float>(i));
  const Quantised q = quantise(values, 16, {4, 16});
  EXPECT_EQ(q.scales, std::vector<float>{0.5F});
  EXPECT_EQ(q.zero_points, std::vector<std::uint8_t>{5});
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(q.codes[i], i);
    EXPECT_EQ(q.decoded(i), values[i]);
  }
}

TEST(ZeroPoint, TheRangeHoldsZeroWhateverTheSigns) {
  const Quantised positive = quantise(std::vector<float>(16, 3.0F), 16, {4, 16});
  EXPECT_EQ(positive.zero_points[0], 0);
  EXPECT_EQ(positive.codes, std::vector<std::uint8_t>(16, 15));
  EXPECT_FLOAT_EQ(positive.scales[0], 3.0F / 15);
  const Quantised negative = quantise(std::vector<float>(16, -3.0F), 16, {4, 16});
  EXPECT_EQ(negative.zero_points[0], 15);
  EXPECT_EQ(negative.codes, std::vector<std::uint8_t>(16, 0));
}

TEST(ZeroPoint, AGroupOfZerosHasScaleOneAndZeroPointZero) {
  for (const int bits : {4, 8}) {
    const Quantised q = quantise(std::vector<float>(32, -0.0F), 32, {bits, 32});
    EXPECT_EQ(q.scales, std::vector<float>{1.0F});
    EXPECT_EQ(q.zero_points, std::vector<std::uint8_t>{0});
    EXPECT_EQ(q.codes, std::vector<std::uint8_t>(32, 0));
  }
}

TEST(ZeroPoint, ZeroStaysZeroAndNoErrorExceedsHalfAStep) {
  constexpr unsigned kSeed = 20240611;
  std::mt19937 random(kSeed);
  std::normal_distribution<float> normal(0.3F, 1.0F);
  for (const int bits : {4, 8}) {
    for (const std::int64_t block : {16, 32, 64, 128}) {
      std::vector<float> values(static_cast<std::size_t>(6 * block));
      for (float& value : values)
        value = normal(random);
      for (std::size_t i = 3; i < values.size(); i += 16)
        values[i] = 0;
      const Quantised q = quantise(values, 2 * block, {bits, block});
      for (std::size_t i = 0; i < values.size(); ++i) {
        const double step = static_cast<double>(q.scales[i / static_cast<std::size_t>(block)]);
        EXPECT_LE(std::fabs(q.decoded(i) - static_cast<double>(values[i])), step * 0.50001)
            << bits << " bits, block " << block << ", value " << i << ", seed " << kSeed;
        if (values[i] == 0) {
          EXPECT_EQ(q.decoded(i), 0.0);
        }
        EXPECT_LT(q.codes[i], 1 << bits);
      }
    }
  }
}

TEST(ZeroPoint, GroupsOfARowAreIndependent) {
  std::vector<float> values(48, 0.25F);
  std::fill(values.begin() + 16, values.begin() + 32, -1000.0F);
  const Quantised q = quantise(values, 48, {8, 16});
  EXPECT_EQ(q.scales[0], q.scales[2]);
  EXPECT_EQ(q.zero_points, (std::vector<std::uint8_t>{0, 255, 0}));
}

TEST(ZeroPoint, ExtremesHaveFiniteScales) {
  constexpr float kMost = std::numeric_limits<float>::max();
  std::vector<float> values(16, kMost);
  values[0] = -kMost;
  const Quantised q = quantise(values, 16, {4, 16});
  EXPECT_TRUE(std::isfinite(q.scales[0]));
  EXPECT_EQ(q.codes[0], 0);
  EXPECT_EQ(q.codes[1], 15);
}

TEST(ZeroPoint, NonFiniteValuesAreNamedByRowAndColumn) {
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> values(64, 1.0F);
    values[32 + 5] = bad;
    std::vector<std::uint8_t> codes(64), zero_points(4);
    std::vector<float> scales(4);
    const WeightRows w = {reinterpret_cast<const std::byte*>(values.data()), DType::kF32, 2, 32};
    try {
      quantize_rows_zero_point(w, {4, 16}, 100, codes, scales, zero_points);
      FAIL() << "not refused";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kFormat);
      EXPECT_NE(std::string(error.message()).find("row 101"), std::string::npos) << error.message();
      EXPECT_NE(std::string(error.message()).find("column 5"), std::string::npos) << error.message();
    }
  }
}

TEST(ZeroPoint, HalvesAndBFloatsGiveTheCodesOfTheirValues) {
  // 1, -2, 0.5, 3 and their like are exact in all three types.
  const std::vector<float> values = {1, -2, 0.5F, 3, 0, 1.5F, -1, 2, 1, -2, 0.5F, 3, 0, 1.5F, -1, 2};
  const Quantised want = quantise(values, 16, {4, 16});
  std::vector<std::uint16_t> bf16, f16;
  for (const float value : values) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &value, 4);
    bf16.push_back(static_cast<std::uint16_t>(bits >> 16));
    const std::uint32_t exponent = bits >> 23 & 255u;
    const std::uint32_t half = value == 0 ? 0 : (exponent - 112) << 10 | (bits >> 13 & 1023u);
    f16.push_back(static_cast<std::uint16_t>(bits >> 16 & 0x8000u) | static_cast<std::uint16_t>(half));
  }
  for (const auto& [dtype, stored] : {std::pair(DType::kBF16, bf16), std::pair(DType::kF16, f16)}) {
    std::vector<std::uint8_t> codes(16), zero_points(1);
    std::vector<float> scales(1);
    const WeightRows w = {reinterpret_cast<const std::byte*>(stored.data()), dtype, 1, 16};
    quantize_rows_zero_point(w, {4, 16}, 0, codes, scales, zero_points);
    EXPECT_EQ(codes, want.codes);
    EXPECT_EQ(scales, want.scales);
    EXPECT_EQ(zero_points, want.zero_points);
  }
}

}  // namespace
}  // namespace llm2mnn
