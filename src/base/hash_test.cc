#include "base/hash.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <string_view>
#include <vector>

namespace llm2mnn {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

// The digits are those of `printf '' | xxh128sum` and `printf abc | xxh128sum`.
TEST(Hash, GivesTheDigitsOfXxh128sum) {
  EXPECT_EQ(xxh128({}).hex(), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(xxh128(bytes_of("abc")).hex(), "06b05ab6733a618578af5f94892f3950");
}

TEST(Hash, PiecesGiveTheHashOfTheWhole) {
  std::vector<std::byte> data(10'000);
  for (std::size_t i = 0; i < data.size(); ++i)
    data[i] = static_cast<std::byte>(i * 7);
  for (const std::size_t piece : {1u, 63u, 64u, 1000u, 10'000u}) {
    Hasher128 hasher;
    for (std::size_t at = 0; at < data.size(); at += piece)
      hasher.update(std::span(data).subspan(at, std::min(piece, data.size() - at)));
    EXPECT_EQ(hasher.digest(), xxh128(data)) << piece;
  }
  EXPECT_EQ(Hasher128().digest(), xxh128({}));
}

TEST(Hash, OneBitChangesIt) {
  std::vector<std::byte> data(100);
  const Digest128 before = xxh128(data);
  data[50] = std::byte{1};
  EXPECT_FALSE(xxh128(data) == before);
}

}  // namespace
}  // namespace llm2mnn
