#include "tokenizer/pre_tokenize.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace llm2mnn {
namespace {

using Kind = PreTokenizerStep::Kind;

std::string split(const std::vector<PreTokenizerStep>& steps, std::string_view text) {
  Words words;
  words.text = text;
  words.spans = {{0, static_cast<std::uint32_t>(text.size())}};
  PreTokenizer(steps, false).run(words);
  std::string out;
  for (std::size_t i = 0; i < words.spans.size(); ++i) {
    if (i != 0) out += '|';
    out += words.word(i);
  }
  return out;
}

std::string split_by(SplitBehavior behavior, bool invert, std::string_view text) {
  PreTokenizerStep step;
  step.kind = Kind::kSplit;
  step.pattern = {"-", false};
  step.behavior = behavior;
  step.invert = invert;
  return split({step}, text);
}

PreTokenizerStep step_of(Kind kind) {
  PreTokenizerStep step;
  step.kind = kind;
  return step;
}

TEST(PreTokenizer, SplitsInFiveWays) {
  EXPECT_EQ(split_by(SplitBehavior::kIsolated, false, "a--b-"), "a|-|-|b|-");
  EXPECT_EQ(split_by(SplitBehavior::kRemoved, false, "a--b-"), "a|b");
  EXPECT_EQ(split_by(SplitBehavior::kMergedWithPrevious, false, "a--b-"), "a-|-|b-");
  EXPECT_EQ(split_by(SplitBehavior::kMergedWithNext, false, "a--b-"), "a|-|-b|-");
  EXPECT_EQ(split_by(SplitBehavior::kContiguous, false, "a--b-"), "a|--|b|-");
}

TEST(PreTokenizer, InvertsMatches) {
  EXPECT_EQ(split_by(SplitBehavior::kRemoved, true, "a--b-"), "-|-|-");
  EXPECT_EQ(split_by(SplitBehavior::kMergedWithPrevious, true, "a--b-"), "a|-|-b|-");
}

TEST(PreTokenizer, MergesWithAnEmptyMatchRatherThanWithTheWordBeforeIt) {
  PreTokenizerStep step = step_of(Kind::kSplit);
  step.pattern = {"(?<=-)", true};
  step.behavior = SplitBehavior::kMergedWithPrevious;
  step.invert = true;
  EXPECT_EQ(split({step}, "a--"), "a-|-");
  step.pattern.text = "x*";
  EXPECT_EQ(split({step}, "axb"), "a|xb");
}

TEST(PreTokenizer, SpellsBytesAndPutsABlankInFront) {
  PreTokenizerStep step = step_of(Kind::kByteLevel);
  EXPECT_EQ(split({step}, "it's \xC3\xA9  12"),
            "it|'s|\xC4\xA0\xC3\x83\xC2\xA9|\xC4\xA0|\xC4\xA0"
            "12");
  step.add_prefix_space = true;
  EXPECT_EQ(split({step}, "a"),
            "\xC4\xA0"
            "a");
  step.use_regex = false;
  EXPECT_EQ(split({step}, " a b"),
            "\xC4\xA0"
            "a\xC4\xA0"
            "b");
}

TEST(PreTokenizer, SplitsDigitsPunctuationAndBlanks) {
  PreTokenizerStep digits = step_of(Kind::kDigits);
  EXPECT_EQ(split({digits},
                  "a12\xC2\xBD"
                  "b"),
            "a|12\xC2\xBD|b");
  digits.individual_digits = true;
  EXPECT_EQ(split({digits}, "a12b"), "a|1|2|b");
  EXPECT_EQ(split({step_of(Kind::kPunctuation)}, "a,$b"), "a|,|$|b");
  EXPECT_EQ(split({step_of(Kind::kWhitespace)}, "a_1, \xC3\xA9!?"), "a_1|,|\xC3\xA9|!?");
  EXPECT_EQ(split({step_of(Kind::kWhitespaceSplit)},
                  " a,\xE3\x80\x80"
                  "b "),
            "a,|b");
  EXPECT_EQ(split({step_of(Kind::kBert)}, "a, b"), "a|,|b");
}

TEST(PreTokenizer, PutsTheMarkInFrontAsTheSchemeSays) {
  PreTokenizerStep step = step_of(Kind::kMetaspace);
  step.content = "_";
  EXPECT_EQ(split({step}, "a b"), "_a|_b");
  EXPECT_EQ(split({step}, " a"), "_a");
  step.split = false;
  EXPECT_EQ(split({step}, "a b"), "_a_b");
  step.prepend_scheme = PrependScheme::kNever;
  EXPECT_EQ(split({step}, "a b"), "a_b");
  step.prepend_scheme = PrependScheme::kFirst;
  EXPECT_EQ(split({step_of(Kind::kWhitespaceSplit), step}, "a b"), "_a|b");
  EXPECT_EQ(split({step_of(Kind::kWhitespaceSplit), step}, " a b"), "a|b");
}

TEST(PreTokenizer, SplitsByDelimiterScriptAndLength) {
  PreTokenizerStep delimiter = step_of(Kind::kCharDelimiterSplit);
  delimiter.content = "\xC3\xA9";
  EXPECT_EQ(split({delimiter},
                  "a\xC3\xA9\xC3\xA9"
                  "b"),
            "a|b");
  EXPECT_EQ(split({step_of(Kind::kUnicodeScripts)}, "ab \xD0\x96\xE6\xBC\xA2\xE3\x81\x82"),
            "ab |\xD0\x96|\xE6\xBC\xA2\xE3\x81\x82");
  PreTokenizerStep fixed = step_of(Kind::kFixedLength);
  fixed.length = 2;
  EXPECT_EQ(split({fixed},
                  "a\xC3\xA9"
                  "bcd"),
            "a\xC3\xA9|bc|d");
}

}  // namespace
}  // namespace llm2mnn
