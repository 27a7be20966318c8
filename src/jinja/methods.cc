// Methods of lists, dicts and others, and the functions that every template has.

#include <algorithm>

#include "jinja/evaluator.h"

namespace llm2mnn::jinja {

namespace {

using Kind = Value::Kind;
using Names = std::vector<std::string_view>;

std::vector<Value> pairs_of(const Dict& dict) {
  std::vector<Value> pairs;
  for (const auto& [key, value] : dict.entries)
    pairs.push_back(Value::tuple({key, value}));
  return pairs;
}

std::vector<Value> values_of(const Dict& dict) {
  std::vector<Value> values;
  for (const auto& [key, value] : dict.entries)
    values.push_back(value);
  return values;
}

Value dict_method(const Value& object, const std::string& name) {
  if (name == "items" || name == "keys" || name == "values") {
    return Value::function([object, name](Arguments& arguments) {
      take_positional(name, arguments, 0, 0);
      return Value::view("dict_" + name, name == "items"  ? pairs_of(object.entries())
                                         : name == "keys" ? iterate(object)
                                                          : values_of(object.entries()));
    });
  }
  if (name == "get") {
    return Value::function([object](Arguments& arguments) {
      const auto taken = take_positional("get", arguments, 1, 2);
      check_hashable(taken[0]);
      const Value* value = object.entries().find(taken[0]);
      return value != nullptr ? *value : taken[1];
    });
  }
  if (name == "copy") {
    return Value::function([object](Arguments& arguments) {
      take_positional("copy", arguments, 0, 0);
      Value copy = Value::dict();
      copy.entries() = object.entries();
      return copy;
    });
  }
  if (name == "fromkeys") beyond("the method fromkeys of dicts");
  return {};
}

Value index_method(const Value& object, const Arguments& arguments) {
  if (arguments.positional.size() > 1) beyond("index() of a list with a start");
  const auto taken = take_positional("index", arguments, 1, 1);
  const auto& items = object.items();
  const auto it = std::find(items.begin(), items.end(), taken[0]);
  if (it == items.end()) raise(fmt::format("{} is not in list", to_repr(taken[0])));
  return Value::integer(it - items.begin());
}

Value list_method(const Value& object, const std::string& name) {
  if (name == "index")
    return Value::function([object](Arguments& arguments) { return index_method(object, arguments); });
  if (name == "count") {
    return Value::function([object](Arguments& arguments) {
      const auto taken = take_positional("count", arguments, 1, 1);
      return Value::integer(std::count(object.items().begin(), object.items().end(), taken[0]));
    });
  }
  if (name == "copy" && object.is(Kind::kList)) {
    return Value::function([object](Arguments& arguments) {
      take_positional("copy", arguments, 0, 0);
      return Value::list(object.items());
    });
  }
  if (object.is_group() && name == "grouper") return object.items()[0];
  if (object.is_group() && name == "list") return object.items()[1];
  return {};
}

/// Attributes that Python's other values have, and that are missing here.
bool is_attribute(const Value& object, const std::string& name) {
  static const Names kOfNumbers = {"real",     "imag",      "numerator",       "denominator", "conjugate",
                                   "to_bytes", "bit_count", "bit_length",      "from_bytes",  "is_integer",
                                   "hex",      "fromhex",   "as_integer_ratio"};
  static const Names kOfGenerators = {"send", "throw", "close"};
  static const Names kOfRanges = {"start", "stop", "step", "index", "count"};
  static const Names kOfViews = {"mapping", "isdisjoint"};
  static const Names kOfFunctions = {"name",          "arguments",       "caller", "catch_kwargs",
                                     "catch_varargs", "explicit_caller", "sep",    "used"};
  static const Names kOfObjects = {"current", "reset", "items", "pos"};
  static const Names kNone;
  const Names& names = object.is_number()            ? kOfNumbers
                       : object.is(Kind::kGenerator) ? kOfGenerators
                       : object.is(Kind::kRange)     ? kOfRanges
                       : object.is(Kind::kView)      ? kOfViews
                       : object.is(Kind::kFunction)  ? kOfFunctions
                       : object.is(Kind::kObject)    ? kOfObjects
                                                     : kNone;
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Methods that change their object: the sandbox refuses them.
bool is_mutating(const Value& object, const std::string& name) {
  static const Names kOfLists = {"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"};
  static const Names kOfDicts = {"clear", "pop", "popitem", "setdefault", "update"};
  const Names& names = object.is(Kind::kDict) ? kOfDicts : kOfLists;
  return (object.is(Kind::kDict) || object.is(Kind::kList)) &&
         std::find(names.begin(), names.end(), name) != names.end();
}

Value range(Arguments& arguments) {
  constexpr std::int64_t kMaxRange = 100'000;  // the sandbox's
  if (!arguments.named.empty()) raise("range() takes no keyword arguments");
  for (const Value& value : arguments.positional) {
    value.check_defined();
    if (!value.is_number() || value.is(Kind::kFloat))
      raise(fmt::format("'{}' object cannot be interpreted as an integer", value.type_name()));
  }
  const std::size_t count = arguments.positional.size();
  if (count == 0 || count > 3) raise(fmt::format("range expected 1 to 3 arguments, got {}", count));
  const auto number = [&](std::size_t i) { return arguments.positional[i].as_integer(); };
  const std::int64_t start = count == 1 ? 0 : number(0);
  const std::int64_t stop = count == 1 ? number(0) : number(1);
  const std::int64_t by = count == 3 ? number(2) : 1;
  if (by == 0) raise("range() arg 3 must not be zero");
  std::vector<Value> items;
  for (std::int64_t i = start; by > 0 ? i < stop : i > stop;) {
    if (static_cast<std::int64_t>(items.size()) == kMaxRange) {
      raise(fmt::format("Range too big. The sandbox blocks ranges larger than MAX_RANGE ({}).", kMaxRange));
    }
    items.push_back(Value::integer(i));
    if (__builtin_add_overflow(i, by, &i)) break;
  }
  const std::string text =
      by == 1 ? fmt::format("range({}, {})", start, stop) : fmt::format("range({}, {}, {})", start, stop, by);
  return Value::range(std::move(items), text);
}

Value fill_from(Value object, Arguments& arguments) {
  if (arguments.positional.size() > 1)
    raise(fmt::format("dict expected at most 1 argument, got {}", arguments.positional.size()));
  for (const Value& source : arguments.positional) {
    if (source.is(Kind::kDict)) {
      for (const auto& [key, value] : source.entries().entries)
        object.entries().set(key, value);
    } else {
      source.check_defined();
      for (const Value& pair : iterate(source)) {
        const auto parts = iterate(pair);
        if (parts.size() != 2) raise("dictionary update sequence element has not length 2");
        check_hashable(parts[0]);
        object.entries().set(parts[0], parts[1]);
      }
    }
  }
  for (const auto& [name, value] : arguments.named)
    object.entries().set(Value::string(name), value);
  return object;
}

}  // namespace

Value find_method(const Value& object, const std::string& name) {
  if (is_mutating(object, name)) {
    return Value::undefined(
        fmt::format("access to attribute '{}' of '{}' object is unsafe.", name, object.type_name()));
  }
  if (object.is_string()) return find_string_method(object, name);
  if (object.is(Kind::kDict)) return dict_method(object, name);
  if (object.is_sequence()) return list_method(object, name);
  if (is_attribute(object, name)) beyond(fmt::format("the attribute {} of {}", name, object.type_name()));
  return {};
}

ScopePtr builtin_globals() {
  auto scope = std::make_shared<Scope>();
  const auto add = [&](const char* name, Function function) {
    scope->names.emplace(name, Value::function(std::move(function)));
  };
  add("range", range);
  add("dict", [](Arguments& arguments) { return fill_from(Value::dict(), arguments); });
  add("namespace", [](Arguments& arguments) { return fill_from(Value::name_space(), arguments); });
  add("lipsum", [](Arguments&) -> Value { beyond("the function lipsum"); });
  add("joiner", [](Arguments& arguments) {
    const auto taken = take_arguments("joiner", arguments, {"sep"});
    const Value separator = taken[0].is_undefined() ? Value::string(", ") : taken[0];
    return Value::function([separator, used = std::make_shared<bool>(false)](Arguments&) {
      return std::exchange(*used, true) ? separator : Value::string("");
    });
  });
  add("cycler", [](Arguments& arguments) {
    if (arguments.positional.empty()) raise("at least one item has to be provided");
    Value cycler = Value::object();
    cycler.entries().set(
        Value::string("next"),
        Value::function([items = arguments.positional, next = std::make_shared<std::size_t>(0)](Arguments&) {
          return items[(*next)++ % items.size()];
        }));
    return cycler;
  });
  return scope;
}

}  // namespace llm2mnn::jinja
