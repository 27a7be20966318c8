// Filters of texts, and `tojson` and `default`.

#include <algorithm>

#include "jinja/filters.h"
#include "jinja/text.h"
#include "jinja/work_meter.h"

namespace llm2mnn::jinja {

namespace {

using Kind = Value::Kind;

Value default_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("default", arguments, {"default_value", "boolean"});
  if (!input.is_undefined() && !(taken[1].truth() && !input.truth())) return input;
  const bool given = !arguments.positional.empty() ||
                     std::any_of(arguments.named.begin(), arguments.named.end(),
                                 [](const auto& named) { return named.first == "default_value"; });
  return given ? taken[0] : Value::string("");
}

/// `text` made of `input`, marked safe where that is.
Value text_like(const Value& input, std::string text) {
  return input.is_safe() ? Value::safe_string(std::move(text)) : Value::string(std::move(text));
}

template <auto kMap>
Value mapped(const Value& input, Arguments&) {
  return text_like(input, kMap(to_text(input)));
}

Value title_filter(const Value& input, Arguments&) { return Value::string(titled_words(to_text(input))); }

void set_indent(JsonFormat& format, const Value& indent) {
  constexpr std::int64_t kMost = 1000;
  if (is_absent(indent)) return;
  format.item_separator = ",";
  if (indent.is_string()) {
    format.indent = indent.text();
  } else if (!is_whole(indent)) {
    beyond("tojson with such an indent");
  } else {
    if (indent.as_integer() > kMost) beyond("tojson with such an indent");
    format.indent =
        std::string(static_cast<std::size_t>(std::max<std::int64_t>(indent.as_integer(), 0)), ' ');
  }
}

Value tojson_filter(const Value& input, Arguments& arguments) {
  const auto taken =
      take_arguments("tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonFormat format;
  set_indent(format, taken[1]);
  if (!is_absent(taken[2])) {
    const auto separators = iterate(taken[2]);
    if (separators.size() != 2) raise("separators are two");
    if (!separators[0].is_string() || !separators[1].is_string()) raise("separators are strings");
    format.item_separator = separators[0].text();
    format.key_separator = separators[1].text();
  }
  format.sort_keys = taken[3].truth();
  format.ensure_ascii = taken[0].truth();
  return Value::string(to_json(input, format));
}

Value indent_filter(const Value& input, Arguments& arguments) {
  constexpr std::int64_t kMost = 10'000;
  const auto taken = take_arguments("indent", arguments, {"width", "first", "blank"});
  std::string margin = "    ";
  if (taken[0].is_string()) {
    margin = taken[0].text();
  } else if (is_whole(taken[0])) {
    if (taken[0].as_integer() > kMost) beyond("indent with such a width");
    margin = std::string(static_cast<std::size_t>(std::max<std::int64_t>(taken[0].as_integer(), 0)), ' ');
  } else if (!taken[0].is_undefined()) {
    raise(fmt::format("can't multiply sequence by non-int of type '{}'", taken[0].type_name()));
  }
  input.check_defined();
  if (!input.is_string()) raise(fmt::format("indent of a value of type '{}'", input.type_name()));
  const std::string text = input.text() + "\n";
  std::string out = taken[1].truth() ? margin : "";
  bool is_first = true;
  for (const std::string_view line : lines_of(text, false)) {
    charge_work(margin.size() + line.size());
    if (!is_first) out += '\n';
    if (!is_first && (!line.empty() || taken[2].truth())) out += margin;
    out += line;
    is_first = false;
  }
  return text_like(input, std::move(out));
}

Value replace_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("replace", arguments, {"old", "new", "count"});
  const std::size_t given = arguments.positional.size() + arguments.named.size();
  if (given < 2 || (given == 2 && !taken[2].is_undefined())) raise("replace() needs two arguments");
  Arguments texts;
  texts.positional = {Value::string(to_text(taken[0])), Value::string(to_text(taken[1]))};
  if (!is_absent(taken[2])) texts.positional.push_back(taken[2]);
  return find_method(Value::string(to_text(input)), "replace").callee()(texts);
}

Value trim_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("trim", arguments, {"chars"});
  const bool has_set = !taken[0].is(Kind::kNone) && arguments.positional.size() + arguments.named.size() > 0;
  if (has_set && !taken[0].is_string()) raise("strip arg must be None or str");
  return text_like(input, stripped(to_text(input), true, true, has_set ? &taken[0].text() : nullptr));
}

