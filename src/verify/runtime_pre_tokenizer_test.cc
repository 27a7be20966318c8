#include "verify/runtime_pre_tokenizer.h"

#include <gtest/gtest.h>

namespace llm2mnn::verify {
namespace {

using Kind = MtokPreTokenizer::Kind;
using Behavior = MtokPreTokenizer::Behavior;
using Pieces = std::vector<std::string>;

MtokPreTokenizer step_of(Kind kind, std::string_view text = {}, bool flag = false) {
  MtokPreTokenizer step;
  step.kind = kind;
  step.text = text;
  step.flag = flag;
  return step;
}

MtokPreTokenizer split_of(std::string_view pattern, Behavior behavior, bool invert = false) {
  MtokPreTokenizer step = step_of(Kind::kSplit, pattern);
  step.behavior = behavior;
  step.invert = invert;
  return step;
}

Pieces pieces(const MtokPreTokenizer& step, std::string_view text) {
  WorkBudget budget;
  return RuntimePreTokenizer(step).split(std::string(text), budget);
}

TEST(RuntimePreTokenizer, NoneKeepsTheText) {
  EXPECT_EQ(pieces(step_of(Kind::kNone), "a b"), (Pieces{"a b"}));
}

TEST(RuntimePreTokenizer, SplitIsolatesRemovesOrMerges) {
  EXPECT_EQ(pieces(split_of("-", Behavior::kIsolated), "a--b"), (Pieces{"a", "-", "-", "b"}));
  EXPECT_EQ(pieces(split_of("-", Behavior::kRemoved), "-a-b"), (Pieces{"a", "b"}));
  EXPECT_EQ(pieces(split_of("-", Behavior::kMergedWithPrevious), "-a-b"), (Pieces{"-", "a-", "b"}));
  EXPECT_EQ(pieces(split_of("[a-z]+", Behavior::kRemoved, true), "ab, c"), (Pieces{"ab", "c"}));
  EXPECT_EQ(pieces(split_of("[a-z]+", Behavior::kIsolated, true), "ab, c"), (Pieces{"ab", ", ", "c"}));
}

TEST(RuntimePreTokenizer, SplitFoldsCharactersToTheirClass) {
  EXPECT_EQ(pieces(split_of("\\p{L}+|\\p{N}", Behavior::kIsolated),
                   "a\xC3\xA9\xE4\xBD\xA0"
                   "12"),
            (Pieces{"a\xC3\xA9\xE4\xBD\xA0", "1", "2"}));
  EXPECT_EQ(pieces(split_of("\\s+", Behavior::kRemoved),
                   "a \xE3\x80\x80"
                   "b"),
            (Pieces{"a", "b"}));
  EXPECT_EQ(pieces(split_of("(?i:'S)", Behavior::kIsolated), "it's"), (Pieces{"it", "'s"}));
}

TEST(RuntimePreTokenizer, PatternsBeyondAsciiAreStdWregex) {
  EXPECT_EQ(pieces(split_of("\xE2\x96\x81[^\xE2\x96\x81]*", Behavior::kIsolated),
                   "\xE2\x96\x81"
                   "a\xE2\x96\x81"
                   "b"),
            (Pieces{"\xE2\x96\x81"
                    "a",
                    "\xE2\x96\x81"
                    "b"}));
}

TEST(RuntimePreTokenizer, AnUnknownAlternativeIsLeftOut) {
  EXPECT_EQ(pieces(split_of("x(?=y)|b", Behavior::kIsolated), "xyb"), (Pieces{"xy", "b"}));
  // GPT-2's pattern stands in for one of which nothing is left.
  EXPECT_EQ(pieces(split_of("x(?=y)", Behavior::kIsolated), "xy z"), (Pieces{"xy", " z"}));
}

TEST(RuntimePreTokenizer, MetaspaceReplacesBlanksAndKeepsOnePiece) {
  EXPECT_EQ(pieces(step_of(Kind::kMetaspace, "_", true), "a b"), (Pieces{"_a_b"}));
  EXPECT_EQ(pieces(step_of(Kind::kMetaspace, "_", true), " a"), (Pieces{"_a"}));
  EXPECT_EQ(pieces(step_of(Kind::kMetaspace, "_", false), "a b"), (Pieces{"a_b"}));
}

TEST(RuntimePreTokenizer, DigitsAreThoseOfAscii) {
  EXPECT_EQ(pieces(step_of(Kind::kDigits, {}, true), "a12\xD9\xA3"), (Pieces{"a", "1", "2", "\xD9\xA3"}));
  EXPECT_EQ(pieces(step_of(Kind::kDigits, {}, false), "a12"), (Pieces{"a12"}));  // runs stay in the word
}

TEST(RuntimePreTokenizer, BertSplitsAtBlanksAndPunctuation) {
  EXPECT_EQ(pieces(step_of(Kind::kBert), " don't\tgo\xE3\x80\x82$x "),
            (Pieces{"don", "'", "t", "go", "\xE3\x80\x82", "$", "x"}));
}

TEST(RuntimePreTokenizer, ByteLevelSpellsBytes) {
  EXPECT_EQ(pieces(step_of(Kind::kByteLevel, {}, false), "a \xC3\xA9"),
            (Pieces{"a\xC4\xA0\xC3\x83\xC2\xA9"}));
  EXPECT_EQ(pieces(step_of(Kind::kByteLevel, {}, true), "it's  12"), (Pieces{"it", "'s", "\xC4\xA0",
                                                                             "\xC4\xA0"
                                                                             "12"}));
}

TEST(RuntimePreTokenizer, ASequenceSplitsPiecesAgain) {
  MtokPreTokenizer sequence = step_of(Kind::kSequence);
  sequence.steps = {split_of(" ", Behavior::kRemoved), step_of(Kind::kDigits, {}, true)};
  EXPECT_EQ(pieces(sequence, "a1 2"), (Pieces{"a", "1", "2"}));
}

}  // namespace
}  // namespace llm2mnn::verify
