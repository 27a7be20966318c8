// Statements, generators and operators with what jinja2 3.1.6 on Python 3.11 gives for them in the
// environment of transformers 4.57.

#include <gtest/gtest.h>

#include "jinja/chat.h"

namespace llm2mnn::jinja {
namespace {

constexpr std::string_view kVariables =
    R"({"s":"Hello, Wörld foo","d":{"b":1,"a":[1,2,{"k":"v"}],"items":3},"l":[3,1,2],"ws":" \u3000a\u2028 b\n",)"
    R"("ppl":[{"n":"Bob","a":3},{"n":"al","a":1},{"n":"bob","a":2}],"f":2.5,"big":9007199254740993,"neg":-7,)"
    R"("e":"","lines":"a\r\nb\u000bc\u2028d\n\ne"})";

ChatPrompt render(std::string_view source) {
  ChatInput input;
  input.messages =
      parse_json(R"([{"role":"user","content":"Hi there"},{"role":"assistant","content":"Bé"}])");
  input.variables = parse_json(kVariables).as_object();
  return render_chat(parse_template(source), input);
}

struct Case {
  const char* source;
  const char* text;
};

const Case kRendered[] = {
    {"{{ ['<'|safe, '<'|e] }}", "[Markup('<'), Markup('&lt;')]"},
    {"{% set g = ppl|map(attribute='n.x.y') %}{{ 'ok' if g }}", "ok"},
    {"{% set g = [1, 'a']|map('round') %}{{ g|first }}", "1"},
    {"{% set g = [1, 'a']|map('round') %}{{ 1 in g }}", "True"},
    {"{% if ppl|selectattr('n.x.y') %}yes{% endif %}", "yes"},
    {"{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}", "2"},
    {"{% set x = 1 %}{% for i in l %}{% set x = i %}{{ x }}{% endfor %}{{ x }}", "3121"},
    {"{% for i in l %}{% if i == 1 %}{% set y = i %}{% endif %}{{ y }}{% endfor %}", "1"},
    {"{% for i in l %}{% for j in l %}{{ loop.index }}{{ loop.depth }}{% endfor %}{{ loop.index }}{% endfor "
     "%}",
     "112131111213121121313"},
    {"{% for i in l %}{% set i = 5 %}{{ i }}{% endfor %}{{ i }}", "555"},
    {"{% macro f() %}{{ x }}{% endmacro %}{% set x = 1 %}{{ f() }}", "1"},
    {"{% set x = 1 %}{% macro f() %}{{ x }}{% set x = 2 %}{{ x }}{% endmacro %}{{ f() }}{{ x }}", "121"},
    {"{% for i in l %}{% macro f() %}{{ i }}{% endmacro %}{{ f() }}{% endfor %}", "312"},
    {"{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}", "3210"},
    {"{% macro f(x=y) %}{{ x }}{% endmacro %}{% set y = 3 %}{{ f() }}", "3"},
    {"{% macro f(a, b=a) %}{{ b }}{% endmacro %}{{ f(1) }}", "1"},
    {"{% set a, b = 1, 2 %}{{ a }}{{ b }}", "12"},
    {"{% set a, b = 'xy' %}{{ b }}{{ a }}", "yx"},
    {"{% for a, b in [[1, 2], [3, 4]] %}{{ a }}{{ b }}{% endfor %}", "1234"},
    {"{% for x in l if x > 1 %}{{ loop.index }}{{ loop.length }}{{ loop.last }}{% else %}e{% endfor %}",
     "12False22True"},
    {"{% for x in [] %}{% else %}{% set q = 1 %}{{ q }}{% endfor %}{{ q }}", "1"},
    {"{% for x in missing %}a{% else %}b{% endfor %}", "b"},
    {"{% for x in 'aé' %}{{ x }}.{% endfor %}", "a.é."},
    {"{% for i in [1, [2, [3]]] recursive %}{{ loop(i) if i is iterable else i }}{{ loop.depth0 }}{% endfor "
     "%}",
     "10213210"},
    {"{% for i in l %}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.revindex }}{{ loop.revindex0 }},{% "
     "endfor %}",
     "132,3221,110,"},
    {"{% for i in l %}{% for j in [1] %}{{ loop.first }}{% endfor %}{% endfor %}{{ loop }}", "TrueTrueTrue"},
    {"{% set x %}a{{ s }}{% endset %}{{ x }}", "aHello, Wörld foo"},
    {"{% set x | upper %}a{{ s }}{% endset %}{{ x }}", "AHELLO, WÖRLD FOO"},
    {"{% set x | replace('a', 'b') | trim %} a {% endset %}[{{ x }}]", "[b]"},
    {"{% filter upper | replace('A', 'x') %}a{{ s }}{% endfilter %}", "xHELLO, WÖRLD FOO"},
    {"{% set ns = namespace(x=[]) %}{% for i in l %}{% set ns.x = ns.x + [i] %}{% endfor %}{{ ns.x }}",
     "[3, 1, 2]"},
    {"{% set ns = namespace() %}{% set ns.x %}abc{% endset %}{{ ns.x }}", "abc"},
    {"{% if missing %}a{% elif none %}b{% else %}c{% endif %}", "c"},
    {"{{ missing is defined and missing.x }}", "False"},
    {"{{ none ~ true ~ 1 }}", "NoneTrue1"},
    {"{{ [1, 2] ~ {'a': 'b'} }}", "[1, 2]{'a': 'b'}"},
    {"{{ 1 if missing }}", ""},
    {"{{ (1 if missing) ~ 'x' }}", "x"},
    {"{{ 'a' 'b' }}", "ab"},
    {"{{ \"a\\tb\\x41\\u00e9\\101\\q\" }}", "a\tbAéA\\q"},
    {"{{ 1_000 + 1e3 + 1.5e-2 }}", "2000.015"},
    {"{{ (1,) + (2, 3) }}{{ () }}{{ (1) }}{{ 1, 2 }}", "(1, 2, 3)()1(1, 2)"},
    {"{{ -1 | abs }}{{ (-1) | abs }}{{ - -1 }}{{ 2 ** 3 ** 2 }}{{ -2 ** 2 }}", "111644"},
    {"{{ not 1 == 2 }}{{ not (1 and 0) }}", "TrueTrue"},
    {"{{ 1 is odd and 2 is even or 3 is odd }}{{ 1 is not even }}{{ 'a' is in 'abc' }}", "TrueTrueTrue"},
    {"{{ 4 is divisibleby 2 and 1 }}{{ 3 is eq 3 }}", "1True"},
    {"{{ l | sort | first | string | upper }}", "1"},
    {"{{ l.0 }}{{ d.a.2.k }}{{ d['a'][2]['k'] }}", "3vv"},
    {"{{ messages[0].content.upper().lower() }}", "hi there"},
    {"{{ messages | map(attribute='role') | list | tojson }}", "[\"user\", \"assistant\"]"},
    {"a{# c #}b{#- c -#} d {%- if true -%} e {%- endif -%} f", "abdef"},
    {"{{ a }}", ""},
    {"{% raw %}{{ x }}{% endraw %}{%- raw -%} y {%- endraw -%} z", "{{ x }}yz"},
    {"{{ '{{' }}{{ '%}' }}{{ \"}}\" }}", "{{%}}}"},
    {"{{ {'a': {'b': 1}}.a.b }}{{ {'a':1}['a'] }}", "11"},
    {"{% print 1 %}", "1"},
    {"{%+ if true +%}x{% endif %}", "x"},
    {"{{- 'a' -}} b", "ab"},
    {"{% set x = [1,2,3] %}{{ x[::2] }}{{ x[-2:] }}{{ x[:1] }}{{ x[5:] }}", "[1, 3][2, 3][1][]"},
    {"{{ loop is defined }}{{ caller is defined }}{{ range is defined }}", "FalseFalseTrue"},
    {"{% macro m() %}{{ varargs|length }}{{ kwargs }}{% endmacro %}{{ m(1, 2, a=3) }}", "2{'a': 3}"},
    {"{% macro m2() %}{{ caller(1) }}{{ caller(2) }}{% endmacro %}{% call(x) m2() %}<{{ x }}>{% endcall %}",
     "<1><2>"},
    {"{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}", "Hi thereBé"},
    {"{% for i in range(5) %}{% if i == 3 %}{% break %}{% endif %}{% if i == 1 %}{% continue %}{% endif %}{{ "
     "i }}{% endfor %}",
     "02"},
    {"{% for i in range(3) %}{% for j in range(3) %}{% if j == 1 %}{% break %}{% endif %}{{ j }}{% endfor "
     "%}{{ i }}{% endfor %}",
     "000102"},
    {"{% set x = namespace(a=1) %}{% macro g() %}{% set x.a = x.a + 1 %}{% endmacro %}{{ g() }}{{ g() }}{{ "
     "x.a }}",
     "3"},
    {"{% set messages = messages[1:] %}{{ messages | length }}", "1"},
    {"{% if true %}{% set messages = [] %}{% endif %}{{ messages | length }}", "0"},
    {"{% for m in messages %}{% set messages = [] %}{{ messages | length }}{% endfor %}{{ messages | length "
     "}}",
     "002"},
};

TEST(EvaluatorFlow, RendersAsPython) {
  for (const Case& test : kRendered) {
    const ChatPrompt prompt = render(test.source);
    EXPECT_FALSE(prompt.refused) << test.source << ": " << prompt.text;
    EXPECT_EQ(prompt.text, test.text) << test.source;
  }
}

const char* const kRefused[] = {
    "{{ 'A'.isupper(1) }}",
    "{{ l|sort('x') }}",
    "{{ 'a\\nb'.splitlines('x') }}",
    "{{ s|upper(1) }}",
    "{{ s|title(1) }}",
    "{{ ppl|groupby }}",
    "{{ s|attr }}",
    "{% set g = ppl|map(attribute='n.x.y') %}{{ g|list }}",
    "{% set g = [1, 'a']|map('round') %}{{ 2 in g }}",
    "{% for i in ppl|selectattr('n.x.y') %}yes{% endfor %}",
    "{{ f() }}{% macro f() %}x{% endmacro %}",
    "{% set a, b = [1, 2, 3] %}",
    "{% for a, b in [[1, 2, 3]] %}{% endfor %}",
    "{% for k, v in d %}{{ k }}{% endfor %}",
    "{% for x in l if loop.index > 1 %}{{ x }}{% endfor %}",
    "{% for x in 5 %}{% endfor %}",
    "{% set ns.x = 1 %}",
    "{% set d.x = 1 %}",
    "{% if missing.x %}a{% endif %}",
    "{{ 1 + 2 ~ 3 * 4 }}{{ 7 - 2 - 1 }}{{ 2 * 3 % 4 }}{{ 1 ~ 2 == '12' }}",
    "{% call(x) m2() %}{{ x }}{% endcall %}",
};

TEST(EvaluatorFlow, RefusesWherePythonRaises) {
  for (const char* source : kRefused)
    EXPECT_TRUE(render(source).refused) << source;
}

}  // namespace
}  // namespace llm2mnn::jinja
