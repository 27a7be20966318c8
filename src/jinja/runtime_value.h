#pragma once
// Values of the model of MNN's chat-template engine: JSON as that engine's document library keeps it.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"

namespace llm2mnn::jinja::runtime {

/// The rendering ended early: too much work, too deep a nesting, or a template on which the runtime hangs.
struct Halt {};

/// Immutable, cheap to copy. Kinds stand in the order in which the engine compares values of unlike kinds.
class Value {
 public:
  enum class Kind : std::uint8_t { kNull, kFalse, kTrue, kObject, kArray, kString, kNumber };
  using Array = std::vector<Value>;
  using Object = std::vector<std::pair<std::string, Value>>;

  Value() = default;
  static Value of_bool(bool value);
  static Value of_int(std::int64_t value);
  static Value of_size(std::size_t value) { return of_int(static_cast<std::int64_t>(value)); }
  static Value of_real(double value);
  static Value of_text(std::string text);
  /// @throws Halt beyond a depth of 200.
  static Value of_array(Array items);
  static Value of_object(Object members);
  static Value of_json(const JsonValue& json);
  /// What an unknown name gives: an object with a mark.
  static Value undefined();

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::kNull; }
  bool is_bool() const { return kind_ == Kind::kFalse || kind_ == Kind::kTrue; }
  bool is_object() const { return kind_ == Kind::kObject; }
  bool is_array() const { return kind_ == Kind::kArray; }
  bool is_text() const { return kind_ == Kind::kString; }
  bool is_number() const { return kind_ == Kind::kNumber; }
  bool is_int() const { return is_number() && std::holds_alternative<std::int64_t>(number_); }
  bool is_real() const { return is_number() && std::holds_alternative<double>(number_); }
  bool is_undefined() const;
  bool is_truthy() const;

  /// Zero, empty or false for a value of another kind.
  std::int64_t to_int() const;
  double to_real() const;
  const std::string& text() const;
  const Array& items() const;
  const Object& members() const;
  /// Items or members, 0 for the others.
  std::size_t size() const;
  const Value* find(std::string_view key) const;
  /// This object (or a new one, where this is no object) with `key` set; the order is kept.
  Value with_member(std::string_view key, Value value) const;

  /// Negative, 0 or positive. Objects compare by their sizes.
  friend int compare(const Value& a, const Value& b);

 private:
  Kind kind_ = Kind::kNull;
  int depth_ = 0;
  std::variant<std::int64_t, std::uint64_t, double> number_;
  std::shared_ptr<const std::string> text_;
  std::shared_ptr<const Array> items_;
  std::shared_ptr<const Object> members_;
};

int compare(const Value& a, const Value& b);

/// Compact JSON, members in their order: what `{{ value }}` prints.
std::string compact_json(const Value& value);
/// What `tojson` gives; `indent` < 0: one line with blanks behind commas and colons.
std::string ordered_json(const Value& value, int indent);
/// What `string` and `~` give.
std::string python_text(const Value& value);

}  // namespace llm2mnn::jinja::runtime
