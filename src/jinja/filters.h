#pragma once
// The table of filters, filled by files of their own.

#include <map>
#include <string_view>

#include "jinja/evaluator.h"

namespace llm2mnn::jinja {

using Filter = Value (*)(const Value&, Arguments&);
using FilterTable = std::map<std::string_view, Filter>;

void add_list_filters(FilterTable& table);
void add_text_filters(FilterTable& table);
void add_number_filters(FilterTable& table);

inline bool is_absent(const Value& argument) {
  return argument.is_undefined() || argument.is(Value::Kind::kNone);
}
/// Whether an argument is a whole number (booleans are).
inline bool is_whole(const Value& value) {
  return value.is(Value::Kind::kInteger) || value.is(Value::Kind::kBool);
}

}  // namespace llm2mnn::jinja
