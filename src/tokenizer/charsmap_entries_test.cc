#include "tokenizer/charsmap_entries.h"

#include <gtest/gtest.h>

namespace llm2mnn {
namespace {

/// A charsmap whose keys are all words of `length` letters a and b; the two branches of a letter share their
/// end, as in the tries of real files.
std::string shared_charsmap(std::uint32_t length) {
  std::vector<std::uint32_t> units((length + 2) * 256, 0);
  const auto base = [](std::uint32_t level) { return (level + 1) << 8; };
  units[0] = base(0) << 10;
  for (std::uint32_t level = 0; level < length; ++level) {
    for (const std::uint32_t label : {0x61u, 0x62u}) {
      const std::uint32_t node = base(level) ^ label;
      const std::uint32_t has_value = level + 1 == length ? 1u << 8 : 0;
      units[node] = ((node ^ base(level + 1)) << 10) | has_value | label;
    }
  }
  units[base(length)] = 0x80000000u;  // the replacement at 0
  std::string bytes;
  const auto put = [&](std::uint32_t value) {
    for (unsigned shift = 0; shift < 32; shift += 8)
      bytes += static_cast<char>(static_cast<unsigned char>(value >> shift));
  };
  put(static_cast<std::uint32_t>(4 * units.size()));
  for (const std::uint32_t unit : units)
    put(unit);
  return bytes + std::string("x\0", 2);
}

TEST(CharsmapEntries, BranchesMayShareTheirEnds) {
  // More paths than units.
  const auto entries = read_charsmap(shared_charsmap(12));
  ASSERT_EQ(entries.size(), 4096u);
  EXPECT_EQ(entries[1].from, "aaaaaaaaaaab");
  EXPECT_EQ(entries[1].to, "x");
}

}  // namespace
}  // namespace llm2mnn
