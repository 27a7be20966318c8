// Macros of ours, in the runtime's dialect. A macro is the only function there: it returns text.

#include "jinja/lowering_passes.h"
#include "jinja/tree.h"

namespace llm2mnn::jinja::lowering {
namespace {

struct Helper {
  std::string_view name;
  std::string_view text;  ///< `@` stands for the prefix of our names, `$` for the ASCII characters
};

constexpr Helper kHelpers[] = {
    {"json", R"({%- macro @json(v) -%}
{%- if v is mapping -%}
{{- "{" -}}
{%- for key, value in v|items -%}
{{- ", " if not loop.first else "" -}}
{{- (key|tojson) + ": " + @json(value) -}}
{%- endfor -%}
{{- "}" -}}
{%- elif v is iterable and v is not string -%}
{{- "[" -}}
{%- for value in v -%}
{{- ", " if not loop.first else "" -}}
{{- @json(value) -}}
{%- endfor -%}
{{- "]" -}}
{%- else -%}
{{- v|tojson -}}
{%- endif -%}
{%- endmacro -%}
)"},
    {"json_indent", R"({%- macro @json_indent(v, line, step) -%}
{%- if v is mapping and v -%}
{{- "{" -}}
{%- for key, value in v|items -%}
{{- "," if not loop.first else "" -}}
{{- line + step + (key|tojson) + ": " + @json_indent(value, line + step, step) -}}
{%- endfor -%}
{{- line + "}" -}}
{%- elif v is iterable and v is not string and v -%}
{{- "[" -}}
{%- for value in v -%}
{{- "," if not loop.first else "" -}}
{{- line + step + @json_indent(value, line + step, step) -}}
{%- endfor -%}
{{- line + "]" -}}
{%- else -%}
{{- v|tojson -}}
{%- endif -%}
{%- endmacro -%}
)"},
    {"repr", R"({%- macro @repr(v) -%}
{%- if v is mapping -%}
{{- "{" -}}
{%- for key, value in v|items -%}
{{- ", " if not loop.first else "" -}}
{{- @repr(key) + ": " + @repr(value) -}}
{%- endfor -%}
{{- "}" -}}
{%- elif v is string -%}
{%- set mark = "\"" if "'" in v and "\"" not in v else "'" -%}
{%- set text = v.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") -%}
{{- mark + (text.replace("'", "\\'") if mark == "'" else text) + mark -}}
{%- elif v is iterable -%}
{{- "[" -}}
{%- for value in v -%}
{{- ", " if not loop.first else "" -}}
{{- @repr(value) -}}
{%- endfor -%}
{{- "]" -}}
{%- else -%}
{{- v|string -}}
{%- endif -%}
{%- endmacro -%}
)"},
    {"text", R"({%- macro @text(v) -%}
{%- if v is defined -%}
{{- @repr(v) if v is mapping or (v is iterable and v is not string) else (v|string) -}}
{%- endif -%}
{%- endmacro -%}
)"},
    {"escape", R"({%- macro @escape(v) -%}
{{- v.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("'", "&#39;").replace("\"", "&#34;") -}}
{%- endmacro -%}
)"},
    {"join", R"({%- macro @join(parts, separator) -%}
{%- for part in parts -%}
{{- separator if not loop.first else "" -}}
{{- part|string -}}
{%- endfor -%}
{%- endmacro -%}
)"},
    {"indent", R"({%- macro @indent(text, pad) -%}
{%- for line in text.split("\n") -%}
{{- "\n" if not loop.first else "" -}}
{{- pad if line and not loop.first else "" -}}
{{- line -}}
{%- endfor -%}
{%- endmacro -%}
)"},
    {"repeat", R"({%- macro @repeat(text, count) -%}
{%- for i in range(count) -%}
{{- text -}}
{%- endfor -%}
{%- endmacro -%}
)"},
    {"after_first", R"({%- macro @after_first(text, mark) -%}
{%- for part in text.split(mark)[1:] -%}
{{- mark if not loop.first else "" -}}
{{- part -}}
{%- endfor -%}
{%- endmacro -%}
)"},
    {"drop_last", R"({%- macro @drop_last(text, count) -%}
{%- set rest = namespace(v=text, found=false) -%}
{%- for i in range(count) -%}
{%- set rest.found = false -%}
{%- for c in [$] -%}
{%- if not rest.found and rest.v.endswith(c) -%}
{%- set rest.found = true -%}
{%- set rest.v = namespace(v=rest.v + "<@end>").v.replace(c + "<@end>", "") -%}
{%- endif -%}
{%- endfor -%}
{%- endfor -%}
{{- rest.v -}}
{%- endmacro -%}
)"},
    {"drop_first", R"({%- macro @drop_first(text, count) -%}
{%- set rest = namespace(v=text, found=false) -%}
{%- for i in range(count) -%}
{%- set rest.found = false -%}
{%- for c in [$] -%}
{%- if not rest.found and rest.v.startswith(c) -%}
{%- set rest.found = true -%}
{%- set rest.v = namespace(v="<@start>" + rest.v).v.replace("<@start>" + c, "") -%}
{%- endif -%}
{%- endfor -%}
{%- endfor -%}
{{- rest.v -}}
{%- endmacro -%}
)"},
    {"before_last", R"({%- macro @before_last(text, mark) -%}
{%- for part in text.split(mark)[:-1] -%}
{{- mark if not loop.first else "" -}}
{{- part -}}
{%- endfor -%}
{%- endmacro -%}
)"},
};

/// The printable ASCII characters, a newline and a tab as literals.
std::string ascii_literals() {
  std::string result = R"("\n", "\t")";
  for (char c = ' '; c <= '~'; ++c) {
    result += ", \"";
    if (c == '"' || c == '\\') result += '\\';
    result += c;
    result += '"';
  }
  return result;
}

}  // namespace

ExpressionPtr as_text(ExpressionPtr value, State& state) {
  std::vector<ExpressionPtr> values;
  values.push_back(std::move(value));
  return helper_call("text", std::move(values), state);
}

ExpressionPtr helper_call(std::string_view helper, std::vector<ExpressionPtr> values, State& state) {
  state.helpers.insert(std::string(helper));
  if (helper == "text") state.helpers.insert("repr");
  auto result = tree::call(tree::name(state.prefix + std::string(helper)));
  for (auto& value : values)
    result->arguments.push_back({"", std::move(value)});
  return result;
}

std::string helper_macros(const State& state) {
  std::string result;
  for (const auto& helper : kHelpers) {
    if (state.helpers.count(std::string(helper.name)) == 0) continue;
    for (const char c : helper.text) {
      if (c == '@') {
        result += state.prefix;
      } else if (c == '$') {
        result += ascii_literals();
      } else {
        result += c;
      }
    }
  }
  return result;
}

}  // namespace llm2mnn::jinja::lowering
