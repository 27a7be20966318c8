#include "base/checked.h"

#include <gtest/gtest.h>
#include <limits>

namespace llm2mnn {
namespace {

TEST(Checked, ACastThatDoesNotFitThrows) {
  EXPECT_EQ(checked_cast<std::uint8_t>(255), 255);
  EXPECT_EQ(checked_cast<std::int64_t>(std::uint64_t{5}), 5);
  EXPECT_THROW(checked_cast<std::uint8_t>(256), Error);
  EXPECT_THROW(checked_cast<std::uint32_t>(-1), Error);
  EXPECT_THROW(checked_cast<std::int64_t>(std::numeric_limits<std::uint64_t>::max()), Error);
}

TEST(Checked, OverflowIsReported) {
  std::int64_t out = 0;
  EXPECT_TRUE(checked_mul<std::int64_t>(1LL << 31, 1LL << 31, out));
  EXPECT_EQ(out, 1LL << 62);
  EXPECT_FALSE(checked_mul<std::int64_t>(1LL << 32, 1LL << 31, out));
  EXPECT_TRUE(checked_add<std::int64_t>(std::numeric_limits<std::int64_t>::max(), 0, out));
  EXPECT_FALSE(checked_add<std::int64_t>(std::numeric_limits<std::int64_t>::max(), 1, out));
  std::uint64_t sum = 0;
  EXPECT_FALSE(checked_add<std::uint64_t>(std::numeric_limits<std::uint64_t>::max(), 1, sum));
}

TEST(Checked, CeilDivRoundsUp) {
  EXPECT_EQ(ceil_div(0, 8), 0);
  EXPECT_EQ(ceil_div(1, 8), 1);
  EXPECT_EQ(ceil_div(8, 8), 1);
  EXPECT_EQ(ceil_div(9, 8), 2);
  EXPECT_EQ(ceil_div(std::numeric_limits<std::int64_t>::max(), std::int64_t{2}), 1LL << 62);
}

}  // namespace
}  // namespace llm2mnn
