// Operators, members and slices, with Python's meaning.

#include <algorithm>
#include <cmath>

#include "jinja/evaluator.h"
#include "jinja/string_format.h"
#include "jinja/text.h"
#include "jinja/work_meter.h"

namespace llm2mnn::jinja {

namespace {

using Kind = Value::Kind;
constexpr std::size_t kMaxRepeatBytes = 16u << 20;

[[noreturn]] void raise_operands(std::string_view op, const Value& left, const Value& right) {
  raise(fmt::format("unsupported operand type(s) for {}: '{}' and '{}'", op, left.type_name(),
                    right.type_name()));
}

bool is_integer(const Value& value) { return value.is(Kind::kBool) || value.is(Kind::kInteger); }

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  const std::int64_t quotient = a / b;
  return (a % b != 0 && ((a < 0) != (b < 0))) ? quotient - 1 : quotient;
}

Value power(double a, double b) {
  if (a == 0 && b < 0) raise("0.0 cannot be raised to a negative power");
  if (a < 0 && std::isfinite(a) && std::isfinite(b) && b != std::floor(b)) beyond("a complex number");
  const double result = std::pow(a, b);
  if (std::isinf(result) && std::isfinite(a) && std::isfinite(b))
    raise("(34, 'Numerical result out of range')");
  return Value::real(result);
}

Value integer_operation(std::string_view op, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  bool overflow = false;
  if (op == "+") {
    overflow = __builtin_add_overflow(a, b, &result);
  } else if (op == "-") {
    overflow = __builtin_sub_overflow(a, b, &result);
  } else if (op == "*") {
    overflow = __builtin_mul_overflow(a, b, &result);
  } else if (op == "**") {
    if (b < 0) return power(static_cast<double>(a), static_cast<double>(b));
    result = 1;
    for (std::int64_t i = 0; i < b && !overflow; ++i) {
      overflow = __builtin_mul_overflow(result, a, &result);
      if (result == 0 || (result == 1 && a == 1)) break;
      if (a == -1) {
        result = b % 2 == 0 ? 1 : -1;
        break;
      }
    }
  } else {
    if (b == 0) raise(op == "%" ? "integer modulo by zero" : "integer division or modulo by zero");
    if (b == -1) return integer_operation("-", 0, op == "%" ? 0 : a);
    result = op == "%" ? a - floor_div(a, b) * b : floor_div(a, b);
  }
  if (overflow) beyond("an integer of more than 64 bits");
  return Value::integer(result);
}

/// Python's remainder: it has the sign of the divisor.
double remainder(double a, double b) {
  const double rest = std::fmod(a, b);
  if (rest == 0) return std::copysign(0.0, b);
  return (b < 0) != (rest < 0) ? rest + b : rest;
}

double floor_quotient(double a, double b) {
  double quotient = (a - remainder(a, b)) / b;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double whole = std::floor(quotient);
  return quotient - whole > 0.5 ? whole + 1 : whole;
}

Value real_operation(std::string_view op, const Value& left, const Value& right) {
  constexpr std::int64_t kExact = std::int64_t{1} << 53;
  for (const Value* side : {&left, &right}) {
    if (is_integer(*side) && (side->as_integer() > kExact || side->as_integer() < -kExact))
      beyond("a large integer as a float");
  }
  const double a = left.as_real(), b = right.as_real();
  if (op == "+") return Value::real(a + b);
  if (op == "-") return Value::real(a - b);
  if (op == "*") return Value::real(a * b);
  if (op == "**") return power(a, b);
  if (b == 0) raise(op == "%" ? "float modulo" : "float division by zero");
  if (op == "/") return Value::real(a / b);
  return Value::real(op == "//" ? floor_quotient(a, b) : remainder(a, b));
}

Value repeat(const Value& sequence, std::int64_t times) {
  const std::size_t count = times < 0 ? 0 : static_cast<std::size_t>(times);
  const std::size_t size = sequence.is_string() ? sequence.text().size() : sequence.items().size();
  const std::size_t unit = sequence.is_string() ? 1 : sizeof(Value);
  if (size != 0 && count > kMaxRepeatBytes / unit / size) beyond("a repetition that is too long");
  if (sequence.is_string()) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i)
      text += sequence.text();
    return sequence.is_safe() ? Value::safe_string(std::move(text)) : Value::string(std::move(text));
  }
  std::vector<Value> items;
  for (std::size_t i = 0; i < count; ++i)
    items.insert(items.end(), sequence.items().begin(), sequence.items().end());
  return sequence.is(Kind::kList) ? Value::list(std::move(items)) : Value::tuple(std::move(items));
}

