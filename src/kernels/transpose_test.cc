#include "kernels/transpose.h"

#include <cstdint>
#include <gtest/gtest.h>
#include <limits>
#include <vector>

namespace llm2mnn {
namespace {

// Below, at and above the block of 16, and long and thin.
constexpr std::size_t kSizes[] = {0, 1, 2, 15, 16, 17, 31, 33, 100};

template <typename T>
class Transpose : public testing::Test {};
using Widths = testing::Types<std::uint8_t, std::uint16_t, std::uint32_t>;
TYPED_TEST_SUITE(Transpose, Widths);

TYPED_TEST(Transpose, PutsEveryValueAtItsColumn) {
  for (const std::size_t rows : kSizes) {
    for (const std::size_t cols : kSizes) {
      std::vector<TypeParam> in(rows * cols);
      for (std::size_t i = 0; i < in.size(); ++i)
        in[i] = static_cast<TypeParam>(i * 2654435761u >> 8);
      // One more than it may write.
      std::vector<TypeParam> out(in.size() + 1, 77);
      transpose(in.data(), rows, cols, out.data());
      for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t c = 0; c < cols; ++c)
          ASSERT_EQ(out[c * rows + r], in[r * cols + c]) << rows << "x" << cols << " at " << r << "," << c;
      EXPECT_EQ(out.back(), 77);
    }
  }
}

}  // namespace
}  // namespace llm2mnn
