#include "tokenizer/decode.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace llm2mnn {
namespace {

using Kind = DecoderStep::Kind;
using Tokens = std::vector<std::string>;

DecoderStep step_of(Kind kind, std::string content = {}) {
  DecoderStep step;
  step.kind = kind;
  step.content = std::move(content);
  return step;
}

std::string decode(const std::vector<DecoderStep>& steps, Tokens tokens) {
  return Decoder(steps).decode(std::move(tokens));
}

TEST(Decoder, JoinsByBlanksWithoutSteps) { EXPECT_EQ(decode({}, {"a", "b"}), "a b"); }

TEST(Decoder, ReplacesBytesThatAreNoCharacter) {
  EXPECT_EQ(to_valid_utf8("a\xC3"
                          "b\xE2\x82"),
            "a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD");
  EXPECT_EQ(to_valid_utf8("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(to_valid_utf8("\xF0\x9F\x98\x80\xC0\x80"), "\xF0\x9F\x98\x80\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(decode({step_of(Kind::kByteLevel)}, {"\xC3\x83", "\xC2\xA9", "\xC4\xA0\xE2\x96\x81"}),
            "\xC3\xA9\xC4\xA0\xE2\x96\x81");
}

TEST(Decoder, JoinsByteTokens) {
  const DecoderStep step = step_of(Kind::kByteFallback);
  EXPECT_EQ(decode({step}, {"a", "<0xC3>", "<0xA9>", "b"}),
            "a\xC3\xA9"
            "b");
  EXPECT_EQ(decode({step}, {"<0xC3>", "<0x41>"}), "\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(decode({step}, {"<0xG0>", "<0x1>"}), "<0xG0><0x1>");
}

TEST(Decoder, CleansWordPiecesUp) {
  DecoderStep step = step_of(Kind::kWordPiece, "##");
  EXPECT_EQ(decode({step}, {"##a", "##b", "c", ".", "do", "not"}), "##ab c. do not");
  step.cleanup = false;
  EXPECT_EQ(decode({step}, {"c", "."}), "c .");
}

TEST(Decoder, TurnsMarksIntoBlanks) {
  DecoderStep step = step_of(Kind::kMetaspace, "_");
  EXPECT_EQ(decode({step}, {"_a_", "_b"}), "a b");
  step.prepend_scheme = PrependScheme::kNever;
  EXPECT_EQ(decode({step}, {"_a", "_b"}), " a b");
}

TEST(Decoder, StripsReplacesAndFuses) {
  DecoderStep strip = step_of(Kind::kStrip, " ");
  strip.start = 1;
  DecoderStep replace = step_of(Kind::kReplace, " ");
  replace.pattern = {"_", false};
  EXPECT_EQ(decode({replace, strip}, {"__a", "_b"}), " ab");
  EXPECT_EQ(decode({replace, step_of(Kind::kFuse), strip}, {"__a", "_b"}), " a b");
}

TEST(Decoder, DropsDoubledTokensOfCtc) {
  DecoderStep step = step_of(Kind::kCtc, "<pad>");
  step.word_delimiter = "|";
  EXPECT_EQ(decode({step}, {"a", "a", "<pad>", "a", "|", "b"}), "aa b");
}

TEST(Decoder, TurnsSuffixesIntoBlanks) {
  EXPECT_EQ(decode({step_of(Kind::kBpe, "</w>")}, {"a", "b</w>", "c</w>"}), "ab c");
}

}  // namespace
}  // namespace llm2mnn
