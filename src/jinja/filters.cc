// Jinja's filters.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "jinja/evaluator.h"
#include "jinja/text.h"
#include "jinja/work_meter.h"

namespace llm2mnn::jinja {

namespace {

using Kind = Value::Kind;
using Filter = Value (*)(const Value&, Arguments&);

Value number_of(std::size_t value) { return Value::integer(static_cast<std::int64_t>(value)); }

Value default_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("default", arguments, {"default_value", "boolean"});
  if (!input.is_undefined() && !(taken[1].truth() && !input.truth())) return input;
  const bool given = !arguments.positional.empty() || !arguments.named.empty();
  return given ? taken[0] : Value::string("");
}

Value length_filter(const Value& input, Arguments&) {
  switch (input.kind()) {
    case Kind::kUndefined:
      return Value::integer(0);
    case Kind::kString:
      return number_of(num_characters(input.text()));
    case Kind::kList:
    case Kind::kTuple:
      return number_of(input.items().size());
    case Kind::kDict:
      return number_of(input.entries().entries.size());
    default:
      raise(fmt::format("object of type '{}' has no len()", input.type_name()));
  }
}

Value first_filter(const Value& input, Arguments&) {
  const auto items = iterate(input);
  return items.empty() ? Value::undefined("No first item, sequence was empty.") : items.front();
}

Value last_filter(const Value& input, Arguments&) {
  const auto items = iterate(input);
  return items.empty() ? Value::undefined("No last item, sequence was empty.") : items.back();
}

/// `a.b.0`, as `attribute=` arguments name it.
Value attribute_of(Value object, const Value& attribute) {
  if (attribute.is(Kind::kInteger)) return get_index(object, attribute);
  if (!attribute.is_string()) raise("attribute must be a string or an integer");
  std::string_view rest = attribute.text();
  while (true) {
    const std::size_t dot = rest.find('.');
    const std::string part(rest.substr(0, dot));
    const bool is_index =
        !part.empty() && part.find_first_not_of("0123456789") == std::string::npos && part.size() < 10;
    object = get_index(object, is_index ? Value::integer(std::stoll(part)) : Value::string(part));
    if (dot == std::string_view::npos) return object;
    rest.remove_prefix(dot + 1);
  }
}

Value join_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("join", arguments, {"d", "attribute"});
  const std::string separator = taken[0].is_undefined() ? "" : to_text(taken[0]);
  std::string out;
  bool first = true;
  for (const Value& item : iterate(input)) {
    if (!first) out += separator;
    charge_work(separator.size());
    first = false;
    out += to_text(taken[1].is_undefined() || taken[1].is(Kind::kNone) ? item : attribute_of(item, taken[1]));
  }
  return Value::string(std::move(out));
}

/// The value that an item counts as for `sort`, `min`, `unique`: its attribute, in lower case.
Value sort_key(const Value& item, const Value& attribute, bool case_sensitive) {
  Value key = attribute.is_undefined() || attribute.is(Kind::kNone) ? item : attribute_of(item, attribute);
  return key.is_string() && !case_sensitive ? Value::string(lower(key.text())) : key;
}

Value sort_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("sort", arguments, {"reverse", "case_sensitive", "attribute"});
  std::vector<std::pair<Value, Value>> keyed;
  for (const Value& item : iterate(input))
    keyed.emplace_back(sort_key(item, taken[2], taken[1].truth()), item);
  const bool reverse = taken[0].truth();
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
    return reverse ? less_than(b.first, a.first) : less_than(a.first, b.first);
  });
  std::vector<Value> items;
  for (auto& [key, item] : keyed)
    items.push_back(std::move(item));
  return Value::list(std::move(items));
}

Value dictsort_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("dictsort", arguments, {"case_sensitive", "by", "reverse"});
  if (!input.is(Kind::kDict)) raise(fmt::format("'{}' object has no attribute 'items'", input.type_name()));
  const bool by_value = taken[1].is_string() && taken[1].text() == "value";
  std::vector<std::pair<Value, Value>> entries = input.entries().entries;
  std::stable_sort(entries.begin(), entries.end(), [&](const auto& a, const auto& b) {
    const Value x = sort_key(by_value ? a.second : a.first, {}, taken[0].truth());
    const Value y = sort_key(by_value ? b.second : b.first, {}, taken[0].truth());
    return taken[2].truth() ? less_than(y, x) : less_than(x, y);
  });
  std::vector<Value> pairs;
  for (const auto& [key, value] : entries)
    pairs.push_back(Value::tuple({key, value}));
  return Value::list(std::move(pairs));
}

