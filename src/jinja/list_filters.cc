// Filters of lists and mappings.

#include <algorithm>

#include "jinja/filters.h"
#include "jinja/text.h"
#include "jinja/work_meter.h"

namespace llm2mnn::jinja {

namespace {

using Kind = Value::Kind;

/// Python runs a generator when it is looked at, so an error of its items comes then. @param fill  adds the
/// items to a list.
template <typename Fill>
Value lazily(Fill fill) {
  std::vector<Value> items;
  try {
    fill(items);
  } catch (const TemplateError& error) {
    return Value::generator(std::move(items), error.message.empty() ? "an error" : error.message);
  }
  return Value::generator(std::move(items));
}

Value length_filter(const Value& input, Arguments&) {
  switch (input.kind()) {
    case Kind::kUndefined:
      return Value::integer(0);
    case Kind::kString:
      return Value::integer(static_cast<std::int64_t>(num_characters(input.text())));
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange:
    case Kind::kView:
      return Value::integer(static_cast<std::int64_t>(input.items().size()));
    case Kind::kDict:
      return Value::integer(static_cast<std::int64_t>(input.entries().entries.size()));
    case Kind::kObject:
      beyond("the length of a loop");
    default:
      raise(fmt::format("object of type '{}' has no len()", input.type_name()));
  }
}

Value first_filter(const Value& input, Arguments&) {
  if (input.is_string() && !input.text().empty())
    return slice(Value::string(input.text()), Value::none(), Value::integer(1), Value::none());
  if (input.is(Kind::kGenerator) && !input.items().empty()) {  // what follows is not looked at
    Value item = input.items().front();
    input.items().erase(input.items().begin());
    return item;
  }
  const auto items = iterate(input);
  return items.empty() ? Value::undefined("No first item, sequence was empty.") : items.front();
}

Value last_filter(const Value& input, Arguments&) {
  if (input.is(Kind::kGenerator)) raise("'generator' object is not reversible");
  if (input.is_string() && !input.text().empty())
    return slice(Value::string(input.text()), Value::integer(-1), Value::none(), Value::none());
  const auto items = iterate(input);
  return items.empty() ? Value::undefined("No last item, sequence was empty.") : items.back();
}

/// `a.b.0`, as `attribute=` arguments name it; `fallback`, unless none, stands for what is undefined.
Value attribute_of(Value object, const Value& attribute, const Value& fallback = Value::none()) {
  const auto take = [&](const Value& part) {
    object = get_index(object, part);
    if (object.is_undefined() && !is_absent(fallback)) object = fallback;
  };
  if (!attribute.is_string()) {
    take(attribute);
    return object;
  }
  for (std::string_view rest = attribute.text();;) {
    const std::size_t dot = rest.find('.');
    const std::string part(rest.substr(0, dot));
    const bool is_index =
        !part.empty() && part.find_first_not_of("0123456789") == std::string::npos && part.size() < 10;
    take(is_index ? Value::integer(std::stoll(part)) : Value::string(part));
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
    out += to_text(is_absent(taken[1]) ? item : attribute_of(item, taken[1]));
  }
  return Value::string(std::move(out));
}

Value without_case(const Value& key, bool case_sensitive) {
  return key.is_string() && !case_sensitive ? Value::string(lower(key.text())) : key;
}

/// The value that an item counts as for `min`, `unique` and their kin: its attribute, in lower case.
Value key_of(const Value& item, const Value& attribute, bool case_sensitive,
             const Value& fallback = Value::none()) {
  return without_case(is_absent(attribute) ? item : attribute_of(item, attribute, fallback), case_sensitive);
}

/// For `sort`, which takes several attributes with commas between them.
Value sort_key(const Value& item, const Value& attribute, bool case_sensitive) {
  if (!attribute.is_string() || attribute.text().find(',') == std::string::npos)
    return key_of(item, attribute, case_sensitive);
  std::vector<Value> keys;
  for (std::string_view rest = attribute.text();;) {
    const std::size_t comma = rest.find(',');
    keys.push_back(key_of(item, Value::string(std::string(rest.substr(0, comma))), case_sensitive));
    if (comma == std::string_view::npos) return Value::list(std::move(keys));
    rest.remove_prefix(comma + 1);
  }
}

using Keyed = std::vector<std::pair<Value, Value>>;

void sort_keyed(Keyed& keyed, bool reverse) {
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
    return reverse ? less_than(b.first, a.first) : less_than(a.first, b.first);
  });
}

