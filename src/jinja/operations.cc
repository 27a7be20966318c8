// Operators, members and slices, with Python's meaning.

#include <algorithm>
#include <cmath>

#include "jinja/evaluator.h"
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
    if (b < 0) return Value::real(std::pow(static_cast<double>(a), static_cast<double>(b)));
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
  if (overflow) raise("an integer of more than 64 bits");
  return Value::integer(result);
}

Value real_operation(std::string_view op, double a, double b) {
  if (op == "+") return Value::real(a + b);
  if (op == "-") return Value::real(a - b);
  if (op == "*") return Value::real(a * b);
  if (op == "**") return Value::real(std::pow(a, b));
  if (b == 0) raise("float division by zero");
  if (op == "/") return Value::real(a / b);
  if (op == "//") return Value::real(std::floor(a / b));
  return Value::real(a - std::floor(a / b) * b);
}

Value repeat(const Value& sequence, std::int64_t times) {
  const std::size_t count = times < 0 ? 0 : static_cast<std::size_t>(times);
  const std::size_t size = sequence.is_string() ? sequence.text().size() : sequence.items().size();
  const std::size_t unit = sequence.is_string() ? 1 : sizeof(Value);
  if (size != 0 && count > kMaxRepeatBytes / unit / size) raise("a repetition that is too long");
  if (sequence.is_string()) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i)
      text += sequence.text();
    return Value::string(std::move(text));
  }
  std::vector<Value> items;
  for (std::size_t i = 0; i < count; ++i)
    items.insert(items.end(), sequence.items().begin(), sequence.items().end());
  return sequence.is(Kind::kList) ? Value::list(std::move(items)) : Value::tuple(std::move(items));
}

/// The number without its fraction.
std::int64_t whole_number(const Value& number) {
  if (is_integer(number)) return number.as_integer();
  constexpr double kLimit = 9.2e18;
  if (!(std::fabs(number.as_real()) < kLimit)) raise("an integer of more than 64 bits");
  return static_cast<std::int64_t>(number.as_real());
}

/// `format % values` for %s, %r, %d, %i and %%.
Value format_percent(const std::string& format, const Value& values) {
  const std::vector<Value> items = values.is(Kind::kTuple) ? values.items() : std::vector<Value>{values};
  std::size_t next = 0;
  std::string out;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      out += format[i];
      continue;
    }
    const char kind = ++i < format.size() ? format[i] : '\0';
    if (kind == '%') {
      out += '%';
      continue;
    }
    if (next >= items.size()) raise("not enough arguments for format string");
    const Value& item = items[next++];
    if (kind == 's') {
      out += to_text(item);
      charge_work(out.size() / 16);
    } else if (kind == 'r') {
      out += to_repr(item);
    } else if ((kind == 'd' || kind == 'i') && item.is_number()) {
      out += fmt::format("{}", whole_number(item));
    } else {
      raise(fmt::format("unsupported format character '{}'", kind));
    }
  }
  if (next < items.size()) raise("not all arguments converted during string formatting");
  return Value::string(std::move(out));
}

bool contains(const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::kString:
      if (!item.is_string())
        raise(fmt::format("'in <string>' requires string as left operand, not {}", item.type_name()));
      charge_search(container.text().size(), item.text().size());
      return container.text().find(item.text()) != std::string::npos;
    case Kind::kDict:
      return container.entries().find(item) != nullptr;
    case Kind::kUndefined:
      return false;
    case Kind::kGenerator: {
      const auto items = iterate(container);
      return std::find(items.begin(), items.end(), item) != items.end();
    }
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

std::string object_name(const Value& object) {
  return object.is(Kind::kNone) ? "None" : fmt::format("{} object", object.type_name());
}

}  // namespace

Value binary_operation(std::string_view op, const Value& left, const Value& right) {
  if (op == "~") return Value::string(to_text(left) + to_text(right));
  left.check_defined();
  right.check_defined();
  if (left.is_number() && right.is_number()) {
    if (is_integer(left) && is_integer(right) && op != "/")
      return integer_operation(op, left.as_integer(), right.as_integer());
    return real_operation(op, left.as_real(), right.as_real());
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
  if (op == "%" && left.is_string()) return format_percent(left.text(), right);
  raise_operands(op, left, right);
}

bool compare_operation(std::string_view op, const Value& left, const Value& right) {
  if (op == "==") return left == right;
  if (op == "!=") return !(left == right);
  if (op == "in") return contains(right, left);
  if (op == "not in") return !contains(right, left);
  if (op == "<") return less_than(left, right, op);
  if (op == ">") return less_than(right, left, op);
  // NaN apart, of which templates have none.
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
  if (!object.is(Kind::kNamespace)) {
    Value method = find_method(object, name);
    if (!method.is_undefined() || method.has_reason()) return method;
  }
  if (object.is(Kind::kDict) || object.is(Kind::kNamespace)) {
    if (const Value* value = object.entries().find(Value::string(name))) return *value;
  }
  return Value::undefined(fmt::format("'{}' has no attribute '{}'", object_name(object), name));
}

Value get_index(const Value& object, const Value& index) {
  object.check_defined();
  if (object.is(Kind::kDict)) {
    if (const Value* value = object.entries().find(index)) return *value;
  } else if (is_integer(index) && (object.is_sequence() || object.is_string())) {
    if (object.is_string()) {
      const auto parts = characters(object.text());
      const std::size_t at = position(index.as_integer(), parts.size());
      if (at < parts.size()) return Value::string(std::string(parts[at]));
    } else {
      const std::size_t at = position(index.as_integer(), object.items().size());
      if (at < object.items().size()) return object.items()[at];
    }
    return Value::undefined(fmt::format("{} has no element {}", object_name(object), index.as_integer()));
  }
  if (index.is_string()) return get_member(object, index.text());
  return Value::undefined(fmt::format("{} has no element {}", object_name(object), to_repr(index)));
}

Value slice(const Value& object, const Value& start, const Value& stop, const Value& step) {
  object.check_defined();
  if (!object.is_string() && !object.is_sequence()) {
    return Value::undefined(fmt::format("{} has no slices", object_name(object)));
  }
  for (const Value* part : {&start, &stop, &step}) {
    part->check_defined();
    if (!part->is(Kind::kNone) && !is_integer(*part)) {
      raise("slice indices must be integers or None or have an __index__ method");
    }
  }
  const std::vector<Value> items = iterate(object);
  const auto count = static_cast<std::int64_t>(items.size());
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
  std::vector<Value> taken;
  for (std::int64_t i = first; by > 0 ? i < last : i > last;) {
    taken.push_back(items[static_cast<std::size_t>(i)]);
    if (__builtin_add_overflow(i, by, &i)) break;
  }
  if (object.is(Kind::kTuple)) return Value::tuple(std::move(taken));
  if (object.is(Kind::kList)) return Value::list(std::move(taken));
  std::string text;
  for (const Value& character : taken)
    text += character.text();
  return Value::string(std::move(text));
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
