// Methods of strings, lists and dicts, and the functions that every template has.

#include <algorithm>
#include <map>

#include "jinja/evaluator.h"
#include "jinja/text.h"
#include "jinja/work_meter.h"

namespace llm2mnn::jinja {

namespace {

using Kind = Value::Kind;
using Names = std::vector<std::string_view>;

constexpr std::size_t kPieceCost = 64;  // of what is put together, apart from its bytes

std::string text_argument(std::string_view method, const Value& value) {
  if (!value.is_string()) raise(fmt::format("{}() argument must be str, not {}", method, value.type_name()));
  charge_search(value.text().size(), 0);
  return value.text();
}

/// The characters to strip, or null.
const std::string* strip_set(const Value& value) { return value.is_string() ? &value.text() : nullptr; }

Value strip_method(const std::string& text, Arguments& arguments, bool left, bool right) {
  const auto taken = take_arguments("strip", arguments, {"chars"});
  return Value::string(stripped(text, left, right, strip_set(taken[0])));
}

/// A string or a tuple of strings.
bool matches_any(const Value& needle, std::string_view method,
                 const std::function<bool(const std::string&)>& match) {
  if (needle.is(Kind::kTuple)) {
    return std::any_of(needle.items().begin(), needle.items().end(),
                       [&](const Value& item) { return match(text_argument(method, item)); });
  }
  return match(text_argument(method, needle));
}

std::vector<Value> split_at_spaces(std::string_view text, std::int64_t max, bool from_right) {
  std::vector<Value> parts;
  if (!from_right) {
    std::string_view rest = text;
    for (std::size_t size = 0;;) {
      while (!rest.empty() && starts_with_space(rest, size))
        rest.remove_prefix(size);
      if (rest.empty()) break;
      if (max >= 0 && static_cast<std::int64_t>(parts.size()) == max) {
        parts.push_back(Value::string(stripped(rest, false, true, nullptr)));
        break;
      }
      std::size_t end = 0;
      while (end < rest.size() && !starts_with_space(rest.substr(end), size))
        end += size;
      parts.push_back(Value::string(std::string(rest.substr(0, end))));
      rest.remove_prefix(end);
    }
    return parts;
  }
  parts = split_at_spaces(text, -1, false);
  if (max < 0 || static_cast<std::int64_t>(parts.size()) <= max + 1) return parts;
  raise("rsplit with a limit needs a separator here");
}

std::vector<Value> split_text(const std::string& text, const std::string& separator, std::int64_t max,
                              bool from_right) {
  charge_search(text.size(), separator.size());
  if (separator.empty()) raise("empty separator");
  std::vector<Value> parts;
  if (!from_right) {
    std::size_t begin = 0;
    for (std::size_t at = text.find(separator);
         at != std::string::npos && (max < 0 || static_cast<std::int64_t>(parts.size()) < max);
         at = text.find(separator, begin)) {
      parts.push_back(Value::string(text.substr(begin, at - begin)));
      begin = at + separator.size();
    }
    parts.push_back(Value::string(text.substr(begin)));
    return parts;
  }
  std::size_t end = text.size();
  while ((max < 0 || static_cast<std::int64_t>(parts.size()) < max) && end >= separator.size()) {
    const std::size_t at = text.rfind(separator, end - separator.size());
    if (at == std::string::npos) break;
    parts.push_back(Value::string(text.substr(at + separator.size(), end - at - separator.size())));
    end = at;
  }
  parts.push_back(Value::string(text.substr(0, end)));
  std::reverse(parts.begin(), parts.end());
  return parts;
}

Value split_method(const std::string& text, Arguments& arguments, bool from_right) {
  const auto taken = take_arguments("split", arguments, {"sep", "maxsplit"});
  const std::int64_t max = taken[1].is_number() ? taken[1].as_integer() : -1;
  if (taken[0].is_undefined() || taken[0].is(Kind::kNone)) {
    return Value::list(split_at_spaces(text, max, from_right));
  }
  return Value::list(split_text(text, text_argument("split", taken[0]), max, from_right));
}

std::string replaced(const std::string& text, const std::string& from, const std::string& to,
                     std::int64_t count) {
  charge_search(text.size(), from.size());
  std::string out;
  std::int64_t done = 0;
  if (from.empty()) {
    for (const std::string_view c : characters(text)) {
      charge_work(to.size());
      if (count < 0 || done++ < count) out += to;
      out += c;
    }
    return count < 0 || done < count ? out + to : out;
  }
  std::size_t begin = 0;
  for (std::size_t at = text.find(from); at != std::string::npos && (count < 0 || done < count);
       at = text.find(from, begin), ++done) {
    charge_work(kPieceCost + at - begin + to.size());
    out += text.substr(begin, at - begin) + to;
    begin = at + from.size();
  }
  return out + text.substr(begin);
}

std::string joined(const std::string& separator, const Value& iterable) {
  std::string out;
  bool first = true;
  for (const Value& item : iterate(iterable)) {
    if (!item.is_string())
      raise(fmt::format("sequence item: expected str instance, {} found", item.type_name()));
    charge_work(kPieceCost + separator.size() + item.text().size());
    out += (first ? "" : separator) + item.text();
    first = false;
  }
  return out;
}

/// `str.format` with `{}`, `{0}` and `{name}`.
std::string formatted(const std::string& format, const Arguments& arguments) {
  std::string out;
  std::size_t next = 0;
  for (std::size_t i = 0; i < format.size(); ++i) {
    const char c = format[i];
    if ((c == '{' || c == '}') && i + 1 < format.size() && format[i + 1] == c) {
      out += c;
      ++i;
    } else if (c == '{') {
      const std::size_t end = format.find('}', i);
      if (end == std::string::npos) raise("expected '}' before end of string");
      const std::string field = format.substr(i + 1, end - i - 1);
      const bool is_index =
          !field.empty() && field.find_first_not_of("0123456789") == std::string::npos && field.size() < 6;
      if (field.empty() || is_index) {
        const std::size_t index = field.empty() ? next++ : std::stoul(field);
        if (index >= arguments.positional.size())
          raise("Replacement index out of range for positional args tuple");
        out += to_text(arguments.positional[index]);
        charge_work(out.size() / 16);
      } else {
        const auto it = std::find_if(arguments.named.begin(), arguments.named.end(),
                                     [&](const auto& named) { return named.first == field; });
        if (it == arguments.named.end()) raise(fmt::format("'{}'", field));
        out += to_text(it->second);
        charge_work(out.size() / 16);
      }
      i = end;
    } else {
      out += c;
    }
  }
  return out;
}

Value find_in(const std::string& text, Arguments& arguments, bool from_right, bool must_be_there) {
  const auto taken = take_arguments("find", arguments, {"sub", "start", "end"});
  const std::string needle = text_argument("find", taken[0]);
  charge_search(text.size(), needle.size());
  const std::size_t at = from_right ? text.rfind(needle) : text.find(needle);
  if (at == std::string::npos) {
    if (must_be_there) raise("substring not found");
    return Value::integer(-1);
  }
  return Value::integer(static_cast<std::int64_t>(num_characters(std::string_view(text).substr(0, at))));
}

std::vector<Value> lines_of(const std::string& text, bool keep) {
  std::vector<Value> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find_first_of("\n\r", begin), text.size());
    std::size_t next = std::min(end + 1, text.size());
    if (end + 1 < text.size() && text[end] == '\r' && text[end + 1] == '\n') ++next;
    lines.push_back(Value::string(text.substr(begin, (keep ? next : end) - begin)));
    begin = next;
  }
  return lines;
}

