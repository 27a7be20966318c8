#include "tokenizer/normalize.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "base/error.h"

namespace llm2mnn {
namespace {

using Kind = NormalizerStep::Kind;

NormalizerStep step_of(Kind kind) {
  NormalizerStep step;
  step.kind = kind;
  return step;
}

std::string normalize(const NormalizerStep& step, std::string_view text) {
  const std::vector<NormalizerStep> steps = {step};
  return Normalizer(steps).apply(text).text;
}

std::string u32(std::uint32_t value) {
  std::string out;
  for (int i = 0; i < 4; ++i)
    out += static_cast<char>(static_cast<unsigned char>(value >> (8 * i)));
  return out;
}

TEST(Normalizer, ComposesAndDecomposes) {
  EXPECT_EQ(normalize(step_of(Kind::kNfc), "cafe\xCC\x81 e\xCC\x81x"), "caf\xC3\xA9 \xC3\xA9x");
  EXPECT_EQ(normalize(step_of(Kind::kNfd), "\xC3\xA9"), "e\xCC\x81");
  EXPECT_EQ(normalize(step_of(Kind::kNfkc), "\xEF\xAC\x81"), "fi");
  EXPECT_EQ(normalize(step_of(Kind::kNfkd), "\xEF\xAC\x81\xC3\xA9"), "fie\xCC\x81");
  // Dot below goes in front of the acute, which stays apart from it.
  EXPECT_EQ(normalize(step_of(Kind::kNfc), "a\xCC\x81\xCC\xA3"), "\xE1\xBA\xA1\xCC\x81");
  EXPECT_EQ(normalize(step_of(Kind::kNfc), "\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8"),
            "\xEA\xB0\x81");                                              // Hangul
  EXPECT_EQ(normalize(step_of(Kind::kNfc), "\xE2\x84\xAB"), "\xC3\x85");  // a singleton
}

TEST(Normalizer, KnowsOnlyTheMarksOfUnicode9) {
  const std::string new_mark = "\xE0\xA2\x98";  // U+0898, class 230, of Unicode 14
  EXPECT_EQ(normalize(step_of(Kind::kNfd), "a" + new_mark + "\xCC\xA3"), "a" + new_mark + "\xCC\xA3");
}

TEST(Normalizer, LowersEveryCharacterAlone) {
  EXPECT_EQ(normalize(step_of(Kind::kLowercase), "A\xCE\xA3\xC4\xB0"), "a\xCF\x83i\xCC\x87");
}

TEST(Normalizer, StripsBlanksAndTellsThatTheStartIsGone) {
  NormalizerStep step = step_of(Kind::kStrip);
  step.strip_left = true;
  const std::vector<NormalizerStep> left = {step};
  EXPECT_EQ(Normalizer(left).apply("\xE3\x80\x80 a ").text, "a ");
  EXPECT_FALSE(Normalizer(left).apply(" a").keeps_start);
  EXPECT_TRUE(Normalizer(left).apply("a ").keeps_start);
  step.strip_right = true;
  EXPECT_EQ(normalize(step, " a b \n"), "a b");
}

TEST(Normalizer, ReplacesAndPrepends) {
  NormalizerStep replace = step_of(Kind::kReplace);
  replace.pattern = {"\\s+", true};
  replace.content = "_";
  EXPECT_EQ(normalize(replace, "a \n b"), "a_b");
  NormalizerStep prepend = step_of(Kind::kPrepend);
  prepend.content = "_";
  EXPECT_EQ(normalize(prepend, "a"), "_a");
  EXPECT_EQ(normalize(prepend, ""), "");
}

TEST(Normalizer, CleansTextForBert) {
  NormalizerStep bert = step_of(Kind::kBert);
  EXPECT_EQ(normalize(bert, "\xC3\x89t\xC3\xA9\x01\t\xE6\xBC\xA2!"), "ete  \xE6\xBC\xA2 !");
  bert.strip_accents = false;
  bert.clean_text = bert.handle_chinese_chars = false;
  EXPECT_EQ(normalize(bert, "\xC3\x89\x01"), "\xC3\xA9\x01");
}

TEST(Normalizer, TakesTheShortestEntryOfACharsmap) {
  // Units at 0: the root, offset 1; "A" leads from 1 ^ 'A' to a leaf.
  std::vector<std::uint32_t> units(128, 0xFF);
  units[0] = 1u << 10;
  const std::uint32_t node = 1 ^ 'A';
  units[node] = (2u << 10) | (1u << 8) | 'A';
  units[node ^ 2] = (1u << 31) | 0;
  std::string map = u32(128 * 4);
  for (const std::uint32_t unit : units)
    map += u32(unit);
  map += "alpha";
  map += '\0';
  NormalizerStep step = step_of(Kind::kPrecompiled);
  step.charsmap = map;
  EXPECT_EQ(normalize(step, "bAb"), "balphab");
  // A cluster below 6 bytes is replaced as a whole.
  EXPECT_EQ(normalize(step, "A\xCC\x81"), "alpha");
  EXPECT_EQ(normalize(step, "A\xCC\x81\xCC\x81\xCC\x81"), "alpha\xCC\x81\xCC\x81\xCC\x81");
}

TEST(Normalizer, RefusesABrokenCharsmap) {
  NormalizerStep step = step_of(Kind::kPrecompiled);
  for (const std::string& bad :
       {std::string(), std::string("abc"), u32(400) + "abc", u32(3) + "abc", u32(0)}) {
    step.charsmap = bad;
    const std::vector<NormalizerStep> steps = {step};
    EXPECT_THROW(Normalizer{steps}, Error);
  }
}

}  // namespace
}  // namespace llm2mnn
