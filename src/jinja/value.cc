#include "jinja/value.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "jinja/work_meter.h"

namespace llm2mnn::jinja {

namespace {
using Kind = Value::Kind;
constexpr int kMaxCompareDepth = 200;
constexpr std::size_t kCompareCost = 16;
constexpr std::size_t kObjectCost = 128;  // of a list or a string itself
// A list's items are often copied once more by whoever made it.
constexpr std::size_t kItemCost = 2 * sizeof(Value);

/// An object that waits for its end.
struct Buried {
  Buried* next = nullptr;
  void (*destroy)(Buried*) = nullptr;
};

template <typename T>
struct Grave : Buried {
  explicit Grave(T&& object) : value(std::move(object)) {
    destroy = [](Buried* self) { delete static_cast<Grave*>(self); };
  }
  T value;
};

// Without destructors of their own: values that outlive the thread's other objects may still end.
thread_local Buried* waiting = nullptr;
thread_local bool is_burying = false;

/// Ends an object; what it held in turn ends after it, not within it.
void bury(Buried* grave) {
  grave->next = std::exchange(waiting, grave);
  if (is_burying) return;
  is_burying = true;
  while (waiting != nullptr) {
    Buried* const first = std::exchange(waiting, waiting->next);
    first->destroy(first);
  }
  is_burying = false;
}

template <typename T>
std::shared_ptr<T> make_flat(T object) {
  auto* const grave = new Grave<T>(std::move(object));
  const std::shared_ptr<Grave<T>> owner(grave, [](Grave<T>* ended) { bury(ended); });
  return std::shared_ptr<T>(owner, &grave->value);
}

bool equal(const Value& a, const Value& b, int depth) {
  if (depth > kMaxCompareDepth) beyond("a comparison of deep values");
  charge_work(kCompareCost);
  if (a.is_number() && b.is_number()) {
    if (a.is(Kind::kFloat) || b.is(Kind::kFloat)) return a.as_real() == b.as_real();
    return a.as_integer() == b.as_integer();
  }
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kString:
      if (a.text().size() != b.text().size()) return false;
      charge_search(a.text().size(), 0);
      return a.text() == b.text();
    case Kind::kView:
      if (!a.same_as(b)) beyond("the equality of views of dicts");
      return true;
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange:
      return std::equal(a.items().begin(), a.items().end(), b.items().begin(), b.items().end(),
                        [&](const Value& x, const Value& y) { return equal(x, y, depth + 1); });
    case Kind::kDict: {
      const Dict& other = b.entries();
      return a.entries().entries.size() == other.entries.size() &&
             std::all_of(a.entries().entries.begin(), a.entries().entries.end(), [&](const auto& entry) {
               const Value* value = other.find(entry.first);
               return value != nullptr && equal(entry.second, *value, depth + 1);
             });
    }
    default:
      return a.same_as(b);
  }
}

}  // namespace

void raise(std::string message) { throw TemplateError{std::move(message)}; }

void beyond(std::string_view what) {
  fail(ErrorKind::kUnsupported, "the chat template uses {}, which is not supported", what);
}

const Value* Dict::find(const Value& key) const {
  const auto it =
      std::find_if(entries.begin(), entries.end(), [&](const auto& entry) { return entry.first == key; });
  return it == entries.end() ? nullptr : &it->second;
}

void Dict::set(const Value& key, Value value) {
  const auto it =
      std::find_if(entries.begin(), entries.end(), [&](const auto& entry) { return entry.first == key; });
  if (it == entries.end()) {
    entries.emplace_back(key, std::move(value));
  } else {
    it->second = std::move(value);
  }
}

Value Value::undefined(std::string what) {
  Value value;
  value.text_ = std::make_shared<const std::string>(std::move(what));
  return value;
}

Value Value::none() {
  Value value;
  value.kind_ = Kind::kNone;
  return value;
}