bool all_characters(const std::string& text, bool (*is_kind)(unsigned char)) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [&](char c) { return is_kind(static_cast<unsigned char>(c)); });
}

using StringMethod = Value (*)(const std::string&, Arguments&);

const std::map<std::string_view, StringMethod>& string_methods() {
  using S = const std::string&;
  using A = Arguments&;
  static const std::map<std::string_view, StringMethod> kMethods = {
      {"strip", [](S s, A a) { return strip_method(s, a, true, true); }},
      {"lstrip", [](S s, A a) { return strip_method(s, a, true, false); }},
      {"rstrip", [](S s, A a) { return strip_method(s, a, false, true); }},
      {"upper", [](S s, A) { return Value::string(upper(s)); }},
      {"lower", [](S s, A) { return Value::string(lower(s)); }},
      {"casefold", [](S s, A) { return Value::string(lower(s)); }},
      {"title", [](S s, A) { return Value::string(titled(s)); }},
      {"capitalize", [](S s, A) { return Value::string(capitalized(s)); }},
      {"split", [](S s, A a) { return split_method(s, a, false); }},
      {"rsplit", [](S s, A a) { return split_method(s, a, true); }},
      {"splitlines",
       [](S s, A a) {
         return Value::list(lines_of(s, take_arguments("splitlines", a, {"keepends"})[0].truth()));
       }},
      {"join", [](S s, A a) { return Value::string(joined(s, take_arguments("join", a, {"iterable"})[0])); }},
      {"format", [](S s, A a) { return Value::string(formatted(s, a)); }},
      {"find", [](S s, A a) { return find_in(s, a, false, false); }},
      {"rfind", [](S s, A a) { return find_in(s, a, true, false); }},
      {"index", [](S s, A a) { return find_in(s, a, false, true); }},
      {"rindex", [](S s, A a) { return find_in(s, a, true, true); }},
      {"count",
       [](S s, A a) {
         const std::string needle = text_argument("count", take_arguments("count", a, {"sub"})[0]);
         if (needle.empty()) return Value::integer(static_cast<std::int64_t>(num_characters(s)) + 1);
         return Value::integer(static_cast<std::int64_t>(split_text(s, needle, -1, false).size()) - 1);
       }},
      {"replace",
       [](S s, A a) {
         const auto taken = take_arguments("replace", a, {"old", "new", "count"});
         return Value::string(replaced(s, text_argument("replace", taken[0]),
                                       text_argument("replace", taken[1]),
                                       taken[2].is_number() ? taken[2].as_integer() : -1));
       }},
      {"startswith",
       [](S s, A a) {
         const auto taken = take_arguments("startswith", a, {"prefix"});
         return Value::boolean(
             matches_any(taken[0], "startswith", [&](const std::string& p) { return s.starts_with(p); }));
       }},
      {"endswith",
       [](S s, A a) {
         const auto taken = take_arguments("endswith", a, {"suffix"});
         return Value::boolean(
             matches_any(taken[0], "endswith", [&](const std::string& p) { return s.ends_with(p); }));
       }},
      {"removeprefix",
       [](S s, A a) {
         const std::string p =
             text_argument("removeprefix", take_arguments("removeprefix", a, {"prefix"})[0]);
         return Value::string(s.starts_with(p) ? s.substr(p.size()) : s);
       }},
      {"removesuffix",
       [](S s, A a) {
         const std::string p =
             text_argument("removesuffix", take_arguments("removesuffix", a, {"suffix"})[0]);
         return Value::string(s.ends_with(p) ? s.substr(0, s.size() - p.size()) : s);
       }},
      {"isdigit",
       [](S s, A) {
         return Value::boolean(all_characters(s, [](unsigned char c) { return c >= '0' && c <= '9'; }));
       }},
      {"isspace",
       [](S s, A) { return Value::boolean(!s.empty() && stripped(s, true, true, nullptr).empty()); }},
      {"isupper", [](S s, A) { return Value::boolean(upper(s) == s && lower(s) != s); }},
      {"islower", [](S s, A) { return Value::boolean(lower(s) == s && upper(s) != s); }},
  };
  return kMethods;
}

