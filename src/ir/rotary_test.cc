#include "ir/rotary.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

namespace llm2mnn::ir {
namespace {

float at(const std::vector<std::byte>& table, std::size_t index) {
  float value = 0;
  std::memcpy(&value, table.data() + index * sizeof value, sizeof value);
  return value;
}

TEST(RotaryTables, HaveOneHighRowPer2048Positions) {
  const RopeTable table{0, 1, {1.0F, 0.5F, 0.25F}, 1.0, 4097};
  EXPECT_EQ(rotary_high_rows(table), 3);
  const auto tables = rotary_tables(table);
  EXPECT_EQ(tables[0].size(), 3u * 3u * 4u);
  EXPECT_EQ(tables[1].size(), 3u * 3u * 4u);
  EXPECT_EQ(tables[2].size(), 2048u * 3u * 4u);
  EXPECT_EQ(tables[3].size(), 2048u * 3u * 4u);
}

TEST(RotaryTables, ProductsGiveTheAngleAtAnyPosition) {
  const RopeTable table{0, 1, {1.0F, 0.1F, 1e-4F}, 1.25, 1 << 17};
  const auto [cos_high, sin_high, cos_low, sin_low] = rotary_tables(table);
  // Two float32 products and a sum of numbers up to 1.25.
  constexpr double kTolerance = 4e-7;
  for (const std::size_t position : {0u, 1u, 2047u, 2048u, 2049u, 100000u, (1u << 17) - 1}) {
    for (std::size_t j = 0; j < 3; ++j) {
      const std::size_t high = position / 2048 * 3 + j;
      const std::size_t low = position % 2048 * 3 + j;
      const double angle = static_cast<double>(position) * static_cast<double>(table.inv_freq[j]);
      EXPECT_NEAR(at(cos_high, high) * at(cos_low, low) - at(sin_high, high) * at(sin_low, low),
                  1.25 * std::cos(angle), kTolerance);
      EXPECT_NEAR(at(sin_high, high) * at(cos_low, low) + at(cos_high, high) * at(sin_low, low),
                  1.25 * std::sin(angle), kTolerance);
    }
  }
}

TEST(RotaryCache, AnyPartIsThatOfTheWhole) {
  const RopeTable table{0, 1, {1.0F, 0.1F, 1e-4F}, 1.25, 1 << 17};
  std::vector<float> part(8);
  for (const std::int64_t begin : {0, 1, 2, 3, 3 * 100000 + 2}) {
    for (const Trig trig : {Trig::kCos, Trig::kSin}) {
      rotary_cache(table, trig, begin, part);
      for (std::size_t i = 0; i < part.size(); ++i) {
        const std::size_t at = static_cast<std::size_t>(begin) + i;
        const double angle = static_cast<double>(at / 3) * static_cast<double>(table.inv_freq[at % 3]);
        EXPECT_EQ(part[i],
                  static_cast<float>(1.25 * (trig == Trig::kCos ? std::cos(angle) : std::sin(angle))));
      }
    }
  }
}

}  // namespace
}  // namespace llm2mnn::ir