Value Value::boolean(bool flag) {
  Value value;
  value.kind_ = Kind::kBool;
  value.integer_ = flag ? 1 : 0;
  return value;
}

Value Value::integer(std::int64_t number) {
  Value value;
  value.kind_ = Kind::kInteger;
  value.integer_ = number;
  return value;
}

Value Value::real(double number) {
  Value value;
  value.kind_ = Kind::kFloat;
  value.real_ = number;
  return value;
}

Value Value::string(std::string text) {
  charge_work(kObjectCost + text.size() / 2);  // its own time is short
  Value value;
  value.kind_ = Kind::kString;
  value.text_ = std::make_shared<const std::string>(std::move(text));
  return value;
}

Value Value::safe_string(std::string text) {
  Value value = string(std::move(text));
  value.is_special_ = true;
  return value;
}

Value Value::list(std::vector<Value> items) {
  charge_work(kObjectCost + items.size() * kItemCost);
  Value value;
  value.kind_ = Kind::kList;
  value.items_ = make_flat(std::move(items));
  return value;
}

Value Value::tuple(std::vector<Value> items) {
  Value value = list(std::move(items));
  value.kind_ = Kind::kTuple;
  return value;
}

Value Value::group(Value grouper, Value list) {
  Value value = tuple({std::move(grouper), std::move(list)});
  value.is_special_ = true;
  return value;
}

Value Value::range(std::vector<Value> items, std::string text) {
  Value value = list(std::move(items));
  value.kind_ = Kind::kRange;
  value.text_ = std::make_shared<const std::string>(std::move(text));
  return value;
}

Value Value::view(std::string type, std::vector<Value> items) {
  Value value = range(std::move(items), std::move(type));
  value.kind_ = Kind::kView;
  return value;
}

Value Value::generator(std::vector<Value> items, std::string error) {
  Value value = list(std::move(items));
  value.kind_ = Kind::kGenerator;
  if (!error.empty()) value.text_ = std::make_shared<const std::string>(std::move(error));
  return value;
}

Value Value::dict() {
  charge_work(kObjectCost);
  Value value;
  value.kind_ = Kind::kDict;
  value.dict_ = make_flat(Dict{});
  return value;
}

Value Value::name_space() {
  Value value = dict();
  value.kind_ = Kind::kNamespace;
  return value;
}

Value Value::object() {
  Value value = dict();
  value.kind_ = Kind::kObject;
  return value;
}

Value Value::function(Function function) {
  Value value;
  value.kind_ = Kind::kFunction;
  value.function_ = make_flat(std::move(function));
  return value;
}

Value Value::from_json(const JsonValue& json) {
  switch (json.kind()) {
    case JsonValue::Kind::kNull:
      return none();
    case JsonValue::Kind::kBool:
      return boolean(json.as_bool());
    case JsonValue::Kind::kString:
      return string(std::string(json.as_string()));
    case JsonValue::Kind::kNumber: {
      const std::string_view text = json.number_text();
      if (text.find_first_of(".eE") != std::string_view::npos) return real(json.as_double());
      return integer(json.as_int64());
    }
    case JsonValue::Kind::kArray: {
      std::vector<Value> items;
      for (const JsonValue& item : json.as_array())
        items.push_back(from_json(item));
      return list(std::move(items));
    }
    case JsonValue::Kind::kObject:
      break;
  }
  Value value = dict();
  for (const auto& [key, member] : json.as_object())
    value.entries().entries.emplace_back(string(key), from_json(member));
  return value;
}

bool Value::truth() const {
  switch (kind_) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInteger:
      return integer_ != 0;
    case Kind::kFloat:
      return real_ != 0;
    case Kind::kString:
      return !text_->empty();
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange:
    case Kind::kView:
      return !items_->empty();
    case Kind::kDict:
      return !dict_->entries.empty();
    default:
      return true;
  }
}

