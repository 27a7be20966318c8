#include "tokenizer/pattern.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "base/error.h"

namespace llm2mnn {
namespace {

/// The matches of `pattern` in `text`, with "|" between them.
std::string matches(std::string_view pattern, std::string_view text, bool is_regex = true) {
  const Pattern compiled({std::string(pattern), is_regex});
  Matcher matcher(compiled, text);
  std::string out;
  while (matcher.next()) {
    if (!out.empty()) out += '|';
    out += text.substr(matcher.begin(), matcher.end() - matcher.begin());
  }
  return out;
}

TEST(Pattern, FindsLiteralTextAsItIs) {
  EXPECT_EQ(matches("a.", "a. ab a.", false), "a.|a.");
  EXPECT_EQ(matches("", "ab", false), "");
}

TEST(Pattern, KnowsTheCharacterTypesOfOniguruma) {
  EXPECT_EQ(matches("\\h+", "12 af g"), "12|af");
  EXPECT_EQ(matches("\\s",
                    "\xC2\x85"
                    "a\xE2\x80\xA8"
                    "b\xE1\xA0\x8E"),
            "\xC2\x85|\xE2\x80\xA8");
  EXPECT_EQ(matches("\\w+", "a\xCC\x81_1 \xC2\xBD-"), "a\xCC\x81_1|\xC2\xBD");
  EXPECT_EQ(matches("[\\w]+",
                    "\xC2\xBD"
                    "a"),
            "a");
  EXPECT_EQ(matches("\\v", "a\x0B\n"), "\x0B");
  EXPECT_EQ(matches("\\p{^L}+|\\P{^N}", "a1 "), "1 ");
}

TEST(Pattern, FindsBordersOfWordsAsOnigurumaDoes) {
  // A combining mark, U+203F (Pc), U+24B6 (Alphabetic) and U+31350 (Unicode 15) are of a word; U+2460 (No) is
  // not.
  EXPECT_EQ(matches("\\b.+?\\b", "a\u0301 b\u203Fc \u24B6d"), "a\u0301| |b\u203Fc| |\u24B6d");
  EXPECT_EQ(matches("a\\B.", "a\u0301a\u203Fa\u24B6a\U00031350a-"), "a\u0301|a\u203F|a\u24B6|a\U00031350");
  EXPECT_EQ(matches("a\\b.", "a\u2460a\u00BD"), "a\u2460");
  EXPECT_EQ(matches("\\B-\\B", "-- a-"), "-|-");
  EXPECT_EQ(matches("[\\b]", "a\bb"), "\b");
}

TEST(Pattern, KnowsLettersOfUnicode16) {
  EXPECT_EQ(matches("\\p{L}+",
                    "\xF0\xB1\x8D\x90"
                    "a"),
            "\xF0\xB1\x8D\x90"
            "a");  // U+31350
  EXPECT_EQ(matches("[^\\p{L}]+", "\xF0\xB1\x8D\x90-"), "-");
  EXPECT_EQ(matches("\\p{Han}+", "\xE6\xBC\xA2\xE3\x80\x81\xF0\xB1\x8D\x90"),
            "\xE6\xBC\xA2|\xF0\xB1\x8D\x90");
}

TEST(Pattern, IntersectsAndNestsSets) {
  EXPECT_EQ(matches("[a-z&&[^aeiou]]+", "hello"), "h|ll");
  EXPECT_EQ(matches("[a[0-9]]+", "ba12c"), "a12");
  EXPECT_EQ(matches("[^a[0-9]]+", "ba12c"), "b|c");
  EXPECT_EQ(matches("[\\S&&\\D]+", "a1 b"), "a|b");
  EXPECT_EQ(matches("[]a]+", "]a["), "]a");
}

TEST(Pattern, RepeatsAnIntervalWithPlus) {
  EXPECT_EQ(matches("\\d{1,3}+", "12345"), "12345");
  EXPECT_EQ(matches("\\d{1,3}", "12345"), "123|45");
  EXPECT_EQ(matches("a{,2}b", "aaab"), "aab");
  EXPECT_EQ(matches("x{2}?y", "y xxy"), "y|xxy");
  EXPECT_EQ(matches("a++b|c?+", "aab"), "aab");
}

TEST(Pattern, FoldsCaseInAGroupOnly) {
  EXPECT_EQ(matches("(?i:'s)|x", "'S'\xC5\xBFX"), "'S|'\xC5\xBF");
  EXPECT_EQ(matches("(?m:a.)", "a\n"), "a\n");
  EXPECT_EQ(matches("a.", "a\n"), "");
}

TEST(Pattern, StepsOverEmptyMatches) {
  const Pattern pattern({"x*", true});
  Matcher matcher(pattern, "axb");
  std::vector<std::size_t> ends;
  while (matcher.next())
    ends.push_back(matcher.end());
  EXPECT_EQ(ends, (std::vector<std::size_t>{0, 2, 3}));
}

TEST(Pattern, RefusesWhatItDoesNotKnow) {
  for (const char* bad : {"(", "[a", "a\\", "(?~a)", "(?x: a)", "\\p{Nonsense}", "\\pL", "(?#"}) {
    EXPECT_THROW(Pattern({bad, true}), Error) << bad;
  }
  EXPECT_THROW(Pattern({std::string(100'000, 'a'), true}), Error);
  EXPECT_THROW(Pattern({std::string(1000, '['), true}), Error);
  EXPECT_THROW(Pattern({std::string(1000, '(') + std::string(1000, ')'), true}), Error);
}

TEST(Pattern, ReplacesEachMatch) {
  std::string text = "a  b c";
  EXPECT_TRUE(replace_matches(Pattern({" +", true}), "_", text));
  EXPECT_EQ(text, "a_b_c");
  EXPECT_FALSE(replace_matches(Pattern({"x", false}), "_", text));
}

TEST(Pattern, EndsAReplacementThatGrowsTooLarge) {
  std::string text(10, 'a');
  EXPECT_THROW(replace_matches(Pattern({"a", false}), "0123456789", text, 50), Error);
  EXPECT_EQ(text, std::string(10, 'a'));
}

}  // namespace
}  // namespace llm2mnn
