// Jinja's tests: `x is NAME`.

#include <algorithm>
#include <array>
#include <map>

#include "jinja/evaluator.h"

namespace llm2mnn::jinja {

namespace {

using Kind = Value::Kind;
using Test = bool (*)(const Value&, const Value&);

Value remainder(const Value& value, const Value& by) {
  if (value.is_string()) raise("not all arguments converted during string formatting");
  return binary_operation("%", value, by);
}

bool is_callable(const Value& value) {
  if (value.is(Kind::kObject)) beyond("the test callable of a loop");
  return value.is(Kind::kFunction) || value.is_undefined();
}

/// Every character that has a case has this one.
bool has_case(const Value& value, const char* method) {
  Arguments none;
  return find_method(Value::string(to_text(value)), method).callee()(none).truth();
}

bool has_test(std::string_view name);

const std::map<std::string_view, Test>& tests() {
  using V = const Value&;
  static const std::map<std::string_view, Test> kTests = {
      {"boolean", [](V v, V) { return v.is(Kind::kBool); }},
      {"callable", [](V v, V) { return is_callable(v); }},
      {"defined", [](V v, V) { return !v.is_undefined(); }},
      {"divisibleby", [](V v, V by) { return remainder(v, by) == Value::integer(0); }},
      {"escaped", [](V v, V) { return v.is_safe(); }},
      {"even", [](V v, V) { return remainder(v, Value::integer(2)) == Value::integer(0); }},
      {"false", [](V v, V) { return v.is(Kind::kBool) && !v.truth(); }},
      {"float", [](V v, V) { return v.is(Kind::kFloat); }},
      {"integer", [](V v, V) { return v.is(Kind::kInteger); }},
      {"iterable",
       [](V v, V) {
         return v.is_indexed() || v.is_string() || v.is(Kind::kDict) || v.is(Kind::kGenerator) ||
                v.is(Kind::kView) || v.is_undefined();
       }},
      {"lower", [](V v, V) { return has_case(v, "islower"); }},
      {"mapping", [](V v, V) { return v.is(Kind::kDict); }},
      {"none", [](V v, V) { return v.is(Kind::kNone); }},
      {"number", [](V v, V) { return v.is_number(); }},
      {"odd", [](V v, V) { return remainder(v, Value::integer(2)) == Value::integer(1); }},
      {"sameas", [](V v, V other) { return v.same_as(other); }},
      // Python asks for a length and an index, which an undefined value has too.
      {"sequence",
       [](V v, V) { return v.is_indexed() || v.is_string() || v.is(Kind::kDict) || v.is_undefined(); }},
      {"string", [](V v, V) { return v.is_string(); }},
      {"true", [](V v, V) { return v.is(Kind::kBool) && v.truth(); }},
      {"undefined", [](V v, V) { return v.is_undefined(); }},
      {"upper", [](V v, V) { return has_case(v, "isupper"); }},
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
      {"test", [](V v, V) { return has_test(to_text(v)); }},
  };
  return kTests;
}

constexpr std::pair<std::string_view, std::string_view> kSymbols[] = {
    {"==", "eq"}, {"!=", "ne"}, {"<", "lt"}, {"<=", "le"}, {">", "gt"}, {">=", "ge"}};

std::string_view in_words(std::string_view name) {
  for (const auto& [symbol, word] : kSymbols) {
    if (name == symbol) return word;
  }
  return name;
}

bool has_test(std::string_view name) { return tests().contains(in_words(name)); }

bool takes_argument(std::string_view name) {
  constexpr std::array<std::string_view, 12> kNames = {"divisibleby", "sameas", "in", "eq",
                                                       "equalto",     "ne",     "lt", "le",
                                                       "lessthan",    "gt",     "ge", "greaterthan"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

}  // namespace

bool apply_test(const std::string& name, const Value& input, Arguments& arguments) {
  const std::string_view known = in_words(name);
  const auto it = tests().find(known);
  if (it == tests().end()) raise(fmt::format("No test named '{}' found.", name));
  if (!arguments.named.empty()) beyond("a test with an argument by name");
  const std::size_t count = takes_argument(known) ? 1 : 0;
  const auto taken = take_positional(name, arguments, count, count);
  return it->second(input, count == 0 ? Value() : taken[0]);
}

}  // namespace llm2mnn::jinja
