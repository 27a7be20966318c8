#include "jinja/runtime_value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

namespace llm2mnn::jinja::runtime {
namespace {

constexpr int kMaxDepth = 200;
constexpr std::string_view kUndefinedMark = "__jinja_undefined__";

template <typename Number>
bool read_whole(std::string_view text, Number& number) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
  return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

int sign_of(double a, double b) { return a < b ? -1 : a > b ? 1 : 0; }

}  // namespace

Value Value::of_bool(bool value) {
  Value made;
  made.kind_ = value ? Kind::kTrue : Kind::kFalse;
  return made;
}

Value Value::of_int(std::int64_t value) {
  Value made;
  made.kind_ = Kind::kNumber;
  made.number_ = value;
  return made;
}

Value Value::of_real(double value) {
  Value made;
  made.kind_ = Kind::kNumber;
  made.number_ = value;
  return made;
}

Value Value::of_text(std::string text) {
  Value made;
  made.kind_ = Kind::kString;
  made.text_ = std::make_shared<const std::string>(std::move(text));
  return made;
}

Value Value::of_array(Array items) {
  Value made;
  made.kind_ = Kind::kArray;
  for (const auto& item : items)
    made.depth_ = std::max(made.depth_, item.depth_ + 1);
  if (made.depth_ > kMaxDepth) throw Halt{};
  made.items_ = std::make_shared<const Array>(std::move(items));
  return made;
}

Value Value::of_object(Object members) {
  Value made;
  made.kind_ = Kind::kObject;
  for (const auto& [key, member] : members)
    made.depth_ = std::max(made.depth_, member.depth_ + 1);
  if (made.depth_ > kMaxDepth) throw Halt{};
  made.members_ = std::make_shared<const Object>(std::move(members));
  return made;
}

Value Value::of_json(const JsonValue& json) {
  switch (json.kind()) {
    case JsonValue::Kind::kNull:
      return {};
    case JsonValue::Kind::kBool:
      return of_bool(json.as_bool());
    case JsonValue::Kind::kString:
      return of_text(std::string(json.as_string()));
    case JsonValue::Kind::kNumber: {
      Value made = of_int(0);
      std::int64_t whole = 0;
      std::uint64_t large = 0;
      double real = 0;
      if (read_whole(json.number_text(), whole))
        made.number_ = whole;
      else if (read_whole(json.number_text(), large))
        made.number_ = large;
      else
        made.number_ = read_whole(json.number_text(), real) ? real : 0.0;
      return made;
    }
    case JsonValue::Kind::kArray: {
      Array items;
      for (const auto& item : json.as_array())
        items.push_back(of_json(item));
      return of_array(std::move(items));
    }
    case JsonValue::Kind::kObject: {
      Object members;
      for (const auto& [key, member] : json.as_object())
        members.emplace_back(key, of_json(member));
      return of_object(std::move(members));
    }
  }
  return {};
}

Value Value::undefined() {
  static const Value kUndefined = of_object({{std::string(kUndefinedMark), of_bool(true)}});
  return kUndefined;
}

bool Value::is_undefined() const { return find(kUndefinedMark) != nullptr; }

bool Value::is_truthy() const {
  switch (kind_) {
    case Kind::kNull:
    case Kind::kFalse:
      return false;
    case Kind::kTrue:
      return true;
    case Kind::kString:
      return !text_->empty();
    case Kind::kNumber:
      return std::visit([](auto number) { return number != 0; }, number_);
    case Kind::kArray:
      return !items_->empty();
    case Kind::kObject:
      return !members_->empty() && !is_undefined();
  }
  return true;
}

std::int64_t Value::to_int() const {
  if (!is_number()) return 0;
  if (const auto* real = std::get_if<double>(&number_))
    return std::abs(*real) < 9e18 ? static_cast<std::int64_t>(*real) : 0;
  return std::visit([](auto number) { return static_cast<std::int64_t>(number); }, number_);
}

double Value::to_real() const {
  return is_number() ? std::visit([](auto number) { return static_cast<double>(number); }, number_) : 0.0;
}

const std::string& Value::text() const {
  static const std::string kNone;
  return text_ ? *text_ : kNone;
}

const Value::Array& Value::items() const {
  static const Array kNone;
  return items_ ? *items_ : kNone;
}

const Value::Object& Value::members() const {
  static const Object kNone;
  return members_ ? *members_ : kNone;
}

std::size_t Value::size() const { return items().size() + members().size(); }

const Value* Value::find(std::string_view key) const {
  const auto found = std::ranges::find(members(), key, &Object::value_type::first);
  return found == members().end() ? nullptr : &found->second;
}

Value Value::with_member(std::string_view key, Value value) const {
  Object changed = members();
  const auto found = std::ranges::find(changed, key, &Object::value_type::first);
  if (found == changed.end())
    changed.emplace_back(key, std::move(value));
  else
    found->second = std::move(value);
  return of_object(std::move(changed));
}

int compare(const Value& a, const Value& b) {
  if (a.kind_ != b.kind_) return a.kind_ < b.kind_ ? -1 : 1;
  switch (a.kind_) {
    case Value::Kind::kNumber:
      if (a.is_real() || b.is_real()) return sign_of(a.to_real(), b.to_real());
      return a.to_int() < b.to_int() ? -1 : a.to_int() > b.to_int() ? 1 : 0;
    case Value::Kind::kString:
      return std::strcmp(a.text().c_str(), b.text().c_str());  // ends at a NUL, as the engine does
    case Value::Kind::kObject:
    case Value::Kind::kArray:
      if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
      for (std::size_t i = 0; i < a.items().size(); ++i)
        if (const int order = compare(a.items()[i], b.items()[i]); order != 0) return order;
      return 0;
    default:
      return 0;
  }
}

}  // namespace llm2mnn::jinja::runtime
