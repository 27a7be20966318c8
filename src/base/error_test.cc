#include "base/error.h"

#include <cerrno>
#include <gtest/gtest.h>
#include <set>

namespace llm2mnn {
namespace {

TEST(Shown, PlainNamesAndGoodUtf8StandAsTheyAre) {
  EXPECT_EQ(shown("model.layers.0"), "'model.layers.0'");
  EXPECT_EQ(shown(""), "''");
  EXPECT_EQ(shown("Gr\u00fc\u00dfe \u4f60\u597d \U0001F600"), "'Gr\u00fc\u00dfe \u4f60\u597d \U0001F600'");
}

TEST(Shown, WhatATerminalOrAReaderCouldMistakeIsEscaped) {
  EXPECT_EQ(shown("a\nb\x1b[31m\x7f"), "'a\\x0ab\\x1b[31m\\x7f'");
  EXPECT_EQ(shown(std::string_view("a\0b", 3)), "'a\\x00b'");
  EXPECT_EQ(shown("it's"), "'it\\'s'");
  EXPECT_EQ(shown("a\\x0a"), "'a\\\\x0a'");
  EXPECT_EQ(shown("\xC2\x9B"), "'\\xc2\\x9b'");                          // C1
  EXPECT_EQ(shown("\u202E"), "'\\xe2\\x80\\xae'");                       // right-to-left override
  EXPECT_EQ(shown("\u2066\u2028"), "'\\xe2\\x81\\xa6\\xe2\\x80\\xa8'");  // isolate, line separator
}

TEST(Shown, InvalidUtf8IsEscapedByteByByte) {
  EXPECT_EQ(shown("\xFF"), "'\\xff'");
  EXPECT_EQ(shown("\xC0\x80"), "'\\xc0\\x80'");           // overlong
  EXPECT_EQ(shown("\xE0\x80\x80"), "'\\xe0\\x80\\x80'");  // overlong
  EXPECT_EQ(shown("\xED\xA0\x80"), "'\\xed\\xa0\\x80'");  // surrogate
  EXPECT_EQ(shown("\xF4\x90\x80\x80"), "'\\xf4\\x90\\x80\\x80'");
  EXPECT_EQ(shown("\xF0\x80\x80\x80"), "'\\xf0\\x80\\x80\\x80'");
  EXPECT_EQ(shown("\xE2\x82"), "'\\xe2\\x82'");  // cut off
  EXPECT_EQ(shown("\xE4"
                  "a"),
            "'\\xe4a'");
}

TEST(Shown, TheMiddleOfALongNameIsCut) {
  EXPECT_EQ(shown("0123456789", 9), "'012345...789'");
  EXPECT_EQ(shown("0123456789", 10), "'0123456789'");
  EXPECT_EQ(shown(std::string(1'000'000, 'x')),
            "'" + std::string(66, 'x') + "..." + std::string(34, 'x') + "'");
}

TEST(Shown, TheLimitCountsWhatStandsInTheMessage) {
  for (const char* unit : {"\x01", "\u4f60", "\xFF", "'", "x", "\u202E"}) {
    const std::size_t unit_bytes = shown(unit).size() - 2;
    std::string name;
    for (std::size_t i = 1; i <= 200; ++i) {
      name += unit;
      const std::string text = shown(name, 30);
      EXPECT_LE(text.size(), 30u + 3 + 2) << text;
      EXPECT_EQ(text.find("...") != std::string::npos, i * unit_bytes > 30) << text;
    }
  }
}

TEST(Shown, ACutNeverSplitsASequence) {
  std::string name;
  for (int i = 0; i < 50; ++i)
    name += "\u4f60";
  for (std::size_t limit = 10; limit < 60; ++limit)
    EXPECT_EQ(shown(name, limit).find("\\x"), std::string::npos) << limit;
}

TEST(Error, KindsHaveTheirOwnExitCodes) {
  const std::set<int> codes = {exit_code(ErrorKind::kInvalidArgument), exit_code(ErrorKind::kFormat),
                               exit_code(ErrorKind::kUnsupported),     exit_code(ErrorKind::kIo),
                               exit_code(ErrorKind::kNoSpace),         exit_code(ErrorKind::kCancelled),
                               exit_code(ErrorKind::kInternal)};
  EXPECT_EQ(codes.size(), 7u);
  EXPECT_EQ(codes.count(0), 0u);
}

TEST(Error, ContextGoesInFront) {
  Error error(ErrorKind::kFormat, "broken");
  error.add_context("tensor 'a'");
  error.add_context("'model.safetensors'");
  EXPECT_STREQ(error.what(), "'model.safetensors': tensor 'a': broken");
}

TEST(Error, ABrokenRuleNamesTheRuleAndNoPath) {
  try {
    LLM2MNN_CHECK(1 + 1 == 3);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInternal);
    EXPECT_NE(error.message().find("'1 + 1 == 3' broken at error_test.cc:"), std::string::npos)
        << error.message();
  }
}

TEST(Error, SystemMessagesAreTheSystemsWordsInLowerCase) {
  EXPECT_EQ(system_message(ENOENT), "no such file or directory");
  EXPECT_EQ(system_message(ENOSPC), "no space left on device");
}

}  // namespace
}  // namespace llm2mnn