bool contains(const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::kString:
      if (!item.is_string())
        raise(fmt::format("'in <string>' requires string as left operand, not {}", item.type_name()));
      charge_search(container.text().size(), item.text().size());
      return container.text().find(item.text()) != std::string::npos;
    case Kind::kDict:
      check_hashable(item);
      return container.entries().find(item) != nullptr;
    case Kind::kUndefined:
      return false;
    case Kind::kGenerator: {
      auto& items = container.items();
      const auto found = std::find(items.begin(), items.end(), item);
      const bool is_there = found != items.end();
      if (!is_there) container.check_end();
      items.erase(items.begin(), is_there ? found + 1 : found);  // what was looked at is used up
      return is_there;
    }
    case Kind::kView:
      if (container.text() == "dict_keys") check_hashable(item);
      [[fallthrough]];
    case Kind::kRange:
    case Kind::kList:
    case Kind::kTuple:
      return std::find(container.items().begin(), container.items().end(), item) != container.items().end();
    default:
      raise(fmt::format("argument of type '{}' is not iterable", container.type_name()));
  }
}

/// The position that a negative one counts from the end; `size` when it is outside.
std::size_t position(std::int64_t index, std::size_t size) {
  const auto count = static_cast<std::int64_t>(size);
  if (index < 0) index += count;
  return index < 0 || index >= count ? size : static_cast<std::size_t>(index);
}

/// Of a string; undefined outside.
Value character_at(const Value& object, std::int64_t index) {
  const std::string& text = object.text();
  std::size_t at = static_cast<std::size_t>(index);
  if (index < 0) {
    const std::size_t count = num_characters(text);
    at = position(index, count);
    if (at == count) return {};
  }
  const std::size_t begin = byte_of_character(text, at);
  if (begin == text.size()) return {};
  std::size_t end = begin + 1;
  while (end < text.size() && continues_character(text[end]))
    ++end;
  std::string character = text.substr(begin, end - begin);
  return object.is_safe() ? Value::safe_string(std::move(character)) : Value::string(std::move(character));
}

std::string object_name(const Value& object) {
  return object.is(Kind::kNone) ? "None" : fmt::format("{} object", object.type_name());
}

}  // namespace

Value binary_operation(std::string_view op, const Value& left, const Value& right) {
  if (op == "~") return Value::string(to_text(left) + to_text(right));
  left.check_defined();
  if (op == "%" && left.is_string()) {
    if (left.is_safe()) beyond("a format that is marked safe");
    return format_percent(left.text(), right);
  }
  right.check_defined();
  if (left.is_number() && right.is_number()) {
    if (is_integer(left) && is_integer(right) && op != "/")
      return integer_operation(op, left.as_integer(), right.as_integer());
    return real_operation(op, left, right);
  }
  if (op == "+" && left.is_string() && right.is_string() && (left.is_safe() || right.is_safe())) {
    const auto part = [](const Value& value) {
      return value.is_safe() ? value.text() : html_escaped(value.text());
    };
    return Value::safe_string(part(left) + part(right));
  }
  if (op == "+" && left.is_string() && right.is_string()) return Value::string(left.text() + right.text());
  if (op == "+" && left.is_sequence() && left.kind() == right.kind()) {
    charge_work((left.items().size() + right.items().size()) * sizeof(Value));
    std::vector<Value> items = left.items();
    items.insert(items.end(), right.items().begin(), right.items().end());
    return left.is(Kind::kList) ? Value::list(std::move(items)) : Value::tuple(std::move(items));
  }
  if (op == "+" && left.is_string())
    raise(fmt::format("can only concatenate str (not \"{}\") to str", right.type_name()));
  if (op == "+" && left.is(Kind::kList))
    raise(fmt::format("can only concatenate list (not \"{}\") to list", right.type_name()));
  if (op == "*" && (left.is_string() || left.is_sequence()) && is_integer(right))
    return repeat(left, right.as_integer());
  if (op == "*" && (right.is_string() || right.is_sequence()) && is_integer(left))
    return repeat(right, left.as_integer());
  raise_operands(op, left, right);
}

