#include "jinja/template.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace llm2mnn::jinja {
namespace {

// The texts of a template's top level, tags shown as "<>".
std::string texts_of(std::string_view source) {
  std::string out;
  for (const Statement& statement : parse_template(source).body) {
    if (statement.kind == Statement::Kind::kText) {
      out += statement.text;
    } else {
      out += "<" +
             (statement.body.empty() || statement.body.front().kind != Statement::Kind::kText
                  ? ""
                  : statement.body.front().text) +
             ">";
    }
  }
  return out;
}

// What jinja2 3.1 with trim_blocks and lstrip_blocks leaves of the text around tags.
TEST(Template, BlocksTakeTheLineThatTheyStandOn) {
  EXPECT_EQ(texts_of("a\n  {% if x %}\nb\n  {% endif %}\nc\n"), "a\n<b\n>c");
  EXPECT_EQ(texts_of("a {% if x %} b {% endif %} c"), "a < b > c");
  EXPECT_EQ(texts_of("  {{ x }}\n  y"), "  <>\n  y");
  EXPECT_EQ(texts_of("a\n  {%+ if x %}b{% endif +%}\nc"), "a\n  <b>\nc");
  EXPECT_EQ(texts_of("a\n  {%- if x -%}\n  b  {%- endif %}\n\nc"), "a<b>\nc");
  EXPECT_EQ(texts_of("a\n  {# note #}\nb{#- x -#} c"), "a\nbc");
  EXPECT_EQ(texts_of("{{ x }}  {% if y %}z{% endif %}"), "<>  <z>");
}

TEST(Template, RawBlocksAreText) { EXPECT_EQ(texts_of("a {% raw %}{{ x }}{% endraw %} b"), "a {{ x }} b"); }

TEST(Template, OneFinalNewlineIsDropped) {
  EXPECT_EQ(texts_of("a\r\nb\n\n"), "a\nb\n");
  EXPECT_EQ(texts_of("a"), "a");
}

const Expression& expression_of(const Template& parsed) { return *parsed.body.front().expression; }

TEST(Template, FiltersBindTighterThanOperators) {
  const Template parsed = parse_template("{{ a ~ b | trim == 'c' and not d is none }}");
  const Expression& both = expression_of(parsed);
  ASSERT_EQ(both.kind, Expression::Kind::kBinary);
  EXPECT_EQ(both.text, "and");
  const Expression& compare = *both.items[0];
  ASSERT_EQ(compare.kind, Expression::Kind::kCompare);
  EXPECT_EQ(compare.items[0]->text, "~");
  EXPECT_EQ(compare.items[0]->items[1]->kind, Expression::Kind::kFilter);
  ASSERT_EQ(both.items[1]->kind, Expression::Kind::kNot);
  EXPECT_EQ(both.items[1]->items[0]->kind, Expression::Kind::kTest);
}

TEST(Template, StringsKnowPythonsEscapesAndJoinTheirNeighbours) {
  const Template parsed = parse_template("{{ 'a\\n' \"\\u00e9\\x41\\q\" }}");
  EXPECT_EQ(expression_of(parsed).text,
            "a\n\xC3\xA9"
            "A\\q");
}

TEST(Template, ElifIsAnIfInsideElse) {
  const Template parsed = parse_template("{% if a %}1{% elif b %}2{% else %}3{% endif %}");
  const Statement& outer = parsed.body.front();
  ASSERT_EQ(outer.otherwise.size(), 1u);
  EXPECT_EQ(outer.otherwise.front().kind, Statement::Kind::kIf);
  EXPECT_EQ(outer.otherwise.front().otherwise.front().text, "3");
}

TEST(Template, BracesInsideATagAreNotItsEnd) {
  const Template parsed = parse_template("{{ {'a': {'b': 1}} }}x");
  EXPECT_EQ(expression_of(parsed).kind, Expression::Kind::kDict);
  EXPECT_EQ(parsed.body.back().text, "x");
}

void expect_refusal(const std::string& source, std::string_view words) {
  try {
    parse_template(source);
    ADD_FAILURE() << source << " was accepted";
  } catch (const Error& error) {
    EXPECT_NE(error.message().find(words), std::string::npos) << error.message();
  }
}

TEST(Template, FaultsAreNamedWithTheirLine) {
  expect_refusal("a\n{% if x %}b", "line 2: expected '{% endif %}', found the end of the template");
  expect_refusal("{{ x", "a tag without an end");
  expect_refusal("{{ 'x }}", "a string without an end");
  expect_refusal("\n\n{{ x + }}", "line 3: expected an expression, found '}}'");
  expect_refusal("{% nonsense %}", "unknown statement 'nonsense'");
  expect_refusal("{% include 'x' %}", "'include' is not supported");
  expect_refusal("{{ (] }}", "unexpected ']'");
  expect_refusal("{{ x is defined is none }}", "no second 'is'");
}

TEST(Template, DeepNestingIsRefusedNotFatal) {
  expect_refusal("{{ " + std::string(100'000, '(') + std::string(100'000, ')') + " }}", "nested more than");
  expect_refusal("{{ " + std::string(100'000, '-') + "x }}", "nested more than");
  std::string sum = "{{ x";
  std::string members = "{{ x";
  for (int i = 0; i < 100'000; ++i) {
    sum += " + x";
    members += ".x";
  }
  expect_refusal(sum + " }}", "operators in a row");
  expect_refusal(members + " }}", "operators in a row");
  std::string nots = "{{ ";
  for (int i = 0; i < 100'000; ++i)
    nots += "not ";
  expect_refusal(nots + "x }}", "nested more than");
  std::string ifs;
  for (int i = 0; i < 10'000; ++i)
    ifs += "{% if x %}";
  expect_refusal(ifs, "nested more than");
  std::string elifs = "{% if x %}";
  for (int i = 0; i < 10'000; ++i)
    elifs += "{% elif x %}";
  expect_refusal(elifs, "nested more than");
}

TEST(Template, IsUtf8) {
  for (const char* broken :
       {"{%-\xC2\xC2\xC2 for m in messages %}", "{{ t.split('-',\x87\x87) }}", "\xFF", "{{ 'caf\xC3' }}"}) {
    try {
      parse_template(broken);
      FAIL() << broken;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kFormat);
      EXPECT_NE(std::string(error.what()).find("UTF-8"), std::string::npos);
    }
  }
  // Blanks of Unicode stand between names.
  EXPECT_NO_THROW(
      parse_template("{{\xC2\xA0"
                     "a\xE3\x80\x80 and\xC2\xA0"
                     "b }}{%-\xC2\x85if a\xE2\x80\xA8-%}x{% endif %}"));
}

}  // namespace
}  // namespace llm2mnn::jinja
