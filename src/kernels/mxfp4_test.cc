#include "kernels/mxfp4.h"

#include <cmath>
#include <gtest/gtest.h>
#include <vector>

namespace llm2mnn {
namespace {

TEST(Mxfp4, ValuesAreInOrderAndScaledByTheirGroup) {
  // 0x10, 0x32, ...: the values 0, 1, 2, ... 15, twice a group.
  std::vector<std::byte> codes;
  for (unsigned i = 0; i < 32; ++i)
    codes.push_back(static_cast<std::byte>((2 * i % 16) | ((2 * i + 1) % 16) << 4));
  const std::vector<std::byte> scales = {std::byte{127}, std::byte{124}};
  const float magnitudes[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  std::vector<float> out(64);
  EXPECT_TRUE(decode_mxfp4(codes.data(), scales.data(), 2, out.data()));
  for (std::size_t i = 0; i < 64; ++i) {
    const float expected = magnitudes[i % 8] * (i % 16 < 8 ? 1.0F : -1.0F) / (i < 32 ? 1.0F : 8.0F);
    EXPECT_EQ(out[i], expected) << i;
    EXPECT_EQ(std::signbit(out[i]), i % 16 >= 8) << i;
  }
}

TEST(Mxfp4, EveryScaleIsItsPowerOfTwo) {
  std::vector<std::byte> codes(16, std::byte{0x72});  // 1, 6
  for (int stored = 0; stored < 256; ++stored) {
    const auto scale = static_cast<std::byte>(stored);
    std::vector<float> out(32);
    const bool finite = decode_mxfp4(codes.data(), &scale, 1, out.data());
    EXPECT_EQ(finite, stored <= 252) << stored;
    if (!finite) continue;
    EXPECT_EQ(out[0], std::ldexp(1.0, stored - 127)) << stored;
    EXPECT_EQ(out[31], std::ldexp(6.0, stored - 127)) << stored;
  }
}

}  // namespace
}  // namespace llm2mnn