Value sort_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("sort", arguments, {"reverse", "case_sensitive", "attribute"});
  if (!taken[0].is_undefined() && !is_whole(taken[0]))
    raise(fmt::format("'{}' object cannot be interpreted as an integer", taken[0].type_name()));
  Keyed keyed;
  for (const Value& item : iterate(input))
    keyed.emplace_back(sort_key(item, taken[2], taken[1].truth()), item);
  sort_keyed(keyed, taken[0].truth());
  std::vector<Value> items;
  for (auto& [key, item] : keyed)
    items.push_back(std::move(item));
  return Value::list(std::move(items));
}

Value dictsort_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("dictsort", arguments, {"case_sensitive", "by", "reverse"});
  const std::string by = taken[1].is_undefined() ? "key" : to_text(taken[1]);
  if (by != "key" && by != "value") raise("You can only sort by either \"key\" or \"value\"");
  input.check_defined();
  if (!input.is(Kind::kDict)) raise(fmt::format("'{}' object has no attribute 'items'", input.type_name()));
  Keyed keyed;
  for (const auto& [key, value] : input.entries().entries)
    keyed.emplace_back(without_case(by == "value" ? value : key, taken[0].truth()),
                       Value::tuple({key, value}));
  sort_keyed(keyed, taken[2].truth());
  std::vector<Value> pairs;
  for (auto& [key, pair] : keyed)
    pairs.push_back(std::move(pair));
  return Value::list(std::move(pairs));
}

Value items_filter(const Value& input, Arguments&) {
  if (input.is_undefined()) return Value::generator({});
  return lazily([&](std::vector<Value>& pairs) {
    if (!input.is(Kind::kDict)) raise("Can only get item pairs from a mapping.");
    for (const auto& [key, value] : input.entries().entries)
      pairs.push_back(Value::tuple({key, value}));
  });
}

void map_attribute(const Value& input, const Arguments& arguments, std::vector<Value>& out) {
  Value attribute, fallback;
  for (const auto& [name, value] : arguments.named) {
    if (name != "attribute" && name != "default")
      raise(fmt::format("Unexpected keyword argument '{}'", name));
    (name == "attribute" ? attribute : fallback) = value;
  }
  for (const Value& item : iterate(input))
    out.push_back(is_absent(attribute) ? item : attribute_of(item, attribute, fallback));
}

void map_items(const Value& input, const Arguments& arguments, std::vector<Value>& out) {
  if (!input.truth()) return;  // none too
  const bool has_attribute = std::any_of(arguments.named.begin(), arguments.named.end(),
                                         [](const auto& named) { return named.first == "attribute"; });
  if (arguments.positional.empty() && has_attribute) return map_attribute(input, arguments, out);
  if (arguments.positional.empty()) raise("map requires a filter argument");
  const std::string name = to_text(arguments.positional[0]);
  for (const Value& item : iterate(input)) {
    Arguments rest = arguments;
    rest.positional.erase(rest.positional.begin());
    out.push_back(apply_filter(name, item, rest));
  }
}

Value map_filter(const Value& input, Arguments& arguments) {
  return lazily([&](std::vector<Value>& out) { map_items(input, arguments, out); });
}

/// select, reject, selectattr, rejectattr.
Value select_items(const Value& input, const Arguments& arguments, bool keep, bool by_attribute) {
  return lazily([&](std::vector<Value>& out) {
    if (!input.truth()) return;  // none too
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
  });
}

Value reverse_filter(const Value& input, Arguments&) {
  if (input.is_string()) return slice(input, Value::none(), Value::none(), Value::integer(-1));
  const bool makes_list = input.is(Kind::kGenerator);
  std::vector<Value> items = iterate(input);
  std::reverse(items.begin(), items.end());
  return makes_list ? Value::list(std::move(items)) : Value::generator(std::move(items));
}

Value unique_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("unique", arguments, {"case_sensitive", "attribute"});
  return lazily([&](std::vector<Value>& out) {
    std::vector<Value> keys;
    for (const Value& item : iterate(input)) {
      Value key = key_of(item, taken[1], taken[0].truth());
      check_hashable(key);
      if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
      keys.push_back(std::move(key));
      out.push_back(item);
    }
  });
}

Value extreme(const Value& input, Arguments& arguments, bool largest) {
  const auto taken = take_arguments(largest ? "max" : "min", arguments, {"case_sensitive", "attribute"});
  const auto items = iterate(input);
  if (items.empty()) return Value::undefined("No aggregated item, sequence was empty.");
  const Value* best = nullptr;
  Value best_key;
  for (const Value& item : items) {
    Value key = key_of(item, taken[1], taken[0].truth());
    if (best != nullptr && !(largest ? less_than(best_key, key) : less_than(key, best_key))) continue;
    best = &item;
    best_key = std::move(key);
  }
  return *best;
}

