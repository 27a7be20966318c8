#include "kernels/pack.h"

#include <gtest/gtest.h>
#include <random>
#include <vector>

#include "kernels/test_levels.h"

namespace llm2mnn {
namespace {

/// Reads the stream bit by bit, most significant bit first.
std::vector<std::uint8_t> unpack(const std::vector<std::byte>& stream, std::size_t n, int bits) {
  std::vector<std::uint8_t> codes;
  std::size_t at = 0;
  for (std::size_t i = 0; i < n; ++i) {
    unsigned code = 0;
    for (int bit = 0; bit < bits; ++bit, ++at) {
      code = code * 2 + (static_cast<unsigned>(stream.at(at / 8)) >> (7 - at % 8)) % 2;
    }
    codes.push_back(static_cast<std::uint8_t>(code));
  }
  return codes;
}

TEST(PackCodes, UnpackedCodesAreTheCodes) {
  constexpr unsigned kSeed = 4;
  std::mt19937 random(kSeed);
  std::vector<std::size_t> sizes = {255, 256, 257, 1000, 4096, 4099};
  for (std::size_t n = 0; n < 140; ++n)
    sizes.push_back(n);
  for (int bits = 2; bits <= 8; ++bits) {
    for (const std::size_t n : sizes) {
      std::vector<std::uint8_t> codes(n);
      for (std::uint8_t& code : codes)
        code = static_cast<std::uint8_t>(random() % (1u << bits));
      const std::size_t bytes = (n * static_cast<std::size_t>(bits) + 7) / 8;
      for_each_level([&](const std::string&) {
        std::vector<std::byte> stream(bytes + 1, std::byte{0xff});
        pack_codes(codes.data(), n, bits, stream.data());
        ASSERT_EQ(stream.back(), std::byte{0xff}) << "wrote beyond the end";
        ASSERT_EQ(unpack(stream, n, bits), codes) << "seed " << kSeed << ", " << bits << " bits, " << n;
        const std::size_t unused = bytes * 8 - n * static_cast<std::size_t>(bits);
        const unsigned last = bytes == 0 ? 0 : static_cast<unsigned>(stream[bytes - 1]);
        ASSERT_EQ(last & ((1u << unused) - 1), 0u);
      });
    }
  }
}

TEST(PackCodes, TheFirstCodeIsInTheTopBits) {
  const std::uint8_t codes[] = {1, 2, 3, 0};
  for_each_level([&](const std::string&) {
    std::byte out[2];
    pack_codes(codes, 4, 4, out);
    EXPECT_EQ(out[0], std::byte{0x12});
    EXPECT_EQ(out[1], std::byte{0x30});
    pack_codes(codes, 4, 2, out);
    EXPECT_EQ(out[0], std::byte{0b01'10'11'00});
  });
}

}  // namespace
}  // namespace llm2mnn
