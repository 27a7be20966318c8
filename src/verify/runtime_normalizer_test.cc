#include "verify/runtime_normalizer.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace llm2mnn::verify {
namespace {

using Kind = MtokNormalizer::Kind;

MtokNormalizer step_of(Kind kind) {
  MtokNormalizer step;
  step.kind = kind;
  return step;
}

std::string normalized(const MtokNormalizer& step, std::string_view text) {
  WorkBudget budget;
  return normalize(step, std::string(text), budget);
}

TEST(RuntimeNormalizer, PrependsToEveryText) {
  MtokNormalizer step = step_of(Kind::kPrepend);
  step.content = "_";
  EXPECT_EQ(normalized(step, "a"), "_a");
  EXPECT_EQ(normalized(step, "_a"), "__a");
  EXPECT_EQ(normalized(step, ""), "_");
}

TEST(RuntimeNormalizer, ReplacesFromLeftToRightOnce) {
  MtokNormalizer step = step_of(Kind::kReplace);
  step.pattern = "aa";
  step.content = "a";
  EXPECT_EQ(normalized(step, "aaaaab"), "aaab");
  step.pattern = "";
  EXPECT_EQ(normalized(step, "ab"), "ab");
}

TEST(RuntimeNormalizer, StripsOnTheLeftOnly) {
  MtokNormalizer step = step_of(Kind::kStrip);
  step.left = step.right = true;
  EXPECT_EQ(normalized(step, " \t\xE3\x80\x80 a "), "a ");
  step.left = false;
  EXPECT_EQ(normalized(step, " a "), " a ");
}

TEST(RuntimeNormalizer, ATableMapsCharactersAndBlanksControls) {
  MtokNormalizer step = step_of(Kind::kTable);
  EXPECT_EQ(normalized(step, "\x01"), "\x01");  // an empty table does nothing at all
  step.table = {{0xC9, "e"}, {0xFB01, "fi"}, {0x200B, "x"}};
  EXPECT_EQ(normalized(step, "\xC3\x89 \xEF\xAC\x81!"), "e fi!");
  EXPECT_EQ(normalized(step, "a\x01\xE2\x80\x8B\n"), "a  \n");  // whatever the table says of U+200B
}

TEST(RuntimeNormalizer, BertCleansSplitsAndLowers) {
  MtokNormalizer step = step_of(Kind::kBert);
  step.clean = step.chinese = step.lower = true;
  EXPECT_EQ(normalized(step, "A\tB\x01\xC2\xA0\xE6\xBC\xA2!"), "a b  \xE6\xBC\xA2 !");
  step.chinese = step.lower = false;
  EXPECT_EQ(normalized(step, "A\tB\x01"), "A B");
  step.clean = false;
  EXPECT_EQ(normalized(step, "A\tB\x01"), "A\tB\x01");
}

TEST(RuntimeNormalizer, BertDropsMarksOnlyWithATable) {
  MtokNormalizer step = step_of(Kind::kBert);
  step.strip_accents = true;
  EXPECT_EQ(normalized(step, "e\xCC\x81"), "e\xCC\x81");
  step.table = {{0xE9, "e\xCC\x81"}};
  EXPECT_EQ(normalized(step, "\xC3\xA9 e\xCC\x81"), "e e");
  step.chinese = true;  // what gets blanks around it is not looked up
  step.table = {{0x6F22, "x"}};
  EXPECT_EQ(normalized(step, "\xE6\xBC\xA2"), " \xE6\xBC\xA2 ");
}

TEST(RuntimeNormalizer, ASequenceIsOneStepAfterTheOther) {
  MtokNormalizer first = step_of(Kind::kReplace), second = step_of(Kind::kReplace);
  first.pattern = "a";
  first.content = "b";
  second.pattern = "b";
  second.content = "c";
  MtokNormalizer sequence = step_of(Kind::kSequence);
  sequence.steps = {first, second, step_of(Kind::kOldNfkc)};
  EXPECT_EQ(normalized(sequence, "ab"), "cc");
}

TEST(RuntimeNormalizer, GrowthIsBounded) {
  MtokNormalizer doubling = step_of(Kind::kReplace);
  doubling.pattern = "a";
  doubling.content = "aa";
  MtokNormalizer sequence = step_of(Kind::kSequence);
  sequence.steps.assign(60, doubling);
  WorkBudget budget(100'000);
  EXPECT_THROW(normalize(sequence, "a", budget), Error);
}

}  // namespace
}  // namespace llm2mnn::verify
