// Macros of ours, in the runtime's dialect. A macro is the only function there: it returns text.

#include "jinja/lowering_passes.h"
#include "jinja/tree.h"

namespace llm2mnn::jinja::lowering {
namespace {

struct Helper {
  std::string_view name;
  /// `@` stands for the prefix of our names, `$` for the ASCII characters, `!` for the blanks among them, `^`
  /// for the other blanks that Python strips.
  std::string_view text;
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
{{- part if part is string else @text(part) -}}
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
    {"rstrip", R"({%- macro @rstrip(text) -%}
{%- set rest = namespace(v=text.rstrip("!")) -%}
{%- set more = namespace(v=true) -%}
{%- for i in range(256) -%}
{%- if more.v -%}
{%- set more.v = false -%}
{%- for c in [^] -%}
{%- if rest.v.endswith(c) -%}
{%- set more.v = true -%}
{%- set rest.v = namespace(v=rest.v + "<@end>").v.replace(c + "<@end>", "").rstrip("!") -%}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{%- endfor -%}
{{- rest.v -}}
{%- endmacro -%}
)"},
    {"lstrip", R"({%- macro @lstrip(text) -%}
{%- set rest = namespace(v=text.lstrip("!")) -%}
{%- set more = namespace(v=true) -%}
{%- for i in range(256) -%}
{%- if more.v -%}
{%- set more.v = false -%}
{%- for c in [^] -%}
{%- if rest.v.startswith(c) -%}
{%- set more.v = true -%}
{%- set rest.v = namespace(v="<@start>" + rest.v).v.replace("<@start>" + c, "").lstrip("!") -%}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{%- endfor -%}
{{- rest.v -}}
{%- endmacro -%}
)"},
    {"strip", R"({%- macro @strip(text) -%}
{{- @lstrip(@rstrip(text)) -}}
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

constexpr std::string_view kAsciiBlanks = " \\n\\r\\t\v\\f\x1c\x1d\x1e\x1f";
constexpr std::string_view kOtherBlanks =
    "\"\u0085\", \"\u00a0\", \"\u1680\", \"\u2000\", \"\u2001\", \"\u2002\", \"\u2003\", \"\u2004\", "
    "\"\u2005\", "
    "\"\u2006\", \"\u2007\", \"\u2008\", \"\u2009\", \"\u200a\", \"\u2028\", \"\u2029\", \"\u202f\", "
    "\"\u205f\", "
    "\"\u3000\"";

std::string spelled_out(std::string_view text, const std::string& prefix) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '@':
        result += prefix;
        break;
      case '$':
        result += ascii_literals();
        break;
      case '!':
        result += kAsciiBlanks;
        break;
      case '^':
        result += kOtherBlanks;
        break;
      default:
        result += c;
    }
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
  if (helper == "join") state.helpers.insert("text");
  if (helper == "text" || helper == "join") state.helpers.insert("repr");
  if (helper == "strip") state.helpers.insert({"lstrip", "rstrip"});
  auto result = tree::call(tree::name(state.prefix + std::string(helper)));
  for (auto& value : values)
    result->arguments.push_back({"", std::move(value)});
  return result;
}

std::string helper_macros(const State& state) {
  std::string result;
  for (const auto& helper : kHelpers) {
    if (state.helpers.count(std::string(helper.name)) == 0) continue;
    result += spelled_out(helper.text, state.prefix);
  }
  return result;
}

}  // namespace llm2mnn::jinja::lowering