Value negative(const Value& operand) {
  if (operand.is(Kind::kFloat)) return Value::real(-operand.as_real());
  return binary_operation("-", Value::integer(0), operand);
}

bool compare_operation(std::string_view op, const Value& left, const Value& right) {
  if (op == "==") return left == right;
  if (op == "!=") return !(left == right);
  if (op == "in") return contains(right, left);
  if (op == "not in") return !contains(right, left);
  if (op == "<") return less_than(left, right, op);
  if (op == ">") return less_than(right, left, op);
  // NaN apart, of which templates have none.
  if ((left.is(Kind::kFloat) && std::isnan(left.as_real())) ||
      (right.is(Kind::kFloat) && std::isnan(right.as_real())))
    return false;
  if (op == "<=") return !less_than(right, left, op);
  return !less_than(left, right, op);
}

Value get_member(const Value& object, const std::string& name) {
  object.check_defined();
  if (name.starts_with("__")) {  // the sandbox's answer prints as nothing and cannot be used
    return Value::undefined(
        fmt::format("access to attribute '{}' of '{}' object is unsafe.", name, object.type_name()));
  }
  // Python's own attributes come first: `message.items` is the method.
  if (!object.is(Kind::kNamespace) &&
      !(object.is(Kind::kObject) && object.entries().find(Value::string(name)))) {
    Value method = find_method(object, name);
    if (!method.is_undefined() || method.has_reason()) return method;
  }
  if (object.is(Kind::kDict) || object.is(Kind::kNamespace) || object.is(Kind::kObject)) {
    if (const Value* value = object.entries().find(Value::string(name))) return *value;
  }
  return Value::undefined(fmt::format("'{}' has no attribute '{}'", object_name(object), name));
}

Value get_index(const Value& object, const Value& index) {
  object.check_defined();
  if (object.is(Kind::kDict)) {
    if (const Value* value = object.entries().find(index)) return *value;
  } else if (is_integer(index) && (object.is_indexed() || object.is_string())) {
    if (object.is_string()) {
      const Value found = character_at(object, index.as_integer());
      if (!found.is_undefined()) return found;
    } else {
      const std::size_t at = position(index.as_integer(), object.items().size());
      if (at < object.items().size()) return object.items()[at];
    }
    return Value::undefined(fmt::format("{} has no element {}", object_name(object), index.as_integer()));
  }
  if (index.is_string()) return get_member(object, index.text());
  return Value::undefined(fmt::format("{} has no element {}", object_name(object), to_repr(index)));
}

