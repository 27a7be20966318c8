#include "tokenizer/charsmap_entries.h"

#include <gtest/gtest.h>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace llm2mnn {
namespace {

std::string to_bytes(const std::vector<std::uint32_t>& units, std::string_view replacements) {
  std::string bytes;
  const auto put = [&](std::uint32_t value) {
    for (unsigned shift = 0; shift < 32; shift += 8)
      bytes += static_cast<char>(static_cast<unsigned char>(value >> shift));
  };
  put(static_cast<std::uint32_t>(4 * units.size()));
  for (const std::uint32_t unit : units)
    put(unit);
  return bytes + std::string(replacements);
}

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
  return to_bytes(units, std::string_view("x\0", 2));
}

std::string refusal(const std::string& bytes) {
  try {
    read_charsmap(bytes);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kFormat);
    return error.message();
  }
  return {};
}

TEST(CharsmapEntries, BranchesMayShareTheirEnds) {
  // More paths than units.
  const auto entries = read_charsmap(shared_charsmap(12));
  ASSERT_EQ(entries.size(), 4096u);
  EXPECT_EQ(entries[1].from, "aaaaaaaaaaab");
  EXPECT_EQ(entries[1].to, "x");
}

TEST(CharsmapEntries, BrokenMapsAreRefused) {
  const auto expect = [](const std::string& bytes, std::string_view message) {
    EXPECT_NE(refusal(bytes).find(message), std::string::npos) << refusal(bytes);
  };
  expect("", "0 bytes are too short");
  expect("abc", "3 bytes are too short");
  expect(std::string(4, '\0'), "a trie of 0 bytes does not fit into 4");
  expect(std::string("\4\0\0\0abc", 7), "a trie of 4 bytes does not fit into 7");
  expect(std::string("\3\0\0\0abcd", 8), "a trie of 3 bytes does not fit into 8");
  expect(std::string("\xFF\xFF\xFF\xFF", 4), "does not fit");
  expect(to_bytes({0x1FFu << 10 | 1u << 8}, ""), "has a trie that leads out of itself");
  expect(shared_charsmap(70), "has a trie that does not end");
  expect(shared_charsmap(20), "has a trie that does not end");  // a million paths
}

TEST(CharsmapEntries, BrokenReplacementsAreRefused) {
  const auto with_value = [](std::uint32_t value, std::string_view replacements) {
    std::string bytes = shared_charsmap(1);
    bytes.resize(bytes.size() - 2);
    bytes.replace(4 + 4 * 512, 1, 1, static_cast<char>(value));  // the unit of the value
    return bytes + std::string(replacements);
  };
  EXPECT_EQ(refusal(with_value(0, std::string_view("x\0", 2))), "");
  EXPECT_NE(refusal(with_value(9, "x")).find("has a replacement behind its end"), std::string::npos);
  EXPECT_NE(refusal(with_value(0, std::string(300, 'x'))).find("has a replacement that does not end"),
            std::string::npos);
  EXPECT_NE(refusal(with_value(0, "\xFF")).find("holds text that is no UTF-8"), std::string::npos);
}

}  // namespace
}  // namespace llm2mnn
