// The tree form of a JSON document.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/json.h"

namespace llm2mnn {
namespace {

// 35 MB of values: config.json and its like have a few thousand.
constexpr std::size_t kMaxTreeValues = 400'000;

// A JSON number as (-1)^negative * digits * 10^exponent, without leading or trailing zeros; zero has no
// digits.
struct Decimal {
  bool negative = false;
  std::string digits;
  std::int64_t exponent = 0;
  friend bool operator==(const Decimal&, const Decimal&) = default;
};

Decimal decimal_of(std::string_view text) {
  // Far beyond any exponent that a value can use, and safe to add to.
  constexpr std::int64_t kFarExponent = 1'000'000'000'000;
  Decimal out;
  std::size_t i = 0;
  if (i < text.size() && text[i] == '-') {
    out.negative = true;
    ++i;
  }
  bool fraction = false;
  for (; i < text.size() && text[i] != 'e' && text[i] != 'E'; ++i) {
    if (text[i] == '.') {
      fraction = true;
      continue;
    }
    if (fraction) --out.exponent;
    if (!out.digits.empty() || text[i] != '0') out.digits += text[i];
  }
  if (i < text.size()) {
    ++i;
    const bool minus = text[i] == '-';
    if (text[i] == '-' || text[i] == '+') ++i;
    std::int64_t exponent = 0;
    for (; i < text.size(); ++i)
      exponent = std::min(kFarExponent, exponent * 10 + (text[i] - '0'));
    out.exponent += minus ? -exponent : exponent;
  }
  while (!out.digits.empty() && out.digits.back() == '0') {
    out.digits.pop_back();
    ++out.exponent;
  }
  if (out.digits.empty()) return {};
  return out;
}

std::optional<std::int64_t> int64_of(const Decimal& number) {
  constexpr std::int64_t kMaxDigits = 19;  // of an int64
  if (number.digits.empty()) return 0;
  const auto num_digits = static_cast<std::int64_t>(number.digits.size());
  if (number.exponent < 0 || number.exponent > kMaxDigits || num_digits + number.exponent > kMaxDigits) {
    return std::nullopt;
  }
  const std::string text = (number.negative ? "-" : "") + number.digits +
                           std::string(static_cast<std::size_t>(number.exponent), '0');
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view kind_name(JsonValue::Kind kind) {
  switch (kind) {
    case JsonValue::Kind::kNull:
      return "null";
    case JsonValue::Kind::kBool:
      return "true or false";
    case JsonValue::Kind::kNumber:
      return "a number";
    case JsonValue::Kind::kString:
      return "a string";
    case JsonValue::Kind::kArray:
      return "an array";
    case JsonValue::Kind::kObject:
      return "an object";
  }
  return "";
}

[[noreturn]] void fail_kind(JsonValue::Kind expected, const JsonValue& found) {
  const bool is_short = found.is_bool() || found.is_number() || found.is_string();
  if (is_short) {
    fail(ErrorKind::kFormat, "expected {}, found {} {}", kind_name(expected), kind_name(found.kind()),
         shown(found.is_string() ? found.as_string() : std::string_view(found.dump()), 40));
  }
  fail(ErrorKind::kFormat, "expected {}, found {}", kind_name(expected), kind_name(found.kind()));
}

void append_quoted(std::string_view text, std::string& out) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}

void append_dump(const JsonValue& value, std::string& out);

void append_array(const JsonValue::Array& array, std::string& out) {
  out += '[';
  for (const JsonValue& item : array) {
    if (&item != array.data()) out += ',';
    append_dump(item, out);
  }
  out += ']';
}

void append_object(const JsonValue::Object& object, std::string& out) {
  out += '{';
  for (const auto& member : object) {
    if (&member != object.data()) out += ',';
    append_quoted(member.first, out);
    out += ':';
    append_dump(member.second, out);
  }
  out += '}';
}

void append_dump(const JsonValue& value, std::string& out) {
  switch (value.kind()) {
    case JsonValue::Kind::kNull:
      out += "null";
      return;
    case JsonValue::Kind::kBool:
      out += value.as_bool() ? "true" : "false";
      return;
    case JsonValue::Kind::kNumber:
      out += value.number_text();
      return;
    case JsonValue::Kind::kString:
      append_quoted(value.as_string(), out);
      return;
    case JsonValue::Kind::kArray:
      append_array(value.as_array(), out);
      return;
    case JsonValue::Kind::kObject:
      append_object(value.as_object(), out);
      return;
  }
}

// Two keys of one object that are the same, or null.
const std::string* duplicate_key(const JsonValue::Object& members) {
  std::vector<const std::string*> keys;
  keys.reserve(members.size());
  for (const auto& member : members)
    keys.push_back(&member.first);
  std::sort(keys.begin(), keys.end(), [](const auto* a, const auto* b) { return *a < *b; });
  const auto same =
      std::adjacent_find(keys.begin(), keys.end(), [](const auto* a, const auto* b) { return *a == *b; });
  return same == keys.end() ? nullptr : *same;
}

class TreeHandler : public JsonHandler {
 public:
  void on_null() override { tree_.add({}); }
  void on_bool(bool value) override { tree_.add(JsonValue::make_bool(value)); }
  void on_number(std::string_view text) override { tree_.add(JsonValue::make_number(std::string(text))); }
  void on_string(std::string_view text) override { tree_.add(JsonValue::make_string(std::string(text))); }
  void on_key(std::string_view key) override { tree_.key(key); }
  void on_begin_object() override { tree_.begin(true); }
  void on_begin_array() override { tree_.begin(false); }
  void on_end_object() override { tree_.end(); }
  void on_end_array() override { tree_.end(); }