Value items_filter(const Value& input, Arguments&) {
  if (input.is_undefined()) return Value::generator({});
  if (!input.is(Kind::kDict)) raise("Can only get item pairs from a mapping.");
  std::vector<Value> pairs;
  for (const auto& [key, value] : input.entries().entries)
    pairs.push_back(Value::tuple({key, value}));
  return Value::generator(std::move(pairs));
}

Value map_filter(const Value& input, Arguments& arguments) {
  if (!input.truth()) return Value::generator({});  // none too
  std::vector<Value> out;
  Value attribute, fallback;
  for (const auto& [name, value] : arguments.named) {
    if (name == "attribute") attribute = value;
    if (name == "default") fallback = value;
  }
  if (!attribute.is_undefined()) {
    for (const Value& item : iterate(input)) {
      Value value = attribute_of(item, attribute);
      out.push_back(value.is_undefined() && !fallback.is_undefined() ? fallback : std::move(value));
    }
    return Value::generator(std::move(out));
  }
  if (arguments.positional.empty() || !arguments.positional[0].is_string())
    raise("map requires a filter argument");
  const std::string name = arguments.positional[0].text();
  for (const Value& item : iterate(input)) {
    Arguments rest = arguments;
    rest.positional.erase(rest.positional.begin());
    out.push_back(apply_filter(name, item, rest));
  }
  return Value::generator(std::move(out));
}

/// select, reject, selectattr, rejectattr.
Value select_items(const Value& input, const Arguments& arguments, bool keep, bool by_attribute) {
  if (!input.truth()) return Value::generator({});  // none too
  std::vector<Value> out;
  const std::size_t first_test = by_attribute ? 1 : 0;
  if (by_attribute && arguments.positional.empty()) raise("Missing parameter for attribute name");
  for (const Value& item : iterate(input)) {
    const Value subject = by_attribute ? attribute_of(item, arguments.positional[0]) : item;
    bool passes = subject.truth();
    if (arguments.positional.size() > first_test) {
      Arguments rest;
      rest.positional.assign(arguments.positional.begin() + static_cast<std::ptrdiff_t>(first_test) + 1,
                             arguments.positional.end());
      rest.named = arguments.named;
      passes = apply_test(to_text(arguments.positional[first_test]), subject, rest);
    }
    if (passes == keep) out.push_back(item);
  }
  return Value::generator(std::move(out));
}

Value list_filter(const Value& input, Arguments&) { return Value::list(iterate(input)); }

Value integer_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("int", arguments, {"default", "base"});
  const Value fallback = taken[0].is_undefined() ? Value::integer(0) : taken[0];
  if (input.is(Kind::kFloat)) {
    return std::fabs(input.as_real()) < 9e18 ? Value::integer(static_cast<std::int64_t>(input.as_real()))
                                             : fallback;
  }
  if (input.is_number()) return Value::integer(input.as_integer());
  if (!input.is_string()) return fallback;
  const std::string text = stripped(input.text(), true, true, nullptr);
  const std::size_t begin = text.starts_with('+') ? 1 : 0;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data() + begin, text.data() + text.size(), number);
  if (error == std::errc{} && end == text.data() + text.size()) return Value::integer(number);
  double real = 0;
  const auto [real_end, real_error] = std::from_chars(text.data() + begin, text.data() + text.size(), real);
  if (real_error == std::errc{} && real_end == text.data() + text.size() && std::fabs(real) < 9e18) {
    return Value::integer(static_cast<std::int64_t>(real));
  }
  return fallback;
}

Value float_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("float", arguments, {"default"});
  if (input.is_number()) return Value::real(input.as_real());
  if (input.is_string()) {
    const std::string text = stripped(input.text(), true, true, nullptr);
    double real = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), real);
    if (error == std::errc{} && end == text.data() + text.size()) return Value::real(real);
  }
  return taken[0].is_undefined() ? Value::real(0) : taken[0];
}

Value round_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("round", arguments, {"precision", "method"});
  if (!input.is_number()) raise(fmt::format("type {} doesn't define __round__ method", input.type_name()));
  const double scale = std::pow(10, taken[0].is_number() ? taken[0].as_real() : 0);
  const std::string method = taken[1].is_string() ? taken[1].text() : "common";
  const double scaled = input.as_real() * scale;
  const double rounded = method == "ceil"    ? std::ceil(scaled)
                         : method == "floor" ? std::floor(scaled)
                                             : std::nearbyint(scaled);
  return Value::real(rounded / scale);
}