Value center_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("center", arguments, {"width"});
  Arguments width;
  width.positional.push_back(taken[0].is_undefined() ? Value::integer(80) : taken[0]);
  return text_like(input, find_method(Value::string(to_text(input)), "center").callee()(width).text());
}

Value truncate_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("truncate", arguments, {"length", "killwords", "end", "leeway"});
  const auto number = [](const Value& value, std::int64_t fallback) {
    if (is_absent(value)) return fallback;
    if (!is_whole(value)) raise("truncate needs whole numbers");
    return value.as_integer();
  };
  const std::int64_t length = number(taken[0], 255), leeway = number(taken[3], 5);
  const std::string end = taken[2].is_undefined() ? "..." : to_text(taken[2]);
  const auto end_size = static_cast<std::int64_t>(num_characters(end));
  if (length < end_size) raise(fmt::format("expected length >= {}, got {}", end_size, length));
  if (leeway < 0) raise(fmt::format("expected leeway >= 0, got {}", leeway));
  if (input.is_undefined()) return input;
  if (!input.is_string() || input.is_safe()) beyond("truncate of such a value");
  const std::string& text = input.text();
  if (static_cast<std::int64_t>(num_characters(text)) - leeway <= length) return input;
  std::string kept = text.substr(0, byte_of_character(text, static_cast<std::size_t>(length - end_size)));
  if (!taken[1].truth()) kept = kept.substr(0, kept.rfind(' '));
  return Value::string(kept + end);
}

Value urlencode_filter(const Value& input, Arguments&) {
  if (!input.is_string() && !input.is_number() && !input.is(Kind::kNone)) beyond("urlencode of such a value");
  const auto is_kept = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_.-~/").find(c) != std::string_view::npos;
  };
  std::string out;
  for (const char c : to_text(input))
    out += is_kept(c) ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  return Value::string(std::move(out));
}

Value wordcount_filter(const Value& input, Arguments&) {
  const std::string text = to_text(input);
  std::int64_t count = 0;
  bool in_word = false;
  for (std::size_t pos = 0; pos < text.size();) {
    const bool goes_on = is_word(next_code_point(text, pos));
    count += goes_on && !in_word ? 1 : 0;
    in_word = goes_on;
  }
  return Value::integer(count);
}

Value format_filter(const Value& input, Arguments& arguments) {
  if (input.is_safe()) beyond("a format that is marked safe");
  if (!arguments.positional.empty() && !arguments.named.empty())
    raise("can't handle positional and keyword arguments at the same time");
  Value values = Value::tuple(arguments.positional);
  if (!arguments.named.empty()) {
    values = Value::dict();
    for (const auto& [name, value] : arguments.named)
      values.entries().set(Value::string(name), value);
  }
  return binary_operation("%", Value::string(to_text(input)), values);
}

Value escape_filter(const Value& input, Arguments&) {
  return input.is_safe() ? input : Value::safe_string(html_escaped(to_text(input)));
}

}  // namespace

void add_text_filters(FilterTable& table) {
  using V = const Value&;
  using A = Arguments&;
  table.insert({
      {"capitalize", mapped<capitalized>},
      {"center", center_filter},
      {"d", default_filter},
      {"default", default_filter},
      {"e", escape_filter},
      {"escape", escape_filter},
      {"forceescape", [](V v, A) { return Value::safe_string(html_escaped(to_text(v))); }},
      {"format", format_filter},
      {"indent", indent_filter},
      {"lower", mapped<lower>},
      {"replace", replace_filter},
      {"safe", [](V v, A) { return Value::safe_string(to_text(v)); }},
      {"string", [](V v, A) { return v.is_string() ? v : Value::string(to_text(v)); }},
      {"title", title_filter},
      {"tojson", tojson_filter},
      {"trim", trim_filter},
      {"truncate", truncate_filter},
      {"upper", mapped<upper>},
      {"urlencode", urlencode_filter},
      {"wordcount", wordcount_filter},
  });
}

}  // namespace llm2mnn::jinja