std::string_view Value::type_name() const {
  switch (kind_) {
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInteger:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return "str";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return "tuple";
    case Kind::kGenerator:
      return "generator";
    case Kind::kDict:
      return "dict";
    case Kind::kRange:
      return "range";
    case Kind::kView:
      return *text_;
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kObject:
      return "object";
    case Kind::kFunction:
      return "function";
  }
  return "object";
}

void Value::check_end() const {
  if (text_ != nullptr) raise(*text_);
}

void Value::check_defined() const {
  if (is_undefined()) raise(text_ == nullptr ? "value is undefined" : *text_);
}

bool operator==(const Value& a, const Value& b) { return equal(a, b, 0); }

bool Value::same_as(const Value& other) const {
  if (kind_ != other.kind_) return false;
  switch (kind_) {
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kGenerator:
    case Kind::kRange:
    case Kind::kView:
      return items_ == other.items_;
    case Kind::kDict:
    case Kind::kNamespace:
    case Kind::kObject:
      return dict_ == other.dict_;
    case Kind::kFunction:
      return function_ == other.function_;
    default:
      return *this == other;
  }
}

void check_hashable(const Value& value) {
  if (value.is(Kind::kTuple)) {
    for (const Value& item : value.items())
      check_hashable(item);
  }
  const bool is_one = value.is(Kind::kList) || value.is(Kind::kDict) || value.is(Kind::kView);
  if (is_one && !(value.is(Kind::kView) && value.text() == "dict_values"))
    raise(fmt::format("unhashable type: '{}'", value.type_name()));
}

bool less_than(const Value& a, const Value& b, std::string_view op) {
  a.check_defined();
  b.check_defined();
  charge_work(kCompareCost);
  if (a.is_number() && b.is_number()) {
    if (a.is(Kind::kFloat) || b.is(Kind::kFloat)) return a.as_real() < b.as_real();
    return a.as_integer() < b.as_integer();
  }
  if (a.is_string() && b.is_string()) {
    charge_search(std::min(a.text().size(), b.text().size()), 0);
    return a.text() < b.text();  // bytes of UTF-8 sort as code points
  }
  if (a.kind() == b.kind() && a.is_sequence()) {
    const auto [x, y] = std::mismatch(a.items().begin(), a.items().end(), b.items().begin(), b.items().end());
    if (x == a.items().end() || y == b.items().end()) return a.items().size() < b.items().size();
    return less_than(*x, *y, op);
  }
  raise(
      fmt::format("'{}' not supported between instances of '{}' and '{}'", op, a.type_name(), b.type_name()));
}

std::vector<Value> iterate(const Value& value) {
  std::vector<Value> items;
  switch (value.kind()) {
    case Kind::kUndefined:
      break;
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange:
    case Kind::kView:
      charge_work(value.items().size() * kItemCost);
      return value.items();
    case Kind::kGenerator:
      value.check_end();
      return std::exchange(value.items(), {});
    case Kind::kDict:
      charge_work(value.entries().entries.size() * kItemCost);
      for (const auto& [key, member] : value.entries().entries)
        items.push_back(key);
      break;
    case Kind::kString:
      for (const std::string_view c : characters(value.text())) {
        charge_work(kItemCost);
        items.push_back(Value::string(std::string(c)));
      }
      break;
    default:
      raise(fmt::format("'{}' object is not iterable", value.type_name()));
  }
  return items;
}

std::vector<std::string_view> characters(std::string_view text) {
  charge_work(text.size() * sizeof(std::string_view));
  std::vector<std::string_view> out;
  for (std::size_t pos = 0; pos < text.size();) {
    std::size_t end = pos + 1;
    while (end < text.size() && continues_character(text[end]))
      ++end;
    out.push_back(text.substr(pos, end - pos));
    pos = end;
  }
  return out;
}

std::size_t num_characters(std::string_view text) {
  charge_work(text.size() / 2);
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !continues_character(c); }));
}

}  // namespace llm2mnn::jinja
