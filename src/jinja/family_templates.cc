#include "jinja/family_templates.h"

#include <array>

namespace llm2mnn::jinja {

namespace {

constexpr std::string_view kChatml = R"({%- for message in messages -%}
{{- "<|im_start|>" + message.role + "\n" + message.content + "<|im_end|>\n" -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- "<|im_start|>assistant\n" -}}
{%- endif -%}
)";

constexpr std::string_view kLlama3 = R"({{- bos_token -}}
{%- for message in messages -%}
{{- "<|start_header_id|>" + message.role + "<|end_header_id|>\n\n" + message.content|trim + "<|eot_id|>" -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- "<|start_header_id|>assistant<|end_header_id|>\n\n" -}}
{%- endif -%}
)";

// Later turns begin with the BOS as text: `bos_token` is empty where the runtime puts the first one in front
// as an id.
constexpr std::string_view kLlama2 = R"({%- set turn = namespace(system="", begin=bos_token) -%}
{%- for message in messages -%}
{%- if message.role == "system" -%}
{%- set turn.system = "<<SYS>>\n" + message.content + "\n<</SYS>>\n\n" -%}
{%- elif message.role == "user" -%}
{%- set text = turn.system + message.content -%}
{{- turn.begin + "[INST] " + text|trim + " [/INST]" -}}
{%- set turn.system = "" -%}
{%- set turn.begin = "<s>" -%}
{%- elif message.role == "assistant" -%}
{{- " " + message.content|trim + " </s>" -}}
{%- endif -%}
{%- endfor -%}
)";

constexpr std::string_view kMistral = R"({{- bos_token -}}
{%- set turn = namespace(system="") -%}
{%- for message in messages -%}
{%- if message.role == "system" -%}
{%- set turn.system = message.content + "\n\n" -%}
{%- elif message.role == "user" -%}
{{- "[INST] " + turn.system + message.content + " [/INST]" -}}
{%- set turn.system = "" -%}
{%- elif message.role == "assistant" -%}
{{- " " + message.content + "</s>" -}}
{%- endif -%}
{%- endfor -%}
)";

constexpr std::string_view kGemma = R"({{- bos_token -}}
{%- set turn = namespace(system="") -%}
{%- for message in messages -%}
{%- if message.role == "system" -%}
{%- set turn.system = message.content + "\n\n" -%}
{%- else -%}
{%- set role = "model" if message.role == "assistant" else message.role -%}
{{- "<start_of_turn>" + role + "\n" + turn.system + message.content|trim + "<end_of_turn>\n" -}}
{%- set turn.system = "" -%}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- "<start_of_turn>model\n" -}}
{%- endif -%}
)";

constexpr std::string_view kPhi3 = R"({%- for message in messages -%}
{%- if message.content or message.role != "system" -%}
{{- "<|" + message.role + "|>\n" + message.content + "<|end|>\n" -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- "<|assistant|>\n" -}}
{%- endif -%}
)";

constexpr std::string_view kZephyr = R"({%- for message in messages -%}
{{- "<|" + message.role + "|>\n" + message.content + "</s>\n" -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- "<|assistant|>\n" -}}
{%- endif -%}
)";

constexpr std::array<FamilyTemplate, 7> kFamilies = {{
    {"chatml", kChatml},
    {"llama3", kLlama3},
    {"llama2", kLlama2},
    {"mistral", kMistral},
    {"gemma", kGemma},
    {"phi3", kPhi3},
    {"zephyr", kZephyr},
}};

}  // namespace

std::span<const FamilyTemplate> family_templates() { return kFamilies; }

}  // namespace llm2mnn::jinja
