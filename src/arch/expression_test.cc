#include "arch/expression.h"

#include <gtest/gtest.h>

#include "arch/arch_test_util.h"

namespace llm2mnn {
namespace {

double value_of(const std::string& text, const std::map<std::string, double>& names = {},
                std::vector<std::string> words = {}) {
  return Expression::parse(text, std::move(words)).evaluate([&](const std::string& name) {
    return names.at(name);
  });
}

TEST(Expression, ComputesNumbers) {
  EXPECT_DOUBLE_EQ(value_of("query_pre_attn_scalar ^ -0.5", {{"query_pre_attn_scalar", 256}}), 0.0625);
  EXPECT_DOUBLE_EQ(value_of("sqrt(hidden_size)", {{"hidden_size", 64}}), 8);
  EXPECT_DOUBLE_EQ(value_of("floor(7 / 2) + ceil(7 / 2)"), 7);
  EXPECT_DOUBLE_EQ(value_of("2 ^ 3 ^ 0"), 2);
}

TEST(Expression, HasRemainderNegationAndComparisons) {
  EXPECT_DOUBLE_EQ(value_of("7 % 3"), 1);
  EXPECT_DOUBLE_EQ(value_of("!0 + !5"), 1);
  EXPECT_DOUBLE_EQ(value_of("3 != 4 && 3 <= 4"), 1);
  EXPECT_DOUBLE_EQ(value_of("1 > 2 || 2 > 3"), 0);
}

TEST(Expression, WordsOfAMenuAreTheirIndex) {
  const std::vector<std::string> words = {"full", "sliding"};
  EXPECT_EQ(value_of("(i + 1) % 6 == 0 ? full : sliding", {{"i", 5}}, words), 0);
  EXPECT_EQ(value_of("(i + 1) % 6 == 0 ? full : sliding", {{"i", 4}}, words), 1);
  EXPECT_EQ(Expression::parse("i > 1 ? full : sliding", words).variables(), std::vector<std::string>{"i"});
}

TEST(Expression, KnowsTheFunctionsItListsAndNoOthers) {
  for (const std::string& name : Expression::functions()) {
    const bool is_pair = name == "min" || name == "max";
    EXPECT_TRUE(std::isfinite(value_of(name + (is_pair ? "(2, 3)" : "(2)")))) << name;
  }
  EXPECT_DOUBLE_EQ(value_of("min(max(1, 4), 3) + abs(-2) + ln(exp(1))"), 6);
  for (const char* text : {"sin(1)", "log2(8)", "log(8)", "rint(1.5)", "sum(1, 2)", "_pi", "_e"})
    EXPECT_THROW(value_of(text), std::exception) << text;
}

TEST(Expression, RefusesWhatIsNotOneExpression) {
  for (const char* text :
       {"", " ", "1 +", "a = 3", "1, 2", "a b", "(1", "\"text\"", "1;2", "sqrt()", "nofun(1)"})
    EXPECT_THROW(Expression::parse(text), Error) << text;
  EXPECT_THROW(Expression::parse(std::string(2000, '1')), Error);
}

TEST(Expression, ErrorOfAValueShowsItsInputs) {
  const std::string message = testing::message_of([] { value_of("1 / x", {{"x", 0}}); });
  EXPECT_EQ(message, "expression '1 / x' with x = 0 has no finite value");
}

}  // namespace
}  // namespace llm2mnn