Value sum_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("sum", arguments, {"attribute", "start"});
  Value total = taken[1].is_undefined() ? Value::integer(0) : taken[1];
  if (total.is_string()) raise("sum() can't sum strings [use ''.join(seq) instead]");
  for (const Value& item : iterate(input))
    total = binary_operation("+", total, is_absent(taken[0]) ? item : attribute_of(item, taken[0]));
  return total;
}

std::size_t count_argument(const Value& value, std::string_view filter) {
  constexpr std::int64_t kMost = 100'000;
  if (value.is_undefined()) raise(fmt::format("{} needs a number", filter));
  if (!is_whole(value) || value.as_integer() < 1 || value.as_integer() > kMost)
    beyond(fmt::format("{} with such a number", filter));
  return static_cast<std::size_t>(value.as_integer());
}

Value batch_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("batch", arguments, {"linecount", "fill_with"});
  const std::size_t size = count_argument(taken[0], "batch");
  return lazily([&](std::vector<Value>& rows) {
    std::vector<Value> row;
    for (const Value& item : iterate(input)) {
      if (row.size() == size) rows.push_back(Value::list(std::exchange(row, {})));
      row.push_back(item);
    }
    if (row.empty()) return;
    if (!is_absent(taken[1])) row.resize(size, taken[1]);
    rows.push_back(Value::list(std::move(row)));
  });
}

Value slice_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("slice", arguments, {"slices", "fill_with"});
  const std::size_t count = count_argument(taken[0], "slice");
  return lazily([&](std::vector<Value>& columns) {
    const auto items = iterate(input);
    const std::size_t each = items.size() / count, longer = items.size() % count;
    auto next = items.begin();
    for (std::size_t i = 0; i < count; ++i) {
      const auto end = next + static_cast<std::ptrdiff_t>(each + (i < longer ? 1 : 0));
      std::vector<Value> column(next, end);
      if (!is_absent(taken[1]) && i >= longer) column.push_back(taken[1]);
      columns.push_back(Value::list(std::move(column)));
      next = end;
    }
  });
}

Value groupby_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("groupby", arguments, {"attribute", "default", "case_sensitive"});
  if (taken[0].is_undefined()) raise("groupby needs an attribute");
  const bool case_sensitive = taken[2].truth();
  Keyed keyed;
  for (const Value& item : iterate(input))
    keyed.emplace_back(key_of(item, taken[0], case_sensitive, taken[1]), item);
  sort_keyed(keyed, false);
  std::vector<Value> groups;
  for (std::size_t i = 0; i < keyed.size(); ++i) {
    if (i == 0 || !(keyed[i - 1].first == keyed[i].first))
      groups.push_back(Value::group(key_of(keyed[i].second, taken[0], true, taken[1]), Value::list({})));
    groups.back().items()[1].items().push_back(keyed[i].second);
  }
  return Value::list(std::move(groups));
}

Value attr_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("attr", arguments, {"name"});
  if (taken[0].is_undefined()) raise("attr needs a name");
  const std::string name = to_text(taken[0]);
  if (!input.is(Kind::kDict)) return get_member(input, name);
  // The attributes of Python only, not the keys.
  const Value found = name.starts_with("__") ? Value() : find_method(input, name);
  if (!found.is_undefined() || found.has_reason()) return found;
  return Value::undefined(fmt::format("'{} object' has no attribute '{}'", input.type_name(), name));
}

}  // namespace

void add_list_filters(FilterTable& table) {
  using V = const Value&;
  using A = Arguments&;
  table.insert({
      {"attr", attr_filter},
      {"batch", batch_filter},
      {"count", length_filter},
      {"dictsort", dictsort_filter},
      {"first", first_filter},
      {"groupby", groupby_filter},
      {"items", items_filter},
      {"join", join_filter},
      {"last", last_filter},
      {"length", length_filter},
      {"list", [](V v, A) { return Value::list(iterate(v)); }},
      {"map", map_filter},
      {"max", [](V v, A a) { return extreme(v, a, true); }},
      {"min", [](V v, A a) { return extreme(v, a, false); }},
      {"reject", [](V v, A a) { return select_items(v, a, false, false); }},
      {"rejectattr", [](V v, A a) { return select_items(v, a, false, true); }},
      {"reverse", reverse_filter},
      {"select", [](V v, A a) { return select_items(v, a, true, false); }},
      {"selectattr", [](V v, A a) { return select_items(v, a, true, true); }},
      {"slice", slice_filter},
      {"sort", sort_filter},
      {"sum", sum_filter},
      {"unique", unique_filter},
  });
}

}  // namespace llm2mnn::jinja
