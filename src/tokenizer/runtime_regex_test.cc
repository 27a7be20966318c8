#include "tokenizer/runtime_regex.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace llm2mnn {
namespace {

std::string rewritten(std::string_view pattern) {
  std::vector<std::string> notes;
  return to_runtime_regex(pattern, notes);
}

TEST(RuntimeRegex, LeavesThePatternsOfQwenAndLlamaAlone) {
  constexpr std::string_view kQwen2 =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  constexpr std::string_view kLlama3 =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  EXPECT_EQ(rewritten(kQwen2), kQwen2);
  EXPECT_EQ(rewritten(kLlama3), kLlama3);
}

TEST(RuntimeRegex, DropsPossessiveMarks) {
  EXPECT_EQ(rewritten(R"([^\r\n\p{L}\p{N}]?+\p{L}+| ?[^\s\p{L}\p{N}]++[\r\n]*+)"),
            R"([^\r\n\p{L}\p{N}]?\p{L}+| ?[^\s\p{L}\p{N}]+[\r\n]*)");
  EXPECT_EQ(rewritten("[*+]"), "[*+]");
}

TEST(RuntimeRegex, WritesSubCategoriesOfLettersAsFoldedBytes) {
  std::vector<std::string> notes;
  EXPECT_EQ(to_runtime_regex(R"([\p{Lu}\p{Lt}\p{M}]*[\p{Ll}\p{Lo}]+\p{Lu})", notes),
            R"([A-Z\x01\x01\p{M}]*[a-z\x01\x01]+[A-Z\x01])");
  EXPECT_EQ(notes.size(), 1u);
}

TEST(RuntimeRegex, WritesCodePointsInTheRuntimesWay) {
  EXPECT_EQ(rewritten(R"(\x41\x{42}\u0043)"), R"(\x41\x42\x43)");
  EXPECT_EQ(rewritten(R"([\u4e00-\u9fa5])"), "[一-龥]");
  EXPECT_EQ(rewritten(R"([\x{4e00}-龥]+)"), "[一-龥]{1,512}");
  EXPECT_EQ(rewritten("é*"), "é{0,512}");
}

TEST(RuntimeRegex, KeepsWhatItKnows) {
  for (const char* pattern :
       {"a|b", "(ab)+", "(?:a|b){2,3}", R"(\p{^L}\P{N})", R"(\s\S\d\D\w\W\t\f\v)", R"(\.\[\-)", "[a-z-]"}) {
    EXPECT_EQ(rewritten(pattern), pattern == std::string_view(R"(\p{^L}\P{N})") ? R"(\P{L}\P{N})" : pattern);
  }
  EXPECT_EQ(rewritten("(?i)ab|c"), "(?i:ab|c)");
  EXPECT_EQ(rewritten("{a}]"), R"(\{a\}\])");
  EXPECT_EQ(rewritten(R"([!\--/])"), R"([!\x2D-/])");
}

TEST(RuntimeRegex, RefusesTheRest) {
  const char* const kPatterns[] = {
      "(?=a)",      "(?<=a)b",       "(?<!a)b", "(?<n>a)", "(?>a)",        "a(?i)b",    "^a",      "a$",
      "a.b",        "a*?",           "a+?",     "a??",     "a{2}+",        "a{2}?",     "a**",     "a+++",
      "*a",         "a{,3}",         "a{x}",    "a{",      R"(\bfoo)",     R"(\1)",     R"(\A)",   R"(\h)",
      R"(\p{Han})", R"(\p{Nd})",     R"(\pL)",  R"(\p{L)", R"([^\p{Lu}])", R"(\P{Lu})", "[a[b]]",  "[a&&b]",
      "[abc",       "[]a]",          "(a",      "a)",      "一\\p{L}",     "一\\s",     "(?i:一)", "(?i)一",
      "\\",         R"(\x{110000})", R"(\xZZ)", R"(\u{)",  "[[:alpha:]]",  R"([\b])",   R"(\x{41)"};
  for (const char* pattern : kPatterns) {
    try {
      ADD_FAILURE() << pattern << " became " << rewritten(pattern);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUnsupported) << pattern;
      EXPECT_NE(error.message().find("regex"), std::string::npos) << error.message();
    }
  }
}

TEST(RuntimeRegex, EscapesLiterals) { EXPECT_EQ(literal_runtime_regex("a->b "), R"(a\-\>b )"); }

}  // namespace
}  // namespace llm2mnn
