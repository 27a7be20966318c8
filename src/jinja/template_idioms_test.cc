// Plans of templates that do what those of real models do, in small: every prompt that Hugging Face makes
// must be the runtime's.

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "jinja/template_plan.h"

namespace llm2mnn::jinja {
namespace {

struct Idiom {
  const char* name;
  bool is_lowered;        ///< or rendered alike as it is
  std::size_t num_cases;  ///< that Hugging Face does not refuse
  const char* source;
};

const Idiom kIdioms[] = {
    {"system message taken out of the list", true, 32, R"(
{%- if messages[0]['role'] == 'system' -%}
    {%- set system_message = messages[0]['content'] | trim -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set system_message = 'You are helpful.' -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{{ bos_token + '<|system|>' + system_message + eos_token + '\n' }}
{%- for message in loop_messages -%}
    {{ '<|' + message['role'] + '|>' + (message['content'] or '') | trim + eos_token }}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %})"},
    {"roles must alternate", true, 12, R"({{ bos_token }}{% for message in messages %}
    {% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{ raise_exception('The roles must alternate') }}
    {% endif %}
    {% if message['role'] == 'user' %}
        {{ '[INST] ' + message['content'] + ' [/INST]' }}
    {% elif message['role'] == 'assistant' %}
        {{ message['content'] + eos_token}}
    {% else %}
        {{ raise_exception('No other role') }}
    {% endif %}
{% endfor %})"},
    {"last user turn found from behind, thoughts of older turns cut", false, 32, R"(
{%- set ns = namespace(searching=true, last=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.searching and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.searching = false %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}{% set content = message.content %}{% else %}{% set content = '' %}{% endif %}
    {%- set thought = '' %}
    {%- if message.reasoning_content is string %}
        {%- set thought = message.reasoning_content %}
    {%- elif '</think>' in content %}
        {%- set thought = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
        {%- set content = content.split('</think>')[-1].lstrip('\n') %}
    {%- endif %}
    {{- '<|im_start|>' + message.role + '\n' }}
    {%- if loop.index0 > ns.last and (loop.last or (not loop.last and thought)) %}
        {{- '<think>\n' + thought.strip('\n') + '\n</think>\n\n' }}
    {%- endif %}
    {{- content + '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %})"},
    {"tools in the system turn, results of tools gathered", true, 29, R"(
{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\n\n' }}
    {%- endif %}
    {{- "Tools:\n<tools>" }}
    {%- for tool in tools %}
        {{- "\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\n</tools><|im_end|>\n" }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- if message.content %}
            {{- '\n' + message.content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '\n<tool_call>\n{"name": "' }}
            {{- tool_call.name }}
            {{- '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}
            {{- '}\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\n<tool_response>\n' }}
        {{- message.content if message.content is string else message.content | tojson }}
        {{- '\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %})"},
    {"parts of a content by type, the first turn's text in front", true, 32, R"({{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set front = messages[0]['content'] + '\n\n' -%}
    {%- else -%}
        {%- set front = messages[0]['content'][0]['text'] + '\n\n' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set front = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '\n' + (front if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}
                {{ '<start_of_image>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model\n'}}
{%- endif -%})"},
    {"a date, a tool in the user turn, arguments as they are", true, 31, R"({{- bos_token }}
{%- if own_tools is defined %}{%- set tools = own_tools %}{%- endif %}
{%- if not tools_by_user is defined %}{%- set tools_by_user = true %}{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%Y") %}
    {%- else %}
        {%- set date_string = "2024" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}{%- set tools = none %}{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\n\n" + date_string + "<|eot_id|>" }}
{%- if tools_by_user and not tools is none %}
    {{- "<|start_header_id|>user<|end_header_id|>\n\n" }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\n\n" }}
    {%- endfor %}
{%- endif %}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("One call at a time") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '{"name": "' + tool_call.name + '", "parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}<|eot_id|>" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %})"},
    {"a macro that writes the parameters of tools, keys one by one", true, 32, R"(
{% macro extra(json_dict, handled) %}
    {%- if json_dict is mapping %}
        {%- for json_key in json_dict if json_key not in handled %}
            {%- if json_dict[json_key] is mapping or (json_dict[json_key] is sequence and json_dict[json_key] is not string) %}
                {{- '\n<' ~ json_key ~ '>' ~ (json_dict[json_key] | tojson | safe) ~ '</' ~ json_key ~ '>' }}
            {%- else %}
                {{- '\n<' ~ json_key ~ '>' ~ (json_dict[json_key] | string) ~ '</' ~ json_key ~ '>' }}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
{% endmacro %}
{%- if tools is iterable and tools | length > 0 %}
    {%- for tool in tools %}
        {%- if tool.function is defined %}{%- set tool = tool.function %}{%- endif %}
        {{- "\n<function>\n<name>" ~ tool.name ~ "</name>" }}
        {%- for name, fields in tool.parameters.properties | items %}
            {{- '\n<name>' ~ name ~ '</name>' }}
            {%- if fields.type is defined %}{{- '\n<type>' ~ (fields.type | string) ~ '</type>' }}{%- endif %}
            {{- extra(fields, ['name', 'type']) }}
        {%- endfor %}
    {%- endfor %}
{%- endif %})"},
    {"turns of tools by their neighbours", true, 32, R"(
{%- for message in messages %}
    {%- if message.role == "tool" %}
        {%- if loop.previtem and loop.previtem.role != "tool" %}{{- '<tools>' }}{%- endif %}
        {{- '[' ~ (message.name | default('none')) ~ ':' ~ message.content ~ ']' }}
        {%- if not loop.last and loop.nextitem.role != "tool" %}{{- '</tools>' }}{%- elif loop.last %}{{- '</tools>' }}{%- endif %}
    {%- elif message.tool_calls is defined and message.tool_calls is iterable and message.tool_calls | length > 0 %}
        {%- for call in message.tool_calls %}
            {{- '<' ~ call.function.name ~ '>' }}
            {%- if call.function.arguments is mapping %}
                {%- for key, value in call.function.arguments | items %}
                    {{- key ~ '=' ~ (value | tojson if value is mapping or (value is sequence and value is not string) else value | string) ~ ';' }}
                {%- endfor %}
            {%- else %}
                {{- call.function.arguments }}
            {%- endif %}
        {%- endfor %}
    {%- else %}
        {{- message.role ~ ': ' ~ message.content ~ '\n' }}
    {%- endif %}
{%- endfor %})"},
    {"texts gathered in a namespace", true, 32, R"(
{%- set ns = namespace(system='', parts=[], first=true) -%}
{%- for message in messages -%}
    {%- if message['role'] == 'system' and message['content'] is string -%}
        {%- set ns.system = ns.system + message['content'] if ns.first else ns.system + '\n\n' + message['content'] -%}
        {%- set ns.first = false -%}
    {%- endif -%}
{%- endfor -%}
{{- bos_token ~ ns.system -}}
{%- for message in messages | selectattr('role', 'ne', 'system') -%}
    {%- set content = message.get('content') or '' -%}
    {%- if content is string and '</think>' in content -%}
        {%- set content = (content.split('</think>', 1) | last).lstrip() -%}
    {%- endif -%}
    {{- '<' ~ message['role'] ~ '>' ~ content ~ ('' if loop.last else '|') -}}
{%- endfor -%})"},
    {"plain turns", false, 27,
     R"({% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %})"},
};

TEST(TemplateIdioms, ArePlannedToTheSamePrompts) {
  const JsonValue::Object tokens = {{"bos_token", JsonValue::make_string("<s>")},
                                    {"eos_token", JsonValue::make_string("</s>")}};
  for (const Idiom& idiom : kIdioms) {
    const TemplatePlan plan = plan_template(idiom.source, tokens, {"<s>", "</s>", {}});
    EXPECT_EQ(fmt::format("{}", fmt::join(plan.differing, ", ")), "") << idiom.name;
    EXPECT_EQ(fmt::format("{}", fmt::join(plan.limits, ", ")), "") << idiom.name;
    EXPECT_EQ(plan.num_cases, idiom.num_cases) << idiom.name;
    EXPECT_EQ(plan.num_equal, plan.num_cases) << idiom.name;
    EXPECT_EQ(plan.text != plan.source, idiom.is_lowered) << idiom.name;
  }
}

}  // namespace
}  // namespace llm2mnn::jinja
