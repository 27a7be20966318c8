#include "jinja/runtime_model.h"

#include <gtest/gtest.h>

namespace llm2mnn::jinja {
namespace {

std::string render(std::string_view source) {
  ChatInput input;
  input.messages = parse_json(R"([{"role":"user","content":"Hi"},{"role":"assistant","content":"Yo"}])");
  return render_as_runtime(source, input, {.bos_token = "<s>", .eos_token = "</s>", .context = {}});
}

struct Case {
  const char* source;
  const char* text;
};

const Case kCases[] = {
    {"{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}", "user:Hi;assistant:Yo;"},
    {"{{ bos_token or '' }}{{ none }}{{ [1, 'a'] }}", "truenull[1,\"a\"]"},
    {"{{ 'a' }} {% if add_generation_prompt %}b{% endif %}", "ab"},
    {"{{ {'b': 1, 'name': 2, 'type': 'é'} | tojson }}", "{\"type\": \"é\", \"name\": 2, \"b\": 1}"},
    {"{{ namespace(v=messages).v[1].content }}", "Yo"},
    {"{% for k, v in {'b': 1, 'a': 2} | items %}{{ k }}{{ v }}{% endfor %}", "b1a2"},
    {"{{ messages | first | tojson | length }}{{ x.get('y') }}", "75"},
    {"{% macro f(a, b='c') %}{{ a }}{{ b }}{{ y }}{% endmacro %}{% set y = 'z' %}{{ f(1) }}", "1z"},
    {"{% set x %}body{% endset %}[{{ x }}]", "body[]"},
    {"{{ undefined_thing is mapping }}{{ undefined_thing + 'text' }}", "true"},
    {"{{ ('a')[0] }}{{ messages[-1]['role'] }}{{ messages[1:] | length }}", "aassistant1"},
    {"{% set x.y = 5 %}{{ z.y }}{{ z is defined }}", "5false"},
    {"{% set n = namespace() %}{% set n.n = n %}{{ n }}", "{\"n\":{\"n\":null}}"},
    {"{{ 'a'.strip() }}{{ (7 - 9) ~ none ~ true }}", "a-2NoneTrue"},
};

TEST(RuntimeModel, RendersAsTheEngineDoes) {
  for (const auto& [source, text] : kCases)
    EXPECT_EQ(render(source), text) << source;
}

TEST(RuntimeModel, GivesPartsToATemplateThatOnlyShowsParts) {
  EXPECT_EQ(render("{% for m in messages %}{{ m.content[0].text }}{% endfor %}"), "HiYo");
  EXPECT_EQ(render("{{ messages[0].content }}"), "Hi");
}

TEST(RuntimeModel, ContextHidesTheNamedTokens) {
  ChatInput input;
  input.messages = parse_json("[]");
  RuntimeContext context{.bos_token = "<s>", .eos_token = "</s>", .context = {}};
  context.context.emplace_back("eos_token", JsonValue::make_string("other"));
  EXPECT_EQ(render_as_runtime("{{ bos_token }}{{ eos_token }}{{ tools is defined }}", input, context),
            "<s>otherfalse");
}

TEST(RuntimeModel, EndsWhateverATemplateDoes) {
  for (const char* const source :
       {"text {{ [1, 2", "{{ {1 * 2} }}", "{{ 'a' }}{{ 'b'|string }}{% set s = 'c' %}{{ s.split('') }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}"})
    EXPECT_EQ(render(source), kRuntimeFails) << source;
  render("{{ " + std::string(100000, '(') + " }}");
  render("{{ x" + std::string(100000, '+') + " }}");
}

}  // namespace
}  // namespace llm2mnn::jinja
