#include "tokenizer/piece_table.h"

#include <gtest/gtest.h>

#include "tokenizer/bpe.h"
#include "tokenizer/merge_table.h"
#include "tokenizer/nfc.h"
#include "tokenizer/tokenizer_model.h"
#include "tokenizer/unicode_sets.h"

namespace llm2mnn {
namespace {

TEST(PieceTable, FindsWhatWasInserted) {
  PieceTable table;
  EXPECT_FALSE(table.find("x").has_value());
  constexpr std::uint32_t kCount = 5000;  // several growths
  for (std::uint32_t i = 0; i < kCount; ++i)
    EXPECT_TRUE(table.insert("piece" + std::to_string(i), 2 * i));
  EXPECT_FALSE(table.insert("piece7", 1));
  EXPECT_EQ(table.size(), kCount);
  for (std::uint32_t i = 0; i < kCount; ++i) {
    ASSERT_EQ(table.find("piece" + std::to_string(i)), i);
    ASSERT_EQ(table.find_id("piece" + std::to_string(i)), 2 * i);
    ASSERT_EQ(table.text(i), "piece" + std::to_string(i));
  }
  EXPECT_FALSE(table.find("piece").has_value());
}

TEST(PieceTable, TakesTheEmptyString) {
  PieceTable table;
  EXPECT_TRUE(table.insert("", 3));
  EXPECT_FALSE(table.insert("", 4));
  EXPECT_EQ(table.find_id(""), 3u);
}

TEST(ByteAlphabet, IsThatOfGpt2) {
  EXPECT_EQ(byte_alphabet(' '), U'Ġ');
  EXPECT_EQ(byte_alphabet('\n'), U'Ċ');
  EXPECT_EQ(byte_alphabet('a'), U'a');
  EXPECT_EQ(byte_alphabet(0xAD), char32_t{0x143});
  EXPECT_EQ(to_byte_alphabet(" é\n"), "ĠÃ©Ċ");
  std::string bytes;
  EXPECT_TRUE(from_byte_alphabet("ĠÃ©Ċ", bytes));
  EXPECT_EQ(bytes, " é\n");
  EXPECT_FALSE(from_byte_alphabet("一", bytes));
}

TEST(Utf8, GoesThroughCodePoints) {
  std::string text;
  for (const char32_t c : {U'a', U'é', U'一', U'😀'})
    append_utf8(text, c);
  EXPECT_EQ(text, "aé一😀");
  std::size_t pos = 0;
  for (const char32_t c : {U'a', U'é', U'一', U'😀'})
    EXPECT_EQ(next_code_point(text, pos), c);
  EXPECT_EQ(pos, text.size());
}

TEST(Bpe, MergesAreSortedByTheirPartsAndTheLaterOfTwoEqualOnesCounts) {
  BpeModel bpe;
  bpe.merges = {{1, 2, 4}, {0, 1, 3}, {1, 2, 4}};
  const std::vector<RankedMerge> merges = sorted_merges(bpe);
  ASSERT_EQ(merges.size(), 2u);
  EXPECT_EQ(merges[0].left, 0u);
  EXPECT_EQ(merges[1].rank, 2u);
}

TEST(MergeTable, OfTwoEqualMergesTheLaterCounts) {
  const MergeTable table({{1, 2, 4}, {2, 1, 5}, {1, 2, 6}});
  EXPECT_EQ(table.find(1, 2)->rank, 2u);
  EXPECT_EQ(table.find(1, 2)->merged, 6u);
  EXPECT_EQ(table.find(2, 1)->merged, 5u);
  EXPECT_EQ(table.find(2, 2), nullptr);
  EXPECT_EQ(MergeTable({}).find(0, 0), nullptr);
}

TEST(BytePiece, NamesAByte) {
  for (unsigned byte = 0; byte < 256; ++byte)
    EXPECT_EQ(byte_of_piece(byte_piece(byte)), byte);
  EXPECT_EQ(byte_of_piece("<0xaF>"), 0xAF);
  for (const char* other : {"", "<0x0>", "<0x+5>", "<0x0G>", "<0x00", "<0x000>", "<1x00>"})
    EXPECT_FALSE(byte_of_piece(other)) << other;
}

std::string nfc(std::string text) {
  for (const Replacement& step : nfc_replacements()) {
    for (std::size_t pos = text.find(step.from); pos != std::string::npos; pos = text.find(step.from, pos)) {
      text.replace(pos, step.from.size(), step.to);
      pos += step.to.size();
    }
  }
  return text;
}

TEST(Nfc, ComposesAndReorders) {
  const std::pair<const char*, const char*> cases[] = {
      {"e\u0301", "\u00e9"},
      {"e\u0323\u0302", "\u1ec7"},
      {"e\u0302\u0323", "\u1ec7"},
      {"\u00ea\u0323", "\u1ec7"},
      {"\u00e9\u0323", "\u1eb9\u0301"},
      {"o\u0301\u031b", "\u1edb"},
      {"u\u0308\u0304", "\u01d6"},
      {"\u212b\u2126", "\u00c5\u03a9"},
      {"\u0958", "\u0915\u093c"},
      {"\u1100\u1161\u11a8", "\uac01"},
      {"\uac00\u11a8", "\uac01"},
      {"\u304b\u3099", "\u304c"},
      {"\u0627\u0654\u064e", "\u0623\u064e"},
      {"\u0627\u064e\u0654", "\u0623\u064e"},
      {"\u0644\u0651\u064e", "\u0644\u064e\u0651"},
      {"\u00f6\u0327", "\u00f6\u0327"},
      {"\u05e9\u05c1\u05b8", "\u05e9\u05b8\u05c1"},
      {"plain", "plain"},
  };
  for (const auto& [from, to] : cases)
    EXPECT_EQ(nfc(from), to) << from;
}

TEST(Nfc, LeavesComposedTextAlone) {
  EXPECT_EQ(nfc("Việt Nam, größer, 한국어, がぎぐ, क़लम"), "Việt Nam, größer, 한국어, がぎぐ, क़लम");
}

// `tokenizers` has the forms of Unicode 9.
TEST(Nfc, KnowsNoNewerCharacters) {
  EXPECT_EQ(nfc("\U00011935\U00011930"), "\U00011935\U00011930");  // U+11938 is of Unicode 13
  for (const Replacement& step : nfc_replacements()) {
    for (const std::string& text : {step.from, step.to}) {
      for (std::size_t pos = 0; pos < text.size();) {
        const char32_t c = next_code_point(text, pos);
        ASSERT_FALSE(is_undecomposed(c) || is_unordered(c)) << text;
      }
    }
  }
}

}  // namespace
}  // namespace llm2mnn
