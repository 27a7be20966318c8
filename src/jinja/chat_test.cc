#include "jinja/chat.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace llm2mnn::jinja {
namespace {

ChatPrompt render(std::string_view source, std::string_view variables = "{}") {
  ChatInput input;
  input.messages = parse_json(R"([{"role":"user","content":"Hi"},{"role":"assistant","content":"Yo"}])");
  input.variables = parse_json(variables).as_object();
  return render_chat(parse_template(source), input);
}

struct Case {
  const char* source;
  const char* text;  ///< as jinja2 3.1 prints it
};

// Each was rendered by jinja2 with Hugging Face's settings.
const Case kCases[] = {
    {"{{ none }} {{ true }} {{ 1.0 }} {{ 1e20 }} {{ 0.00001 }} {{ 7 / 2 }}", "None True 1.0 1e+20 1e-05 3.5"},
    {"{{ [1, 'a', \"it's\", none] }} {{ {'k': (1,)} }}", "[1, 'a', \"it's\", None] {'k': (1,)}"},
    {"{{ -7 // 2 }} {{ -7 % 3 }} {{ 2 ** 10 }} {{ 1 ~ none }}", "-4 2 1024 1None"},
    {"{{ '' or 'x' }} {{ 'a' and 'b' }} {{ 0 or none }}", "x b None"},
    {"{{ 1 < 2 < 3 }} {{ 'a' not in 'abc' }} {{ 2 in [1, 2.0] }}", "True False True"},
    {"{{ missing }}|{{ missing is defined }}|{{ missing | default('d') }}|{{ none | d('x', true) }}",
     "|False|d|x"},
    {"{% for m in messages %}{{ loop.index }}{{ m.role }}{{ ',' if not loop.last }}{% endfor %}",
     "1user,2assistant"},
    {"{% for m in messages if m.role == 'tool' %}x{% else %}none{% endfor %}", "none"},
    {"{% set x = 1 %}{% for i in range(3) %}{% set x = i %}{% endfor %}{{ x }}", "1"},
    {"{% set n = namespace(x=1) %}{% for i in range(3) %}{% set n.x = i %}{% endfor %}{{ n.x }}", "2"},
    {"{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ "
     "i }}"
     "{% endfor %}",
     "02"},
    {"{% macro f(a, b='B') %}{{ a }}{{ b }}{{ kwargs }}{% endmacro %}{{ f(1) }} {{ f(1, c=2) }}",
     "1B{} 1B{'c': 2}"},
    {"{% macro f() %}<{{ caller() }}>{% endmacro %}{% call f() %}in{% endcall %}", "<in>"},
    {"{% set x %}a{{ 1 }}{% endset %}{{ x | upper }}", "A1"},
    {"{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}{{ v }}{% endfor %}", "a1b2"},
    {"{{ 'h\\u00e9llo'[1:3] }} {{ 'abc'[::-1] }} {{ [1, 2, 3][-1] }} {{ 'é'|length }}", "él cba 3 1"},
    {"{{ 'a,b,,c'.split(',') }} {{ ' x y '.split() }} {{ 'a-b-c'.rsplit('-', 1) }}",
     "['a', 'b', '', 'c'] ['x', 'y'] ['a-b', 'c']"},
    {"{{ messages | map(attribute='role') | join('+') }}", "user+assistant"},
    {"{{ messages | selectattr('role', 'equalto', 'user') | list | length }}", "1"},
    {"{{ {'b': 1, 'a': [true, none, 'é\"']} | tojson }}", "{\"b\": 1, \"a\": [true, null, \"é\\\"\"]}"},
    {"{{ {'b': 1} | tojson(indent=2) }} {{ 'é' | tojson(ensure_ascii=true) }}",
     "{\n  \"b\": 1\n} \"\\u00e9\""},
    {"{{ 'straße ÄB' | upper }} {{ 'hello world' | title }} {{ 'HELLO' | capitalize }}",
     "STRASSE ÄB Hello World Hello"},
    {"{{ [3, 1, 2] | sort | reverse | list }} {{ [1, 1, 2] | unique | list }}", "[3, 2, 1] [1, 2]"},
    {"{{ '%s is %d' % ('x', 3) }} {{ '{} {b}'.format(1, b=2) }}", "x is 3 1 2"},
    {"{{ 3 is odd }} {{ 'x' is string }} {{ {} is mapping }} {{ missing is none }} {{ 4 is divisibleby 2 }}",
     "True True True False True"},
    {"{% generation %}a{{ messages[0].content }}{% endgeneration %}", "aHi"},
    {"{% for i in [1, [2]] recursive %}{{ loop(i) if i is sequence else i }}{% endfor %}", "12"},
    {"{{ (messages | map(attribute='x')) is defined and true }}", "True"},
    {"{{ '<' | safe + '<' }} {{ ('<' | e) ~ '<' }} {{ '\"' + ('<' | safe) }}", "<&lt; &lt;< &#34;<"},
    {"{{ 'a' if false }}|{{ ('a' if false) is defined }}", "|False"},
    // Blanks of Unicode in front of a tag, behind it, in it, and alone on its line.
    {"a\u3000\u00a0{{- 'b' -}}\u2003\u2028c\u00a0{{\u00a0'd'\u2003}}\u00a0e", "abc\u00a0d\u00a0e"},
    {"a\n\u3000{% if true %}b\u00a0{%- endif -%}\u0085\x1d c", "a\nbc"},
    {"{% set é\u00a0= 1 %}{{ é }}\u00a0{#- x -#}\u00a0.", "1."},
};

TEST(Chat, RendersAsJinja2Does) {
  for (const Case& test : kCases) {
    const ChatPrompt prompt = render(test.source);
    EXPECT_FALSE(prompt.refused) << test.source << ": " << prompt.text;
    EXPECT_EQ(prompt.text, test.text) << test.source;
  }
}

// What Python would raise.
const Case kRefusals[] = {
    {"{{ raise_exception('No system role') }}", "No system role"},
    {"{{ missing.attribute }}", "'missing' is undefined"},
    {"{{ messages[0].nothing.more }}", "'dict object' has no attribute 'nothing'"},
    {"{{ 'a' + 1 }}", "can only concatenate str (not \"int\") to str"},
    {"{{ 1 < 'a' }}", "'<' not supported between instances of 'int' and 'str'"},
    {"{% for x in none %}{% endfor %}", "'NoneType' object is not iterable"},
    {"{% if true %}{{ 1 | nonsense }}{% endif %}", "No filter named 'nonsense' found."},
    {"{{ messages.append(1) }}", "access to attribute 'append' of 'list' object is unsafe."},
    {"{{ ''.__class__.x }}", "access to attribute '__class__' of 'str' object is unsafe."},
    {"{{ missing | tojson }}", "Object of type Undefined is not JSON serializable"},
    {"{{ range(1000000) }}", "Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000)."},
    {"{{ 1 // 0 }}", "integer division or modulo by zero"},
};

TEST(Chat, RefusesWhereJinja2Raises) {
  for (const Case& test : kRefusals) {
    const ChatPrompt prompt = render(test.source);
    EXPECT_TRUE(prompt.refused) << test.source;
    EXPECT_EQ(prompt.text, test.text) << test.source;
  }
}

TEST(Chat, VariablesHideTheInput) {
  EXPECT_EQ(
      render("{{ add_generation_prompt }}{{ tools }}{{ bos_token }}", R"({"bos_token":"<s>","tools":[1]})")
          .text,
      "True[1]<s>");
}

TEST(Chat, HostileTemplatesEnd) {
  EXPECT_THROW(render("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"), Error);
  const std::string loops =
      "{% for a in range(100000) %}{% for b in range(100000) %}{{ a }}{% endfor %}{% endfor %}";
  EXPECT_THROW(render(loops), Error);
  EXPECT_THROW(render("{{ 'x' * 1000000000 }}"), Error);
  EXPECT_THROW(render("{% set n = namespace(x='xxxxxxxx') %}{% for i in range(64) %}{% set n.x = n.x + n.x "
                      "%}{% endfor %}"),
               Error);
}

// A step that makes much or looks at much ends as well; each of these needs memory or time without a bound.
TEST(Chat, StepsThatMakeMuchEnd) {
  const auto grown = [](const std::string& first, const std::string& next, const std::string& last) {
    return "{% set n = namespace(x=" + first + ") %}{% for i in range(60) %}{% set n.x = " + next +
           " %}{% endfor %}{{ " + last + " }}";
  };
  for (const std::string& source : {
           grown("[1]", "n.x + n.x", "n.x | length"),
           grown("[1]", "[n.x, n.x]", "n.x"),
           grown("[1]", "[n.x, n.x]", "n.x | tojson"),
           grown("[1]", "[n.x, n.x]", "n.x == [n.x[0], [n.x[0][0], n.x[1][1]]]"),
           grown("'a'", "[n.x, n.x] | join", "n.x | length"),
           grown("'aaaa'", "n.x | replace('a', 'aaaaaaaa')", "n.x | length"),
           grown("'ab'", "n.x.replace('a', n.x)", "n.x | length"),
           std::string("{{ range(100000) | unique | list | length }}"),
           std::string("{{ ('{0}' * 100000).format('a' * 100000) }}"),
           std::string("{{ range(100000) | list | tojson(separators=['a' * 100000, ':']) }}"),
           std::string("{% set x = 'a' * 8000000 %}{{ (x + 'b') in (x + x) }}"),
       }) {
    try {
      const ChatPrompt prompt = render(source);
      EXPECT_TRUE(prompt.refused) << source;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUnsupported) << source;
    }
  }
}

