// Methods of strings.

#include <algorithm>
#include <map>

#include "jinja/evaluator.h"
#include "jinja/string_format.h"
#include "jinja/text.h"
#include "jinja/work_meter.h"

namespace llm2mnn::jinja {

namespace {

using Kind = Value::Kind;
using Text = const std::string&;

constexpr std::size_t kPieceCost = 64;  // of what is put together, apart from its bytes

const std::string& text_argument(std::string_view method, const Value& value) {
  if (!value.is_string()) raise(fmt::format("{}() argument must be str, not {}", method, value.type_name()));
  charge_search(value.text().size(), 0);
  return value.text();
}

std::int64_t integer_argument(const Value& value) {
  if (!value.is(Kind::kInteger) && !value.is(Kind::kBool))
    raise(fmt::format("'{}' object cannot be interpreted as an integer", value.type_name()));
  return value.as_integer();
}

Value strip_method(Text text, const Arguments& arguments, bool left, bool right) {
  const auto taken = take_positional("strip", arguments, 0, 1);
  if (taken[0].is(Kind::kNone)) return Value::string(stripped(text, left, right, nullptr));
  return Value::string(stripped(text, left, right, &text_argument("strip", taken[0])));
}

// --- splitting

bool is_enough(const std::vector<Value>& parts, std::int64_t max) {
  return max >= 0 && static_cast<std::int64_t>(parts.size()) >= max;
}

std::vector<Value> split_at_spaces(std::string_view rest, std::int64_t max) {
  std::vector<Value> parts;
  for (std::size_t size = 0;;) {
    while (!rest.empty() && starts_with_space(rest, size))
      rest.remove_prefix(size);
    if (rest.empty()) return parts;
    if (is_enough(parts, max)) break;
    std::size_t end = 0;
    while (end < rest.size() && !starts_with_space(rest.substr(end), size))
      end += size;
    parts.push_back(Value::string(std::string(rest.substr(0, end))));
    rest.remove_prefix(end);
  }
  parts.push_back(Value::string(std::string(rest)));
  return parts;
}

/// The bytes of the last character.
std::size_t last_size(std::string_view text) { return text.size() - character_before(text, text.size()); }

std::vector<Value> split_at_spaces_from_right(std::string_view rest, std::int64_t max) {
  const auto ends_with_space = [](std::string_view text) {
    std::size_t size = 0;
    return !text.empty() && starts_with_space(text.substr(text.size() - last_size(text)), size);
  };
  std::vector<Value> parts;
  while (true) {
    while (ends_with_space(rest))
      rest.remove_suffix(last_size(rest));
    if (rest.empty() || is_enough(parts, max)) break;
    std::size_t begin = rest.size();
    while (begin > 0 && !ends_with_space(rest.substr(0, begin)))
      begin -= last_size(rest.substr(0, begin));
    parts.push_back(Value::string(std::string(rest.substr(begin))));
    rest = rest.substr(0, begin);
  }
  if (!rest.empty()) parts.push_back(Value::string(std::string(rest)));
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<Value> split_text(Text text, Text separator, std::int64_t max) {
  std::vector<Value> parts;
  std::size_t begin = 0;
  for (std::size_t at = text.find(separator); at != std::string::npos && !is_enough(parts, max);
       at = text.find(separator, begin)) {
    parts.push_back(Value::string(text.substr(begin, at - begin)));
    begin = at + separator.size();
  }
  parts.push_back(Value::string(text.substr(begin)));
  return parts;
}

std::vector<Value> split_text_from_right(Text text, Text separator, std::int64_t max) {
  std::vector<Value> parts;
  std::size_t end = text.size();
  while (!is_enough(parts, max) && end >= separator.size()) {
    const std::size_t at = text.rfind(separator, end - separator.size());
    if (at == std::string::npos) break;
    parts.push_back(Value::string(text.substr(at + separator.size(), end - at - separator.size())));
    end = at;
  }
  parts.push_back(Value::string(text.substr(0, end)));
  std::reverse(parts.begin(), parts.end());
  return parts;
}

Value split_method(Text text, Arguments& arguments, bool from_right) {
  const bool has_max = arguments.positional.size() > 1 ||
                       std::any_of(arguments.named.begin(), arguments.named.end(),
                                   [](const auto& named) { return named.first == "maxsplit"; });
  const bool has_separator =
      !arguments.positional.empty() || arguments.named.size() > static_cast<std::size_t>(has_max);
  const auto taken = take_arguments("split", arguments, {"sep", "maxsplit"});
  const std::int64_t max = has_max ? integer_argument(taken[1]) : -1;
  if (!has_separator || taken[0].is(Kind::kNone)) {
    return Value::list(from_right ? split_at_spaces_from_right(text, max) : split_at_spaces(text, max));
  }
  const std::string& separator = text_argument("split", taken[0]);
  if (separator.empty()) raise("empty separator");
  charge_search(text.size(), separator.size());
  return Value::list(from_right ? split_text_from_right(text, separator, max)
                                : split_text(text, separator, max));
}

/// partition and rpartition.
Value partition_method(Text text, const Arguments& arguments, bool from_right) {
  const auto taken = take_positional("partition", arguments, 1, 1);
  const std::string& separator = text_argument("partition", taken[0]);
  if (separator.empty()) raise("empty separator");
  charge_search(text.size(), separator.size());
  const std::size_t at = from_right ? text.rfind(separator) : text.find(separator);
  const Value whole = Value::string(text), nothing = Value::string("");
  if (at == std::string::npos)
    return from_right ? Value::tuple({nothing, nothing, whole}) : Value::tuple({whole, nothing, nothing});
  return Value::tuple(
      {Value::string(text.substr(0, at)), taken[0], Value::string(text.substr(at + separator.size()))});
}

// --- searching

/// The part of a string that `start` and `end` of find and its kin leave.
struct Window {
  std::string_view text;
  std::size_t num_before = 0;  ///< characters
  bool exists = true;          ///< it does not where `start` is behind `end`
};

Window window_of(Text text, const Value& start, const Value& end) {
  if (start.is(Kind::kNone) && end.is(Kind::kNone)) return {text};
  const auto count = static_cast<std::int64_t>(num_characters(text));
  const auto place = [&](const Value& value, std::int64_t fallback) {
    if (value.is(Kind::kNone)) return fallback;
    const std::int64_t at = integer_argument(value);
    return at >= 0 ? at : at < -count ? 0 : at + count;
  };
  const std::int64_t first = place(start, 0), last = std::min(place(end, count), count);
  if (first > last) return {{}, 0, false};
  const std::size_t begin = byte_of_character(text, static_cast<std::size_t>(first));
  const std::string_view behind = std::string_view(text).substr(begin);
  return {behind.substr(0, byte_of_character(behind, static_cast<std::size_t>(last - first))),
          static_cast<std::size_t>(first)};
}

Value find_in(Text text, const Arguments& arguments, bool from_right, bool must_be_there) {
  const auto taken = take_positional("find", arguments, 1, 3);
  const std::string& needle = text_argument("find", taken[0]);
  const Window window = window_of(text, taken[1], taken[2]);
  charge_search(window.text.size(), needle.size());
  const std::size_t at = !window.exists ? std::string::npos
                         : from_right   ? window.text.rfind(needle)
                                        : window.text.find(needle);
  if (at == std::string::npos) {
    if (must_be_there) raise("substring not found");
    return Value::integer(-1);
  }
  return Value::integer(
      static_cast<std::int64_t>(window.num_before + num_characters(window.text.substr(0, at))));
}

Value count_method(Text text, const Arguments& arguments) {
  const auto taken = take_positional("count", arguments, 1, 3);
  const std::string& needle = text_argument("count", taken[0]);
  const Window window = window_of(text, taken[1], taken[2]);
  if (!window.exists) return Value::integer(0);
  if (needle.empty()) return Value::integer(static_cast<std::int64_t>(num_characters(window.text)) + 1);
  charge_search(window.text.size(), needle.size());
  std::int64_t count = 0;
  for (std::size_t at = window.text.find(needle); at != std::string::npos;
       at = window.text.find(needle, at + needle.size()))
    ++count;
  return Value::integer(count);
}

/// startswith and endswith: a string or a tuple of strings.
Value ends_method(Text text, const Arguments& arguments, bool at_start) {
  const std::string_view name = at_start ? "startswith" : "endswith";
  const auto taken = take_positional(name, arguments, 1, 3);
  const Window window = window_of(text, taken[1], taken[2]);
  const auto matches = [&](const Value& choice) {
    const std::string& part = text_argument(name, choice);
    return window.exists && (at_start ? window.text.starts_with(part) : window.text.ends_with(part));
  };
  if (!taken[0].is(Kind::kTuple)) return Value::boolean(matches(taken[0]));
  return Value::boolean(std::any_of(taken[0].items().begin(), taken[0].items().end(), matches));
}

Value without_end(Text text, const Arguments& arguments, bool at_start) {
  const std::string_view name = at_start ? "removeprefix" : "removesuffix";
  const auto taken = take_positional(name, arguments, 1, 1);
  const std::string& part = text_argument(name, taken[0]);
  if (at_start) return Value::string(text.starts_with(part) ? text.substr(part.size()) : text);
  return Value::string(text.ends_with(part) ? text.substr(0, text.size() - part.size()) : text);
}

// --- making

std::string replaced(Text text, Text from, Text to, std::int64_t count) {
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
    out.append(text, begin, at - begin).append(to);
    begin = at + from.size();
  }
  return out.append(text, begin);
}

Value replace_method(Text text, const Arguments& arguments) {
  if (!arguments.named.empty() && arguments.named[0].first == "count")
    beyond("replace(count=), which is new in Python 3.13");
  const auto taken = take_positional("replace", arguments, 2, 3);
  return Value::string(replaced(text, text_argument("replace", taken[0]), text_argument("replace", taken[1]),
                                taken[2].is(Kind::kNone) ? -1 : integer_argument(taken[2])));
}

Value join_method(Text separator, const Arguments& arguments) {
  const auto taken = take_positional("join", arguments, 1, 1);
  taken[0].check_defined();
  std::string out;
  bool first = true;
  for (const Value& item : iterate(taken[0])) {
    if (!item.is_string())
      raise(fmt::format("sequence item: expected str instance, {} found", item.type_name()));
    charge_work(kPieceCost + separator.size() + item.text().size());
    if (!first) out += separator;
    out += item.text();
    first = false;
  }
  return Value::string(std::move(out));
}

/// center, ljust and rjust.
Value justify_method(Text text, const Arguments& arguments, Align align) {
  const auto taken = take_positional("justify", arguments, 1, 2);
  std::int64_t width = integer_argument(taken[0]);
  constexpr std::int64_t kMost = 1 << 20;
  if (width > kMost) beyond("a text of a large width");
  const std::string fill = arguments.positional.size() < 2 ? " " : text_argument("justify", taken[1]);
  if (num_characters(fill) != 1) raise("The fill character must be exactly one character long");
  const auto size = static_cast<std::int64_t>(num_characters(text));
  if (align == Align::kCenter && width > size && ((width - size) & width & 1) != 0) {
    // An odd margin is the wider one on the left.
    return Value::string(fill + padded(text, width - 1, fill, align));
  }
  return Value::string(padded(text, width, fill, align));
}

Value zfill_method(Text text, const Arguments& arguments) {
  const bool has_sign = !text.empty() && (text[0] == '+' || text[0] == '-');
  Arguments inner = arguments;
  const auto taken = take_positional("zfill", inner, 1, 1);
  inner.positional = {Value::integer(integer_argument(taken[0]) - (has_sign ? 1 : 0)), Value::string("0")};
  const Value digits = justify_method(has_sign ? text.substr(1) : text, inner, Align::kRight);
  return has_sign ? Value::string(text[0] + digits.text()) : digits;
}

Value lines_method(Text text, Arguments& arguments) {
  std::vector<Value> lines;
  const Value keep = take_arguments("splitlines", arguments, {"keepends"})[0];
  for (const std::string_view line : lines_of(text, !keep.is_undefined() && integer_argument(keep) != 0))
    lines.push_back(Value::string(std::string(line)));
  return Value::list(std::move(lines));
}

// --- asking

template <typename Is>
bool all_characters(Text text, Is is) {
  charge_work(text.size() / 2);
  for (std::size_t pos = 0; pos < text.size();) {
    if (!is(next_code_point(text, pos))) return false;
  }
  return true;
}

template <auto kIs>
Value asked(Text text, const Arguments& arguments) {
  take_positional("is...", arguments, 0, 0);
  return Value::boolean(!text.empty() && all_characters(text, kIs));
}

bool has_only_case(Text text, Case wanted) {
  bool has_any = false;
  const bool no_other = all_characters(text, [&](char32_t c) {
    const Case found = case_of(c);
    has_any |= found == wanted;
    return found == wanted || found == Case::kNone;
  });
  return has_any && no_other;
}

template <Case kWanted>
Value cased(Text text, const Arguments& arguments) {
  take_positional("is...", arguments, 0, 0);
  return Value::boolean(has_only_case(text, kWanted));
}

bool is_ascii(char32_t c) { return c < 0x80; }

template <auto kMap>
Value changed(Text text, const Arguments& arguments) {
  take_positional("a method of str", arguments, 0, 0);
  return Value::string(kMap(text));
}

using StringMethod = Value (*)(Text, Arguments&);

const std::map<std::string_view, StringMethod>& string_methods() {
  using A = Arguments&;
  static const std::map<std::string_view, StringMethod> kMethods = {
      {"strip", [](Text s, A a) { return strip_method(s, a, true, true); }},
      {"lstrip", [](Text s, A a) { return strip_method(s, a, true, false); }},
      {"rstrip", [](Text s, A a) { return strip_method(s, a, false, true); }},
      {"upper", [](Text s, A a) { return changed<upper>(s, a); }},
      {"lower", [](Text s, A a) { return changed<lower>(s, a); }},
      {"casefold", [](Text s, A a) { return changed<casefolded>(s, a); }},
      {"swapcase", [](Text s, A a) { return changed<swapped_case>(s, a); }},
      {"title", [](Text s, A a) { return changed<titled>(s, a); }},
      {"capitalize", [](Text s, A a) { return changed<capitalized>(s, a); }},
      {"split", [](Text s, A a) { return split_method(s, a, false); }},
      {"rsplit", [](Text s, A a) { return split_method(s, a, true); }},
      {"partition", [](Text s, A a) { return partition_method(s, a, false); }},
      {"rpartition", [](Text s, A a) { return partition_method(s, a, true); }},
      {"splitlines", lines_method},
      {"join", [](Text s, A a) { return join_method(s, a); }},
      {"format", [](Text s, A a) { return Value::string(format_braces(s, a)); }},
      {"find", [](Text s, A a) { return find_in(s, a, false, false); }},
      {"rfind", [](Text s, A a) { return find_in(s, a, true, false); }},
      {"index", [](Text s, A a) { return find_in(s, a, false, true); }},
      {"rindex", [](Text s, A a) { return find_in(s, a, true, true); }},
      {"count", [](Text s, A a) { return count_method(s, a); }},
      {"replace", [](Text s, A a) { return replace_method(s, a); }},
      {"startswith", [](Text s, A a) { return ends_method(s, a, true); }},
      {"endswith", [](Text s, A a) { return ends_method(s, a, false); }},
      {"removeprefix", [](Text s, A a) { return without_end(s, a, true); }},
      {"removesuffix", [](Text s, A a) { return without_end(s, a, false); }},
      {"center", [](Text s, A a) { return justify_method(s, a, Align::kCenter); }},
      {"ljust", [](Text s, A a) { return justify_method(s, a, Align::kLeft); }},
      {"rjust", [](Text s, A a) { return justify_method(s, a, Align::kRight); }},
      {"zfill", [](Text s, A a) { return zfill_method(s, a); }},
      {"isalpha", [](Text s, A a) { return asked<is_alpha>(s, a); }},
      {"isalnum", [](Text s, A a) { return asked<is_alnum>(s, a); }},
      {"isdecimal", [](Text s, A a) { return asked<is_decimal>(s, a); }},
      {"isdigit", [](Text s, A a) { return asked<is_digit>(s, a); }},
      {"isnumeric", [](Text s, A a) { return asked<is_numeric>(s, a); }},
      {"isspace", [](Text s, A a) { return asked<is_space>(s, a); }},
      {"isprintable",
       [](Text s, A a) { return Value::boolean(asked<is_printable>(s, a).truth() || s.empty()); }},
      {"isascii", [](Text s, A a) { return Value::boolean(asked<is_ascii>(s, a).truth() || s.empty()); }},
      {"isupper", [](Text s, A a) { return cased<Case::kUpper>(s, a); }},
      {"islower", [](Text s, A a) { return cased<Case::kLower>(s, a); }},
  };
  return kMethods;
}

/// What a method of a text marked safe gives: marked too. Its arguments would be escaped.
Value marked_safe(const Value& value, bool has_arguments) {
  if (!value.is_string() && !value.is_sequence()) return value;
  if (has_arguments) beyond("methods of a text marked safe");
  if (value.is_string()) return Value::safe_string(value.text());
  std::vector<Value> items;
  for (const Value& item : value.items())
    items.push_back(marked_safe(item, false));
  return Value::list(std::move(items));
}

}  // namespace

Value find_string_method(const Value& object, const std::string& name) {
  const auto it = string_methods().find(name);
  if (it == string_methods().end()) {
    for (const std::string_view other :
         {"encode", "expandtabs", "format_map", "isidentifier", "istitle", "maketrans", "translate"}) {
      if (name == other) beyond(fmt::format("the method {} of strings", name));
    }
    return {};
  }
  if (object.is_safe()) {
    return Value::function([object, method = it->second](Arguments& arguments) {
      const bool has_arguments = !arguments.positional.empty() || !arguments.named.empty();
      return marked_safe(method(object.text(), arguments), has_arguments);
    });
  }
  return Value::function(
      [object, method = it->second](Arguments& arguments) { return method(object.text(), arguments); });
}

}  // namespace llm2mnn::jinja