Value pairs_of(const Dict& dict) {
  std::vector<Value> pairs;
  for (const auto& [key, value] : dict.entries)
    pairs.push_back(Value::tuple({key, value}));
  return Value::list(std::move(pairs));
}

Value dict_method(const Value& object, const std::string& name) {
  if (name == "items") return Value::function([object](Arguments&) { return pairs_of(object.entries()); });
  if (name == "keys") return Value::function([object](Arguments&) { return Value::list(iterate(object)); });
  if (name == "values") {
    return Value::function([object](Arguments&) {
      std::vector<Value> values;
      for (const auto& [key, value] : object.entries().entries)
        values.push_back(value);
      return Value::list(std::move(values));
    });
  }
  if (name == "get") {
    return Value::function([object](Arguments& arguments) {
      const auto taken = take_arguments("get", arguments, {"key", "default"});
      if (const Value* value = object.entries().find(taken[0])) return *value;
      const bool given = arguments.positional.size() > 1 || !arguments.named.empty();
      return given ? taken[1] : Value::none();
    });
  }
  if (name == "copy") {
    return Value::function([object](Arguments&) {
      Value copy = Value::dict();
      copy.entries() = object.entries();
      return copy;
    });
  }
  return {};
}

Value list_method(const Value& object, const std::string& name) {
  if (name == "index") {
    return Value::function([object](Arguments& arguments) {
      const auto taken = take_arguments("index", arguments, {"value"});
      const auto& items = object.items();
      const auto it = std::find(items.begin(), items.end(), taken[0]);
      if (it == items.end()) raise(fmt::format("{} is not in list", to_repr(taken[0])));
      return Value::integer(it - items.begin());
    });
  }
  if (name == "count") {
    return Value::function([object](Arguments& arguments) {
      const auto taken = take_arguments("count", arguments, {"value"});
      return Value::integer(std::count(object.items().begin(), object.items().end(), taken[0]));
    });
  }
  if (name == "copy" && object.is(Kind::kList)) {
    return Value::function([object](Arguments&) { return Value::list(object.items()); });
  }
  return {};
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
  for (const Value& value : arguments.positional) {
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
  return Value::list(std::move(items));
}

Value fill_from(Value object, Arguments& arguments) {
  for (const Value& source : arguments.positional) {
    if (source.is(Kind::kDict)) {
      for (const auto& [key, value] : source.entries().entries)
        object.entries().set(key, value);
    } else {
      for (const Value& pair : iterate(source)) {
        const auto parts = iterate(pair);
        if (parts.size() != 2) raise("dictionary update sequence element has not length 2");
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
  if (object.is_string()) {
    const auto it = string_methods().find(name);
    if (it == string_methods().end()) return {};
    charge_search(object.text().size(), 0);
    return Value::function([text = object.text(), method = it->second](Arguments& arguments) {
      return method(text, arguments);
    });
  }
  if (object.is(Kind::kDict)) return dict_method(object, name);
  if (object.is_sequence()) return list_method(object, name);
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
  add("joiner", [](Arguments& arguments) {
    const auto taken = take_arguments("joiner", arguments, {"sep"});
    const Value separator = taken[0].is_undefined() ? Value::string(", ") : taken[0];
    return Value::function([separator, used = std::make_shared<bool>(false)](Arguments&) {
      return std::exchange(*used, true) ? separator : Value::string("");
    });
  });
  add("cycler", [](Arguments& arguments) {
    if (arguments.positional.empty()) raise("at least one item has to be provided");
    Value cycler = Value::name_space();
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
