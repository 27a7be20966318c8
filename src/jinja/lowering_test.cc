#include "jinja/lowering.h"

#include <algorithm>
#include <gtest/gtest.h>

#include "base/error.h"
#include "jinja/runtime_model.h"
#include "jinja/template.h"

namespace llm2mnn::jinja {
namespace {

std::string lowered(std::string_view source) { return lower_template(source).text; }

bool has_limit(std::string_view source, std::string_view part) {
  const auto limits = lower_template(source).limits;
  return std::any_of(limits.begin(), limits.end(),
                     [&](const std::string& limit) { return limit.find(part) != std::string::npos; });
}

TEST(Lowering, ChangesTheFormOnlyOfWhatNeedsNoRewrite) {
  const auto result = lower_template("{% for m in messages %}{{ '<|' + m.role + '|>' }}{% endfor %} end");
  EXPECT_EQ(
      result.text,
      "{%- for m in messages -%}\n{{- \"<|\" + m.role + \"|>\" -}}\n{%- endfor -%}\n{{- \" end\" -}}\n");
  EXPECT_EQ(result.changes.size(), 1u);
  EXPECT_TRUE(result.limits.empty());
}

TEST(Lowering, ValueOrBecomesAConditional) {
  EXPECT_EQ(lowered("{% set x = a or 'b' %}"), "{%- set x = a if a else \"b\" -%}\n");
  EXPECT_EQ(lowered("{% set x = a and b %}"), "{%- set x = b if a else a -%}\n");
}

TEST(Lowering, LogicInAConditionStays) {
  EXPECT_EQ(lowered("{% if a or b and not c %}{{ 'x' }}{% endif %}"),
            "{%- if a or (b and (not c)) -%}\n{{- \"x\" -}}\n{%- endif -%}\n");
}

TEST(Lowering, GetBecomesAConditional) {
  EXPECT_EQ(lowered("{% set x = m.get('k', 1) %}"), "{%- set x = m.k if m.k is defined else 1 -%}\n");
  EXPECT_EQ(lowered("{% set x = m.get(k) %}"), "{%- set x = m[k] if k in m else none -%}\n");
  EXPECT_EQ(lowered("{% if m.get('k') %}{{ 'x' }}{% endif %}"),
            "{%- if m.k -%}\n{{- \"x\" -}}\n{%- endif -%}\n");
}

TEST(Lowering, DefaultBecomesAConditional) {
  EXPECT_EQ(lowered("{% set x = m.k|default(1) %}"), "{%- set x = m.k if m.k is defined else 1 -%}\n");
  EXPECT_EQ(lowered("{% set x = m.k|default(1, true) %}"), "{%- set x = m.k if m.k else 1 -%}\n");
}

TEST(Lowering, ASetBlockBecomesAMacro) {
  EXPECT_EQ(lowered("{% set x %}a{% endset %}"),
            "{%- macro mnn_block1() -%}\n{{- \"a\" -}}\n{%- endmacro -%}\n{%- set x = mnn_block1() -%}\n");
}

TEST(Lowering, ARemainderIsReadOffARange) {
  EXPECT_EQ(lowered("{% if i % 2 == 0 %}{{ 'x' }}{% endif %}"),
            "{%- if (i - range(0, i + 1, 2)[-1]) == 0 -%}\n{{- \"x\" -}}\n{%- endif -%}\n");
}

TEST(Lowering, MacroDefaultsAreWrittenAtTheCalls) {
  EXPECT_EQ(lowered("{% macro f(a, b=2) %}{{ 'x' }}{% endmacro %}{{ f(1) }}"),
            "{%- macro f(a, b) -%}\n{{- \"x\" -}}\n{%- endmacro -%}\n{{- f(1, b=2) -}}\n");
}

TEST(Lowering, ContinueGuardsTheRestOfTheBody) {
  EXPECT_EQ(lowered("{% for i in x %}{% if i %}{% continue %}{% endif %}{{ 'y' }}{% endfor %}"),
            "{%- for i in x -%}\n{%- set mnn_skip1 = namespace(v=false) -%}\n{%- if i -%}\n"
            "{%- set mnn_skip1.v = true -%}\n{%- endif -%}\n{%- if not mnn_skip1.v -%}\n{{- \"y\" -}}\n"
            "{%- endif -%}\n{%- endfor -%}\n");
}

TEST(Lowering, AValueThatIsNoNameIsStoredBeforeItIsRepeated) {
  const auto text = lowered("{% set x = ('a' ~ b).strip() or 1 %}");
  EXPECT_EQ(text.substr(text.find("{%- set mnn_value1")),
            "{%- set mnn_value1 = mnn_strip(\"a\" ~ mnn_text(b)) -%}\n"
            "{%- set x = mnn_value1 if mnn_value1 else 1 -%}\n");
}

TEST(Lowering, WhatFollowsALiteralGoesThroughANamespace) {
  EXPECT_EQ(lowered("{% set x = ('a' + b).split('c')[0] %}{% set y = 'a'|safe %}{% set z = u or 1 %}"),
            "{%- set x = namespace(v=\"a\" + b).v.split(\"c\")[0] -%}\n{%- set y = \"a\"|safe -%}\n"
            "{%- set z = u if u else 1 -%}\n");
}

TEST(Lowering, SelectattrFillsAList) {
  EXPECT_EQ(lowered("{% set x = m|selectattr('role', 'equalto', 'user')|list %}"),
            "{%- set mnn_list1 = namespace(v=[]) -%}\n{%- for mnn_item2 in m -%}\n"
            "{%- if mnn_item2.role == \"user\" -%}\n{%- set mnn_list1.v = mnn_list1.v + [mnn_item2] -%}\n"
            "{%- endif -%}\n{%- endfor -%}\n{%- set x = mnn_list1.v -%}\n");
}

TEST(Lowering, ANamespaceThatAMacroChangesIsNoParameter) {
  EXPECT_EQ(lowered("{% macro f(a, ns) %}{% set ns.x = a %}{% endmacro %}{{ f(1, ns) }}"),
            "{%- macro f(a) -%}\n{%- set ns.x = a -%}\n{%- endmacro -%}\n{{- f(1) -}}\n");
  EXPECT_TRUE(
      has_limit("{% macro f(ns) %}{% set ns.x = 1 %}{% endmacro %}{{ f(other) }}", "under another name"));
}

TEST(Lowering, ASliceOfWhatMayBeAStringAsksForItsKind) {
  const auto text = lowered("{% set x = y[:-1] %}");
  EXPECT_EQ(text.substr(text.find("{%- set x")),
            "{%- set x = mnn_drop_last(y, 1) if y is string else y[:-1] -%}\n");
  EXPECT_EQ(lowered("{% set x = messages[1:] %}{% if x %}a{% endif %}"),
            "{%- set x = messages[1:] -%}\n{%- if x -%}\n{{- \"a\" -}}\n{%- endif -%}\n");
}

TEST(Lowering, TextsKeepTheirBlanks) {
  EXPECT_EQ(lowered("{{ 'a' }} {% if x %}b\n{% endif %}"),
            "{{- \"a\" -}}\n{{- \" \" -}}\n{%- if x -%}\n{{- \"b\\n\" -}}\n{%- endif -%}\n");
}

TEST(Lowering, AddingToASafeTextEscapes) {
  const auto text = lowered("{{ 'a'|safe + b }}");
  EXPECT_EQ(text.substr(text.rfind("{{-")), "{{- (\"a\"|safe) + mnn_escape(b) -}}\n");
}

TEST(Lowering, AForElseBecomesAFlag) {
  EXPECT_EQ(
      lowered("{% for i in x %}{{ 'a' }}{% else %}{{ 'b' }}{% endfor %}"),
      "{%- set mnn_empty1 = namespace(v=true) -%}\n{%- for i in x -%}\n{%- set mnn_empty1.v = false -%}\n"
      "{{- \"a\" -}}\n{%- endfor -%}\n{%- if mnn_empty1.v -%}\n{{- \"b\" -}}\n{%- endif -%}\n");
}

TEST(Lowering, NeighboursOfTheLoopAreReadFromItsList) {
  EXPECT_EQ(
      lowered("{% for m in x %}{% if loop.previtem %}{{ 'a' }}{% endif %}{% endfor %}"),
      "{%- set mnn_sequence1 = x -%}\n{%- for m in mnn_sequence1 -%}\n"
      "{%- if (mnn_sequence1[loop.index0 - 1] if not loop.first else mnn_undefined) -%}\n{{- \"a\" -}}\n"
      "{%- endif -%}\n{%- endfor -%}\n");
}

TEST(Lowering, ToolsAreNoneWhenAbsent) {
  EXPECT_TRUE(lowered("{% if tools is not none %}a{% endif %}")
                  .starts_with("{%- set tools = tools if tools is defined else none -%}\n"));
}

TEST(Lowering, NamesOfTheTemplateAreNotTaken) {
  EXPECT_NE(lowered("{% set mnn_block1 = 1 %}{% set x %}a{% endset %}").find("mnn__block1"),
            std::string::npos);
}

TEST(Lowering, ConstructsWithoutARewriteAreNamedWithTheirLine) {
  EXPECT_TRUE(has_limit("\n{{ x|groupby('a') }}", "line 2: filter groupby"));
  EXPECT_TRUE(has_limit("{{ x.isdigit() }}", "line 1: method isdigit"));
  EXPECT_TRUE(has_limit("{{ 2 ** 3 }}", "line 1: operator **"));
  EXPECT_TRUE(has_limit("{{ x|tojson(indent=n) }}", "line 1: tojson with a computed indent"));
  EXPECT_TRUE(has_limit("{{ s.replace('a', 'b', 2) }}", "line 1: replace with a count other than 1"));
  EXPECT_TRUE(has_limit("{{ s.strip(chars='a') }}", "line 1: method strip with an argument by name"));
  EXPECT_TRUE(has_limit("{{ '{:5}'.format(x) }}", "line 1: format with formatted holes"));
  EXPECT_TRUE(has_limit("{{ dict(d, q=1) }}", "line 1: dict(...) of another mapping"));
  EXPECT_TRUE(has_limit("{{ x|int }}", "line 1: filter int, should its subject be no whole number"));
  EXPECT_FALSE(has_limit("{{ (x|length + 1)|int }}", "filter int"));
  EXPECT_TRUE(has_limit("{{ x|last }}", "line 1: filter last, should its subject be no list"));
  EXPECT_FALSE(has_limit("{{ (x|map('upper')|last) ~ messages|first ~ x.split('a')|reverse }}", "filter"));
  EXPECT_TRUE(has_limit("{{ ('a' ~ x)|reverse }}", "line 1: filter reverse of a string"));
  EXPECT_TRUE(has_limit("{{ (x ~ y)[0] }}", "line 1: index of a string"));
  EXPECT_TRUE(has_limit("{{ x[:-1] }}", "line 1: a slice that drops characters beyond ASCII"));
  EXPECT_TRUE(has_limit("{{ x|upper }}\n{{ y.lower() }}", "line 1: upper and lower case beyond ASCII"));
  EXPECT_FALSE(has_limit("{{ x|upper }}\n{{ y.lower() }}", "line 2"));
  EXPECT_TRUE(has_limit("{{ x|list }}", "line 1: filter list, should its subject be no list"));
  EXPECT_TRUE(has_limit("{{ ('a' ~ x)|max }}", "line 1: filter max of a string"));
  EXPECT_TRUE(has_limit("{{ ('a' ~ x)|join('b') }}", "line 1: join of a string"));
  EXPECT_TRUE(has_limit("{{ (x, y) }}", "line 1: a tuple, a range or the items of a mapping, printed"));
  EXPECT_TRUE(has_limit("{{ x|sort(up) }}", "line 1: sort with other arguments"));
  EXPECT_TRUE(has_limit("{{ x|sort(attribute='a,b') }}", "line 1: sort with other arguments"));
  EXPECT_TRUE(has_limit("{{ x|unique(attribute=k) }}", "line 1: unique with other arguments"));
  EXPECT_TRUE(has_limit("{{ x|sum(start=1) }}", "line 1: sum with other arguments"));
  EXPECT_TRUE(has_limit("{% set a, b %}xy{% endset %}", "line 1: a `set` block with several names"));
  EXPECT_NO_THROW(parse_template(lower_template("{% set a, b %}xy{% endset %}").text));
}

TEST(Lowering, KindsOfNumbersAreTold) {
  const std::string text =
      lowered("{% for x in numbers %}{{ [x is integer, x is float, x is number]|tojson }}{% endfor %}");
  const auto numbers = parse_json("[1, 1.5, 2.0, 1e30, 1e-9, true, \"1.5\"]");
  EXPECT_EQ(render_as_runtime(text, {}, {"", "", {{"numbers", numbers}}}),
            "[true, false, true][false, true, true][false, true, true][false, true, true][false, true, true]"
            "[false, false, true][false, false, false]");
}

TEST(Lowering, ManyJumpsAndManyLimitsEndInBoundedWork) {
  std::string jumps = "{% for i in x %}", limits;
  for (int i = 0; i < 20000; ++i) {
    jumps += "{% if i %}{% continue %}{% endif %}";
    limits += "{{ x|groupby('a') }}\n";
  }
  EXPECT_TRUE(has_limit(jumps + "{% endfor %}", "line 1: a loop with more than 100 jumps"));
  EXPECT_EQ(lower_template(limits).limits.size(), 100);
}

TEST(Lowering, DefaultArgumentsThatNeedEachOtherEnd) {
  EXPECT_TRUE(has_limit("{% macro f(a=f()) %}{% endmacro %}{{ f() }}", "need each other"));
  std::string tower = "{% macro m0() %}{% endmacro %}";
  for (int i = 1; i < 60; ++i) {
    const auto below = "m" + std::to_string(i - 1) + "()";
    tower += "{% macro m" + std::to_string(i) + "(a=" + below + ", b=" + below + ") %}{% endmacro %}";
  }
  EXPECT_TRUE(has_limit(tower + "{{ m59() }}", "need each other"));
}

TEST(Lowering, NestedComparisonsAndLogicGrowByTheirSizeOnly) {
  std::string comparison = "a", logic = "a == b";
  for (int i = 0; i < 15; ++i) {
    comparison = "(1 < " + comparison + " < 2)";
    logic = "((" + logic + " or c) == d)";
  }
  for (const std::string& expression : {comparison, logic}) {
    const std::string text = lowered("{% set x = " + expression + " %}");
    EXPECT_LT(text.size(), 10000u) << text.size();
    EXPECT_NO_THROW(parse_template(text));
  }
}

TEST(Lowering, AChainedComparisonRepeatsItsOperands) {
  EXPECT_EQ(lowered("{% set x = 1 < a < 2 < b %}"), "{%- set x = (1 < a) and (a < 2) and (2 < b) -%}\n");
}

TEST(Lowering, NestedMappingsDoNotEndAnOutput) {
  const std::string text = lowered("{{ {'a': {'b': {'c': 1} } } or x }}");
  EXPECT_NE(text.find("{\"a\": {\"b\": {\"c\": 1} } }"), std::string::npos) << text;
}

TEST(Lowering, ATestInFrontOfAnIfIsInBrackets) {
  const std::string text = lower_template("{% if a and b is none ,%}yes{% endif %}").text;
  EXPECT_NO_THROW(parse_template(text)) << text;
}

TEST(Lowering, ASyntaxErrorIsTheParsers) { EXPECT_THROW(lower_template("{% if %}"), Error); }

}  // namespace
}  // namespace llm2mnn::jinja
