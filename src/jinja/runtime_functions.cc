#include "jinja/runtime_functions.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <limits>

namespace llm2mnn::jinja::runtime {
namespace {

constexpr std::string_view kBlanks = " \n\r\t";
constexpr std::size_t kMaxItems = 1u << 17;
constexpr std::size_t kMaxText = 64u << 20;

char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

char to_upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }

Value stripped(std::string_view text, std::string_view chars, bool left, bool right) {
  if (left) text.remove_prefix(std::min(text.find_first_not_of(chars), text.size()));
  if (right) text = text.substr(0, text.find_last_not_of(chars) + 1);
  return Value::of_text(std::string(text));
}

Value pairs_of(const Value& value) {
  Value::Array pairs;
  for (const auto& [key, member] : value.members())
    pairs.push_back(Value::of_array({Value::of_text(key), member}));
  return Value::of_array(std::move(pairs));
}

Value attribute_of_all(const Value& value, const Arguments& arguments) {
  std::string name;
  for (const auto& [label, argument] : arguments)
    if (argument.is_text() && (label == "attribute" || (label.empty() && name.empty())))
      name = argument.text();
  if (name.empty()) return value;
  Value::Array found;
  for (const auto& item : value.items()) {
    const auto* member = item.find(name);
    found.push_back(member ? *member : Value());
  }
  return Value::of_array(std::move(found));
}

Value filter_text(std::string_view name, const Value& value) {
  std::string text = value.text();
  if (name == "trim") return stripped(text, kBlanks, true, true);
  if (name == "upper") std::ranges::transform(text, text.begin(), to_upper);
  if (name == "lower" || name == "capitalize") std::ranges::transform(text, text.begin(), to_lower);
  if (name == "capitalize" && !text.empty()) text[0] = to_upper(text[0]);
  return Value::of_text(std::move(text));
}

Value split(const std::string& text, const std::string& separator) {
  if (separator.empty()) throw Halt{};  // the engine does not end
  Value::Array parts;
  std::size_t begin = 0;
  for (auto end = text.find(separator); end != std::string::npos; end = text.find(separator, begin)) {
    parts.push_back(Value::of_text(text.substr(begin, end - begin)));
    begin = end + separator.size();
  }
  parts.push_back(Value::of_text(text.substr(begin)));
  return Value::of_array(std::move(parts));
}

Value replace(const std::string& text, const std::string& from, const std::string& to) {
  if (from.empty()) return Value::of_text(text);
  std::string out;
  std::size_t begin = 0;
  for (auto found = text.find(from); found != std::string::npos; found = text.find(from, begin)) {
    out.append(text, begin, found - begin).append(to);
    if (out.size() > kMaxText) throw Halt{};
    begin = found + from.size();
  }
  return Value::of_text(out.append(text, begin));
}

Value numeric(std::string_view name, const Value& left, const Value& right) {
  const bool adds = name == "+";
  if (left.is_real() || right.is_real())
    return Value::of_real(adds ? left.to_real() + right.to_real() : left.to_real() - right.to_real());
  const auto a = static_cast<std::uint64_t>(left.to_int()), b = static_cast<std::uint64_t>(right.to_int());
  return Value::of_int(static_cast<std::int64_t>(adds ? a + b : a - b));
}

Value joined(const Value& left, const Value& right) {
  if (left.size() + right.size() > kMaxItems) throw Halt{};
  Value::Array items = left.is_array() ? left.items() : Value::Array{left};
  if (right.is_array())
    items.insert(items.end(), right.items().begin(), right.items().end());
  else
    items.push_back(right);
  return Value::of_array(std::move(items));
}

bool contains(const Value& whole, const Value& part) {
  if (whole.is_array())
    return std::ranges::any_of(whole.items(), [&](const Value& item) { return compare(item, part) == 0; });
  if (!part.is_text()) return false;
  return whole.is_object() ? whole.find(part.text()) != nullptr
                           : whole.is_text() && whole.text().find(part.text()) != std::string::npos;
}

Value range(const Arguments& arguments) {
  const auto bound = [&](std::size_t i) { return arguments[i].second.to_int(); };
  const auto count = arguments.size();
  const std::int64_t begin = count >= 2 ? bound(0) : 0;
  const std::int64_t end = count == 0 ? 0 : count == 1 ? bound(0) : bound(1);
  const std::int64_t step = count >= 3 ? bound(2) : 1;
  Value::Array items;
  for (std::int64_t i = begin; step > 0 ? i < end : step < 0 && i > end;) {
    if (items.size() >= kMaxItems) throw Halt{};
    items.push_back(Value::of_int(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return Value::of_array(std::move(items));
}

Value now(const Arguments& arguments) {
  const std::string format = arguments.empty() ? "%Y-%m-%d" : arguments[0].second.text();
  std::tm time{};
  const std::time_t seconds = std::time(nullptr);
  localtime_r(&seconds, &time);
  if (const char* fixed = std::getenv("LLM2MNN_NOW")) {
    time = {};
    strptime(fixed, "%Y-%m-%d %H:%M:%S", &time);
  }
  std::array<char, 4096> buffer{};
  return Value::of_text(
      std::string(buffer.data(), std::strftime(buffer.data(), buffer.size(), format.c_str(), &time)));
}

}  // namespace

Value apply_filter(std::string_view name, const Value& value, const Arguments& arguments) {
  if (name == "tojson") {
    int indent = -1;
    for (const auto& [label, argument] : arguments)
      if (label == "indent" && argument.is_int())
        indent = static_cast<int>(std::clamp<std::int64_t>(argument.to_int(), -1, 64));
    return Value::of_text(ordered_json(value, indent));
  }
  if (name == "string") return Value::of_text(python_text(value));
  if (name == "length") return Value::of_size(value.is_text() ? value.text().size() : value.size());
  if (name == "items") return pairs_of(value);
  if (name == "map" && value.is_array()) return attribute_of_all(value, arguments);
  return value.is_text() ? filter_text(name, value) : value;
}

Value apply_method(std::string_view name, const Value& value, const Arguments& arguments) {
  const Value none = Value::of_text("");
  if (!value.is_text()) return none;
  const auto& text = value.text();
  const std::string first = arguments.empty() ? "" : arguments[0].second.text();
  if (name == "startswith" || name == "endswith") {
    if (arguments.empty()) return none;
    return Value::of_bool(name == "startswith" ? text.starts_with(first) : text.ends_with(first));
  }
  if (name == "split") return split(text, arguments.empty() ? " " : first);
  if (name == "strip" || name == "lstrip" || name == "rstrip")
    return stripped(text, arguments.empty() ? kBlanks : std::string_view(first), name != "rstrip",
                    name != "lstrip");
  return name == "replace" && arguments.size() >= 2 ? replace(text, first, arguments[1].second.text()) : none;
}

Value apply_operator(std::string_view name, const Value& left, const Value& right) {
  if (name == "and" || name == "or") {
    const bool a = left.is_truthy(), b = right.is_truthy();
    return Value::of_bool(name == "and" ? a && b : a || b);
  }
  if (name == "in" || name == "not in") return Value::of_bool(contains(right, left) == (name == "in"));
  if (name == "~") return Value::of_text(python_text(left) + python_text(right));
  if ((name == "+" || name == "-") && left.is_number() && right.is_number())
    return numeric(name, left, right);
  if (name == "+" && left.is_text() && right.is_text()) return Value::of_text(left.text() + right.text());
  if (name == "+" && (left.is_array() || right.is_array())) return joined(left, right);
  if (name == "+" || name == "-") return Value::of_text("");
  const int order = compare(left, right);
  return Value::of_bool(name == "=="   ? order == 0
                        : name == "!=" ? order != 0
                        : name == "<"  ? order < 0
                        : name == ">"  ? order > 0
                        : name == "<=" ? order <= 0
                                       : order >= 0);
}

bool passes_test(std::string_view name, const Value& value) {
  using Kind = Value::Kind;
  return (name == "defined" && !value.is_undefined()) || (name == "undefined" && value.is_undefined()) ||
         (name == "none" && value.is_null()) || (name == "boolean" && value.is_bool()) ||
         (name == "string" && value.is_text()) || (name == "number" && value.is_number()) ||
         ((name == "sequence" || name == "iterable") && (value.is_array() || value.is_text())) ||
         (name == "mapping" && value.is_object()) || (name == "true" && value.kind() == Kind::kTrue) ||
         (name == "false" && value.kind() == Kind::kFalse);
}

Value slice_of(const Value& value, const Value& begin, const Value& end, const Value& step) {
  if (!value.is_array()) return Value::of_text("");
  const auto count = static_cast<std::int64_t>(value.items().size());
  const std::int64_t stride = step.is_null() || step.to_int() == 0 ? 1 : step.to_int();
  const auto from_end = [count](std::int64_t place) { return place < 0 ? place + count : place; };
  std::int64_t place = stride > 0 ? 0 : count - 1;
  if (!begin.is_null()) place = std::clamp<std::int64_t>(from_end(begin.to_int()), 0, count);
  std::int64_t stop = stride > 0 ? count : -1;
  if (!end.is_null()) stop = from_end(end.to_int());
  Value::Array items;
  while (place >= 0 && place < count && (stride > 0 ? place < stop : place > stop)) {
    items.push_back(value.items()[static_cast<std::size_t>(place)]);
    if (__builtin_add_overflow(place, stride, &place)) break;
  }
  return Value::of_array(std::move(items));
}

std::optional<Value> call_function(std::string_view name, const Arguments& arguments) {
  if (name == "range") return range(arguments);
  if (name == "strftime_now") return now(arguments);
  if (name != "namespace") return std::nullopt;
  Value made = Value::of_object({});
  for (const auto& [label, value] : arguments)
    if (!label.empty()) made = made.with_member(label, value);
  return made;
}

}  // namespace llm2mnn::jinja::runtime