  JsonValue take() { return tree_.take(); }

 private:
  JsonTreeBuilder tree_{kMaxTreeValues};
};

}  // namespace

void JsonTreeBuilder::begin(bool is_object) { open_.emplace_back().is_object = is_object; }

void JsonTreeBuilder::add(JsonValue value) {
  if (++num_values_ > max_values_) {
    fail(ErrorKind::kFormat, "more than {} JSON values, the limit for a file or part of this kind",
         max_values_);
  }
  if (open_.empty()) {
    root_ = std::move(value);
    return;
  }
  Open& parent = open_.back();
  if (parent.is_object) {
    parent.members.emplace_back(std::move(parent.key), std::move(value));
  } else {
    parent.items.push_back(std::move(value));
  }
}

void JsonTreeBuilder::end() {
  Open done = std::move(open_.back());
  open_.pop_back();
  if (!done.is_object) return add(JsonValue::make_array(std::move(done.items)));
  if (const std::string* key = duplicate_key(done.members)) {
    fail(ErrorKind::kFormat, "the key {} appears twice in one JSON object", shown(*key));
  }
  add(JsonValue::make_object(std::move(done.members)));
}

JsonValue JsonTreeBuilder::take() {
  num_values_ = 0;
  return std::exchange(root_, {});
}

JsonValue JsonValue::make_bool(bool value) {
  JsonValue out;
  out.kind_ = Kind::kBool;
  out.bool_ = value;
  return out;
}

JsonValue JsonValue::make_number(std::string text) {
  JsonValue out;
  out.kind_ = Kind::kNumber;
  out.text_ = std::move(text);
  return out;
}

JsonValue JsonValue::make_string(std::string text) {
  JsonValue out;
  out.kind_ = Kind::kString;
  out.text_ = std::move(text);
  return out;
}

JsonValue JsonValue::make_array(Array items) {
  JsonValue out;
  out.kind_ = Kind::kArray;
  out.array_ = std::move(items);
  return out;
}

JsonValue JsonValue::make_object(Object members) {
  JsonValue out;
  out.kind_ = Kind::kObject;
  out.object_ = std::move(members);
  return out;
}

bool JsonValue::as_bool() const {
  if (!is_bool()) fail_kind(Kind::kBool, *this);
  return bool_;
}

std::string_view JsonValue::as_string() const {
  if (!is_string()) fail_kind(Kind::kString, *this);
  return text_;
}

std::string_view JsonValue::number_text() const {
  if (!is_number()) fail_kind(Kind::kNumber, *this);
  return text_;
}

std::int64_t JsonValue::as_int64() const {
  const std::optional<std::int64_t> value = int64_of(decimal_of(number_text()));
  if (!value) fail(ErrorKind::kFormat, "expected a 64-bit integer, found {}", shown(text_, 40));
  return *value;
}

double JsonValue::as_double() const {
  const std::string_view text = number_text();
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && std::isfinite(value)) return value;
  // from_chars says "out of range" for both ends: below the smallest double is a zero, not an error.
  const Decimal number = decimal_of(text);
  if (static_cast<std::int64_t>(number.digits.size()) + number.exponent < 0)
    return number.negative ? -0.0 : 0.0;
  fail(ErrorKind::kFormat, "expected a finite number, found {}", shown(text, 40));
}

const JsonValue::Array& JsonValue::as_array() const {
  if (!is_array()) fail_kind(Kind::kArray, *this);
  return array_;
}

const JsonValue::Object& JsonValue::as_object() const {
  if (!is_object()) fail_kind(Kind::kObject, *this);
  return object_;
}

const JsonValue* JsonValue::find(std::string_view key) const {
  for (const auto& [name, value] : object_) {
    if (name == key) return &value;
  }
  return nullptr;
}

std::string JsonValue::dump() const {
  std::string out;
  append_dump(*this, out);
  return out;
}

bool operator==(const JsonValue& a, const JsonValue& b) {
  if (a.kind_ != b.kind_) return false;
  if (a.is_number()) return decimal_of(a.text_) == decimal_of(b.text_);
  if (!a.is_object()) return a.bool_ == b.bool_ && a.text_ == b.text_ && a.array_ == b.array_;
  // Keys are unique, so equal sizes and every member found make equal sets.
  if (a.object_.size() != b.object_.size()) return false;
  return std::all_of(a.object_.begin(), a.object_.end(), [&](const auto& member) {
    const JsonValue* other = b.find(member.first);
    return other != nullptr && member.second == *other;
  });
}

JsonValue parse_json(std::string_view text, const JsonLimits& limits) {
  TreeHandler tree;
  parse_json_events(text, tree, limits);
  return tree.take();
}

JsonValue load_json(const std::filesystem::path& path, const JsonLimits& limits) {
  TreeHandler tree;
  load_json_events(path, tree, limits);
  return tree.take();
}

}  // namespace llm2mnn