Value tojson_filter(const Value& input, Arguments& arguments) {
  const auto taken =
      take_arguments("tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonFormat format;
  if (taken[1].is_number()) {
    format.indent = static_cast<int>(std::clamp<std::int64_t>(taken[1].as_integer(), 0, 64));
    format.item_separator = ",";
  }
  if (taken[2].is_sequence() && taken[2].items().size() == 2) {
    format.item_separator = to_text(taken[2].items()[0]);
    format.key_separator = to_text(taken[2].items()[1]);
  }
  format.sort_keys = taken[3].truth();
  format.ensure_ascii = taken[0].truth();
  return Value::string(to_json(input, format));
}

Value indent_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("indent", arguments, {"width", "first", "blank"});
  const std::string margin =
      taken[0].is_string()
          ? taken[0].text()
          : std::string(taken[0].is_number() ? static_cast<std::size_t>(
                                                   std::clamp<std::int64_t>(taken[0].as_integer(), 0, 1000))
                                             : 4,
                        ' ');
  const std::string text = to_text(input);
  std::string out = taken[1].truth() ? margin : "";
  std::size_t begin = 0;
  while (true) {
    const std::size_t end = text.find('\n', begin);
    const std::string line = text.substr(begin, end - begin);
    charge_work(margin.size());
    if (begin != 0 && (!line.empty() || taken[2].truth())) out += margin;
    out += line;
    if (end == std::string::npos) break;
    out += '\n';
    begin = end + 1;
  }
  return Value::string(std::move(out));
}

Value replace_filter(const Value& input, Arguments& arguments) {
  const Value text = Value::string(to_text(input));
  for (Value& argument : arguments.positional) {
    if (!argument.is_string() && !argument.is_number()) argument = Value::string(to_text(argument));
  }
  return find_method(text, "replace").callee()(arguments);
}

Value trim_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("trim", arguments, {"chars"});
  const std::string* set = taken[0].is_string() ? &taken[0].text() : nullptr;
  return Value::string(stripped(to_text(input), true, true, set));
}

Value reverse_filter(const Value& input, Arguments&) {
  std::vector<Value> items = iterate(input);
  std::reverse(items.begin(), items.end());
  if (!input.is_string()) return Value::list(std::move(items));
  std::string text;
  for (const Value& item : items)
    text += item.text();
  return Value::string(std::move(text));
}

Value unique_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("unique", arguments, {"case_sensitive", "attribute"});
  std::vector<Value> keys, out;
  for (const Value& item : iterate(input)) {
    Value key = sort_key(item, taken[1], taken[0].truth());
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
    keys.push_back(std::move(key));
    out.push_back(item);
  }
  return Value::generator(std::move(out));
}

Value extreme(const Value& input, Arguments& arguments, bool largest) {
  const auto taken = take_arguments(largest ? "max" : "min", arguments, {"case_sensitive", "attribute"});
  const auto items = iterate(input);
  if (items.empty()) return Value::undefined("No aggregated item, sequence was empty.");
  const Value* best = &items[0];
  for (const Value& item : items) {
    const Value key = sort_key(item, taken[1], taken[0].truth());
    const Value best_key = sort_key(*best, taken[1], taken[0].truth());
    if (largest ? less_than(best_key, key) : less_than(key, best_key)) best = &item;
  }
  return *best;
}

Value sum_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("sum", arguments, {"attribute", "start"});
  Value total = taken[1].is_undefined() ? Value::integer(0) : taken[1];
  for (const Value& item : iterate(input)) {
    total = binary_operation(
        "+", total,
        taken[0].is_undefined() || taken[0].is(Kind::kNone) ? item : attribute_of(item, taken[0]));
  }
  return total;
}

Value batch_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("batch", arguments, {"linecount", "fill_with"});
  if (!taken[0].is_number() || taken[0].as_integer() < 1) raise("batch needs a positive number");
  const auto size = static_cast<std::size_t>(taken[0].as_integer());
  std::vector<Value> rows;
  std::vector<Value> row;
  for (const Value& item : iterate(input)) {
    if (row.size() == size) rows.push_back(Value::list(std::exchange(row, {})));
    row.push_back(item);
  }
  if (!row.empty()) rows.push_back(Value::list(std::move(row)));
  return Value::list(std::move(rows));
}

Value groupby_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("groupby", arguments, {"attribute", "default", "case_sensitive"});
  Arguments sorting;
  sorting.named.emplace_back("attribute", taken[0]);
  std::vector<Value> groups;
  for (const Value& item : iterate(sort_filter(input, sorting))) {
    const Value key = attribute_of(item, taken[0]);
    if (groups.empty() || !(groups.back().items()[0] == key))
      groups.push_back(Value::tuple({key, Value::list({})}));
    groups.back().items()[1].items().push_back(item);
  }
  return Value::list(std::move(groups));
}