namespace {

/// The positions that a slice of `count` items takes: from `first`, `size` of them, `by` apart.
struct Steps {
  std::int64_t first = 0, by = 1;
  std::size_t size = 0;
};

Steps steps_of(std::int64_t count, const Value& start, const Value& stop, const Value& step) {
  for (const Value* part : {&start, &stop, &step}) {
    part->check_defined();
    if (!part->is(Kind::kNone) && !is_integer(*part))
      raise("slice indices must be integers or None or have an __index__ method");
  }
  const std::int64_t by = step.is(Kind::kNone) ? 1 : step.as_integer();
  if (by == 0) raise("slice step cannot be zero");
  const auto bound = [&](const Value& value, std::int64_t fallback) {
    if (value.is(Kind::kNone)) return fallback;
    std::int64_t at = value.as_integer();
    if (at < 0) at = at < -count ? -1 : at + count;
    return by > 0 ? std::clamp<std::int64_t>(at, 0, count) : std::clamp<std::int64_t>(at, -1, count - 1);
  };
  const std::int64_t first = bound(start, by > 0 ? 0 : count - 1);
  const std::int64_t last = bound(stop, by > 0 ? count : -1);
  const std::int64_t room = by > 0 ? last - first : first - last;
  const auto stride = by > 0 ? static_cast<std::uint64_t>(by) : 0 - static_cast<std::uint64_t>(by);
  const std::uint64_t size = room <= 0 ? 0 : (static_cast<std::uint64_t>(room) - 1) / stride + 1;
  return {first, by, static_cast<std::size_t>(size)};
}

std::string text_slice(const std::string& text, const Value& start, const Value& stop, const Value& step) {
  const Steps steps = steps_of(static_cast<std::int64_t>(num_characters(text)), start, stop, step);
  if (steps.size == 0) return {};
  if (steps.by == 1) {
    const std::size_t begin = byte_of_character(text, static_cast<std::size_t>(steps.first));
    const std::string_view rest = std::string_view(text).substr(begin);
    return std::string(rest.substr(0, byte_of_character(rest, steps.size)));
  }
  const std::vector<std::string_view> parts = characters(text);
  std::string out;
  for (std::size_t i = 0; i < steps.size; ++i)
    out += parts[static_cast<std::size_t>(steps.first + static_cast<std::int64_t>(i) * steps.by)];
  return out;
}

}  // namespace

Value slice(const Value& object, const Value& start, const Value& stop, const Value& step) {
  object.check_defined();
  if (object.is_string()) {
    std::string text = text_slice(object.text(), start, stop, step);
    return object.is_safe() ? Value::safe_string(std::move(text)) : Value::string(std::move(text));
  }
  if (!object.is_indexed()) raise(fmt::format("'{}' object is not subscriptable", object.type_name()));
  const std::vector<Value>& items = object.items();
  const Steps steps = steps_of(static_cast<std::int64_t>(items.size()), start, stop, step);
  std::vector<Value> taken;
  taken.reserve(steps.size);
  for (std::size_t i = 0; i < steps.size; ++i)
    taken.push_back(items[static_cast<std::size_t>(steps.first + static_cast<std::int64_t>(i) * steps.by)]);
  if (object.is(Kind::kRange)) return Value::range(std::move(taken), "");
  return object.is(Kind::kTuple) ? Value::tuple(std::move(taken)) : Value::list(std::move(taken));
}

std::vector<Value> take_positional(std::string_view function, const Arguments& arguments, std::size_t least,
                                   std::size_t most) {
  const std::size_t count = arguments.positional.size();
  if (!arguments.named.empty()) raise(fmt::format("{}() takes no keyword arguments", function));
  if (count < least)
    raise(fmt::format("{}() takes at least {} arguments ({} given)", function, least, count));
  if (count > most) raise(fmt::format("{}() takes at most {} arguments ({} given)", function, most, count));
  std::vector<Value> taken = arguments.positional;
  taken.resize(most, Value::none());
  return taken;
}

std::vector<Value> take_arguments(std::string_view function, Arguments& arguments,
                                  const std::vector<std::string_view>& names) {
  if (arguments.positional.size() > names.size()) {
    raise(fmt::format("{}() takes at most {} arguments ({} given)", function, names.size(),
                      arguments.positional.size()));
  }
  std::vector<Value> taken(names.size());
  std::copy(arguments.positional.begin(), arguments.positional.end(), taken.begin());
  for (const auto& [name, value] : arguments.named) {
    const auto it = std::find(names.begin(), names.end(), name);
    if (it == names.end()) raise(fmt::format("{}() got an unexpected keyword argument '{}'", function, name));
    taken[static_cast<std::size_t>(it - names.begin())] = value;
  }
  return taken;
}

}  // namespace llm2mnn::jinja
