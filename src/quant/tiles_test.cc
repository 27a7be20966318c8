#include "quant/tiles.h"

#include <gtest/gtest.h>

namespace llm2mnn {
namespace {

TEST(Tiles, AreMultiplesOfEightRowsNearOneMebibyte) {
  for (const std::int64_t cols : {1, 3, 64, 576, 2048, 4097, 14336, 65536}) {
    for (const std::int64_t width : {2, 4}) {
      const std::int64_t rows = tile_rows(cols, cols * width);
      EXPECT_EQ(rows % 8, 0);
      EXPECT_GE(rows, 8);
      EXPECT_LE(rows * cols * width, (1 << 20) + 8 * cols * width);
      EXPECT_GE(rows * cols * width, (1 << 20) - 8 * cols * width);
    }
  }
}

TEST(Tiles, OfVeryWideRowsHoldEight) { EXPECT_EQ(tile_rows(1 << 24, std::int64_t{1} << 25), 8); }

TEST(Tiles, OfEmptyRowsAreFinite) { EXPECT_GE(tile_rows(0, 0), 8); }

}  // namespace
}  // namespace llm2mnn
