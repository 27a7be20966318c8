// Jinja's tests: `x is NAME`.

#include <map>

#include "jinja/evaluator.h"
#include "jinja/text.h"

namespace llm2mnn::jinja {

namespace {

using Kind = Value::Kind;
using Test = bool (*)(const Value&, const Value&);

bool is_integer(const Value& value) { return value.is(Kind::kInteger); }

std::int64_t whole(const Value& value) {
  if (!value.is_number())
    raise(fmt::format("not all arguments converted: '{}' is no number", value.type_name()));
  return value.as_integer();
}

bool is_divisible(const Value& value, const Value& by) {
  if (whole(by) == 0) raise("integer modulo by zero");
  return whole(by) == -1 || whole(value) % whole(by) == 0;
}

const std::map<std::string_view, Test>& tests() {
  using V = const Value&;
  static const std::map<std::string_view, Test> kTests = {
      {"boolean", [](V v, V) { return v.is(Kind::kBool); }},
      {"callable", [](V v, V) { return v.is(Kind::kFunction); }},
      {"defined", [](V v, V) { return !v.is_undefined(); }},
      {"divisibleby", is_divisible},
      {"even", [](V v, V) { return whole(v) % 2 == 0; }},
      {"false", [](V v, V) { return v.is(Kind::kBool) && !v.truth(); }},
      {"float", [](V v, V) { return v.is(Kind::kFloat); }},
      {"integer", [](V v, V) { return is_integer(v); }},
      {"iterable",
       [](V v, V) {
         return v.is_sequence() || v.is_string() || v.is(Kind::kDict) || v.is(Kind::kGenerator) ||
                v.is_undefined();
       }},
      {"lower", [](V v, V) { return lower(to_text(v)) == to_text(v) && upper(to_text(v)) != to_text(v); }},
      {"mapping", [](V v, V) { return v.is(Kind::kDict); }},
      {"none", [](V v, V) { return v.is(Kind::kNone); }},
      {"number", [](V v, V) { return v.is_number(); }},
      {"odd", [](V v, V) { return whole(v) % 2 != 0; }},
      {"sameas", [](V v, V other) { return v.same_as(other); }},
      // Python asks for a length and an index, which an undefined value has too.
      {"sequence",
       [](V v, V) { return v.is_sequence() || v.is_string() || v.is(Kind::kDict) || v.is_undefined(); }},
      {"string", [](V v, V) { return v.is_string(); }},
      {"true", [](V v, V) { return v.is(Kind::kBool) && v.truth(); }},
      {"undefined", [](V v, V) { return v.is_undefined(); }},
      {"upper", [](V v, V) { return upper(to_text(v)) == to_text(v) && lower(to_text(v)) != to_text(v); }},
      {"in", [](V v, V other) { return compare_operation("in", v, other); }},
      {"eq", [](V v, V other) { return v == other; }},
      {"equalto", [](V v, V other) { return v == other; }},
      {"ne", [](V v, V other) { return !(v == other); }},
      {"lt", [](V v, V other) { return compare_operation("<", v, other); }},
      {"lessthan", [](V v, V other) { return compare_operation("<", v, other); }},
      {"le", [](V v, V other) { return compare_operation("<=", v, other); }},
      {"gt", [](V v, V other) { return compare_operation(">", v, other); }},
      {"greaterthan", [](V v, V other) { return compare_operation(">", v, other); }},
      {"ge", [](V v, V other) { return compare_operation(">=", v, other); }},
      {"filter", [](V v, V) { return has_filter(to_text(v)); }},
      {"test", [](V v, V) { return tests().contains(to_text(v)); }},
  };
  return kTests;
}

}  // namespace

bool apply_test(const std::string& name, const Value& input, Arguments& arguments) {
  constexpr std::pair<std::string_view, std::string_view> kSymbols[] = {
      {"==", "eq"}, {"!=", "ne"}, {"<", "lt"}, {"<=", "le"}, {">", "gt"}, {">=", "ge"}};
  std::string_view known = name;
  for (const auto& [symbol, word] : kSymbols) {
    if (name == symbol) known = word;
  }
  const auto it = tests().find(known);
  if (it == tests().end()) raise(fmt::format("No test named '{}' found.", name));
  const auto taken = take_arguments(name, arguments, {"other"});
  return it->second(input, taken[0]);
}

}  // namespace llm2mnn::jinja