TEST(Chat, LongPromptsThatGrowPieceByPieceAreWithinTheLimits) {
  const ChatPrompt prompt = render(
      "{% set n = namespace(x='') %}{% for i in range(2000) %}{% set n.x = n.x ~ 'a' * 200 %}{% endfor %}{{ "
      "n.x }}");
  EXPECT_EQ(prompt.text.size(), 400'000u);
}

// A hundred thousand lists, namespaces or functions within each other, ended all at once.
TEST(Chat, DeepValuesEndWithoutRecursion) {
  for (const std::string next :
       {"[n.x]", "{'a': n.x}", "(n.x,)", "namespace(x=n.x)", "cycler(n.x)", "joiner(n.x)"}) {
    EXPECT_EQ(render("{% set n = namespace(x=1) %}{% for i in range(100000) %}{% set n.x = " + next +
                     " %}{% endfor %}done")
                  .text,
              "done")
        << next;
  }
}

TEST(Chat, NamespacesThatHoldThemselvesEnd) {  // a leak otherwise, which the sanitizer reports
  EXPECT_EQ(render("{% set n = namespace() %}{% set n.x = [n] %}{{ n.x | length }}").text, "1");
  EXPECT_EQ(render("{% for i in [1, 2] %}{{ loop.changed(loop) }}{% endfor %}").text, "TrueTrue");
}

TEST(Chat, ACallerMayBeKept) {
  EXPECT_EQ(render("{% set n = namespace() %}{% macro m() %}{% set n.c = caller %}{% endmacro %}"
                   "{% for i in [1] %}{% call m() %}{{ i }}{% endcall %}{% endfor %}{{ n.c() }}")
                .text,
            "1");
}

TEST(Chat, ANamespaceWithAnAttributeCallIsNotCallable) {
  EXPECT_EQ(render("{{ namespace(__call__=1)() }}").text, "'Namespace' object is not callable");
}

TEST(Chat, FormattedIntegersAreExactOrUnsupported) {
  EXPECT_EQ(render("{{ '%d %d' % (9223372036854775807, -2.9) }}").text, "9223372036854775807 -2");
  EXPECT_THROW(render("{{ '%d' % 1e300 }}"), Error);
}

}  // namespace
}  // namespace llm2mnn::jinja