Value escape_filter(const Value& input) {
  return input.is_safe() ? input : Value::safe_string(html_escaped(to_text(input)));
}

Value abs_filter(const Value& input, Arguments&) {
  if (!input.is_number()) raise(fmt::format("bad operand type for abs(): '{}'", input.type_name()));
  if (input.is(Kind::kFloat)) return Value::real(std::fabs(input.as_real()));
  return input.as_integer() < 0 ? binary_operation("-", Value::integer(0), input)
                                : Value::integer(input.as_integer());
}

Value center_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("center", arguments, {"width"});
  const std::string text = to_text(input);
  const auto width = static_cast<std::size_t>(
      taken[0].is_number() ? std::clamp<std::int64_t>(taken[0].as_integer(), 0, 10'000) : 80);
  const std::size_t size = num_characters(text);
  if (size >= width) return Value::string(text);
  const std::size_t pad = width - size;
  const std::size_t left = pad / 2 + (pad & width & 1);
  return Value::string(std::string(left, ' ') + text + std::string(pad - left, ' '));
}

Value wordcount_filter(const Value& input, Arguments&) {
  Arguments none;
  const Value words = find_method(Value::string(to_text(input)), "split").callee()(none);
  return number_of(words.items().size());
}

Value format_filter(const Value& input, Arguments& arguments) {
  return binary_operation("%", Value::string(to_text(input)), Value::tuple(arguments.positional));
}

const std::map<std::string_view, Filter>& filters() {
  using V = const Value&;
  using A = Arguments&;
  static const std::map<std::string_view, Filter> kFilters = {
      {"abs", abs_filter},
      {"attr",
       [](V v, A a) {
         const auto taken = take_arguments("attr", a, {"name"});
         return v.is(Kind::kNamespace) ? get_member(v, to_text(taken[0])) : find_method(v, to_text(taken[0]));
       }},
      {"batch", batch_filter},
      {"capitalize", [](V v, A) { return Value::string(capitalized(to_text(v))); }},
      {"center", center_filter},
      {"count", length_filter},
      {"d", default_filter},
      {"default", default_filter},
      {"dictsort", dictsort_filter},
      {"e", [](V v, A) { return escape_filter(v); }},
      {"escape", [](V v, A) { return escape_filter(v); }},
      {"first", first_filter},
      {"float", float_filter},
      {"forceescape", [](V v, A) { return Value::safe_string(html_escaped(to_text(v))); }},
      {"format", format_filter},
      {"groupby", groupby_filter},
      {"indent", indent_filter},
      {"int", integer_filter},
      {"items", items_filter},
      {"join", join_filter},
      {"last", last_filter},
      {"length", length_filter},
      {"list", list_filter},
      {"lower", [](V v, A) { return Value::string(lower(to_text(v))); }},
      {"map", map_filter},
      {"max", [](V v, A a) { return extreme(v, a, true); }},
      {"min", [](V v, A a) { return extreme(v, a, false); }},
      {"pprint", [](V v, A) { return Value::string(to_repr(v)); }},
      {"reject", [](V v, A a) { return select_items(v, a, false, false); }},
      {"rejectattr", [](V v, A a) { return select_items(v, a, false, true); }},
      {"replace", replace_filter},
      {"reverse", reverse_filter},
      {"round", round_filter},
      {"safe", [](V v, A) { return Value::safe_string(to_text(v)); }},
      {"select", [](V v, A a) { return select_items(v, a, true, false); }},
      {"selectattr", [](V v, A a) { return select_items(v, a, true, true); }},
      {"sort", sort_filter},
      {"string", [](V v, A) { return Value::string(to_text(v)); }},
      {"sum", sum_filter},
      {"title", [](V v, A) { return Value::string(titled(to_text(v))); }},
      {"tojson", tojson_filter},
      {"trim", trim_filter},
      {"unique", unique_filter},
      {"upper", [](V v, A) { return Value::string(upper(to_text(v))); }},
      {"wordcount", wordcount_filter},
  };
  return kFilters;
}

}  // namespace

Value apply_filter(const std::string& name, const Value& input, Arguments& arguments) {
  const auto it = filters().find(name);
  if (it == filters().end()) raise(fmt::format("No filter named '{}' found.", name));
  return it->second(input, arguments);
}

bool has_filter(std::string_view name) { return filters().contains(name); }

}  // namespace llm2mnn::jinja
