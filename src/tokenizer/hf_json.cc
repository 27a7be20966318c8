#include "tokenizer/hf_json.h"

#include <algorithm>

namespace llm2mnn::hf {

const JsonValue* present(const JsonValue& value, std::string_view name) {
  const JsonValue* member = value.find(name);
  return member == nullptr || member->is_null() ? nullptr : member;
}

std::string_view type_of(const JsonValue& component, std::string_view what) {
  const JsonValue* type = component.find("type");
  if (type == nullptr || !type->is_string())
    fail(ErrorKind::kFormat, "{}: expected an object with a type", what);
  return type->as_string();
}

bool bool_member(const JsonValue& component, std::string_view name, bool fallback, std::string_view what) {
  const JsonValue* member = present(component, name);
  if (member == nullptr) return fallback;
  if (!member->is_bool()) fail(ErrorKind::kFormat, "{}: {}: expected true or false", what, name);
  return member->as_bool();
}

std::string string_member(const JsonValue& component, std::string_view name, std::string_view what) {
  const JsonValue* member = present(component, name);
  if (member == nullptr || !member->is_string())
    fail(ErrorKind::kFormat, "{}: {}: expected a string", what, name);
  return std::string(member->as_string());
}

std::string string_member(const JsonValue& component, std::string_view name, std::string_view fallback,
                          std::string_view what) {
  return present(component, name) == nullptr ? std::string(fallback) : string_member(component, name, what);
}

std::uint32_t count_member(const JsonValue& component, std::string_view name, std::uint32_t fallback,
                           std::string_view what) {
  const JsonValue* member = present(component, name);
  if (member == nullptr) return fallback;
  const std::int64_t value = member->is_number() ? member->as_int64() : -1;
  if (value < 0 || value > 0x7FFFFFFF) {
    fail(ErrorKind::kFormat, "{}: {}: expected a number from 0 to 2147483647, found {}", what, name,
         shown(member->dump(), 40));
  }
  return static_cast<std::uint32_t>(value);
}

std::string char_member(const JsonValue& component, std::string_view name, std::string_view fallback,
                        std::string_view what) {
  std::string text = string_member(component, name, fallback, what);
  std::size_t pos = 0;
  if (!text.empty()) next_code_point(text, pos);
  if (text.empty() || pos != text.size()) {
    fail(ErrorKind::kFormat, "{}: {}: expected one character, found {}", what, name, shown(text, 40));
  }
  return text;
}

TextPattern pattern_member(const JsonValue& component, std::string_view what) {
  const JsonValue* pattern = component.find("pattern");
  const JsonValue* regex = pattern == nullptr ? nullptr : pattern->find("Regex");
  const JsonValue* literal = pattern == nullptr ? nullptr : pattern->find("String");
  const JsonValue* text = regex != nullptr ? regex : literal;
  if (text == nullptr || !text->is_string()) {
    fail(ErrorKind::kFormat, "{}: expected a pattern with a Regex or a String", what);
  }
  return {std::string(text->as_string()), regex != nullptr};
}

PrependScheme prepend_scheme_of(const JsonValue& component, std::string_view what) {
  const bool prefix = bool_member(component, "add_prefix_space", true, what);
  const std::string name = string_member(component, "prepend_scheme", prefix ? "always" : "never", what);
  // `tokenizers` refuses a file whose two members contradict.
  if (!prefix && name != "never") {
    fail(ErrorKind::kFormat, "{}: add_prefix_space is false, but prepend_scheme is {}", what, shown(name));
  }
  if (name == "always") return PrependScheme::kAlways;
  if (name == "first") return PrependScheme::kFirst;
  if (name == "never") return PrependScheme::kNever;
  fail(ErrorKind::kFormat, "{}: prepend_scheme: expected always, first or never, found {}", what,
       shown(name));
}

void check_members(const JsonValue& component, std::initializer_list<std::string_view> known,
                   std::string_view what) {
  for (const auto& [key, value] : component.as_object()) {
    if (key == "type" || std::find(known.begin(), known.end(), key) != known.end()) continue;
    fail(ErrorKind::kUnsupported, "{}: member {} is not known to this version", what, shown(key));
  }
}

}  // namespace llm2mnn::hf
