#pragma once
// The values that templates compute with: those of Python, as far as templates can see them.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/utf8.h"

namespace llm2mnn::jinja {

class Value;

/// What Python would raise, or the template itself by raise_exception.
struct TemplateError {
  std::string message;
};
[[noreturn]] void raise(std::string message);
/// Ends the rendering where Python would go on: what it gives is not known here.
/// @throws Error kUnsupported, which names `what`.
[[noreturn]] void beyond(std::string_view what);

/// Arguments of a call.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

/// A dict: keys in order of insertion, found by search (templates have small ones).
struct Dict {
  std::vector<std::pair<Value, Value>> entries;
  const Value* find(const Value& key) const;
  void set(const Value& key, Value value);
};

using Function = std::function<Value(Arguments&)>;

/// Copies share lists and dicts, as in Python.
class Value {
 public:
  enum class Kind : std::uint8_t {
    kUndefined,
    kNone,
    kBool,
    kInteger,
    kFloat,
    kString,
    kList,
    kTuple,
    kGenerator,  ///< what map, select and their kin give: true, and empty once it was iterated
    kRange,
    kView,  ///< what keys(), values() and items() of a dict give
    kDict,
    kNamespace,
    kObject,  ///< of Jinja's own: a loop, a cycler
    kFunction,
  };

  Value() = default;  ///< undefined, without a name
  /// `what` is the message of the error that using it raises.
  static Value undefined(std::string what);
  static Value none();
  static Value boolean(bool value);
  static Value integer(std::int64_t value);
  static Value real(double value);
  static Value string(std::string text);
  /// What the filters `safe` and `escape` give: a string that escapes what is added to it.
  static Value safe_string(std::string text);
  static Value list(std::vector<Value> items);
  static Value tuple(std::vector<Value> items);
  /// An item of `groupby`: a tuple whose members are called grouper and list too.
  static Value group(Value grouper, Value list);
  /// @param error  what Python raises behind the items; empty: nothing.
  static Value generator(std::vector<Value> items, std::string error = {});
  /// @param text  as it prints; empty for a part of a range, which is not printed.
  static Value range(std::vector<Value> items, std::string text);
  /// @param type  "dict_keys", "dict_values" or "dict_items".
  static Value view(std::string type, std::vector<Value> items);
  static Value dict();
  static Value name_space();
  static Value object();
  static Value function(Function function);
  static Value from_json(const JsonValue& json);

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_undefined() const { return kind_ == Kind::kUndefined; }
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_safe() const { return is_special_ && kind_ == Kind::kString; }
  bool is_group() const { return is_special_ && kind_ == Kind::kTuple; }
  bool is_sequence() const { return kind_ == Kind::kList || kind_ == Kind::kTuple; }
  /// What has an order and a number of items that can be read by index.
  bool is_indexed() const { return is_sequence() || kind_ == Kind::kRange; }
  /// bool, int or float.
  bool is_number() const { return kind_ >= Kind::kBool && kind_ <= Kind::kFloat; }

  bool truth() const;
  std::int64_t as_integer() const { return integer_; }  ///< of a bool too
  double as_real() const { return kind_ == Kind::kFloat ? real_ : static_cast<double>(integer_); }
  /// Of a string; of undefined: the message; of a range or a view: see there.
  const std::string& text() const { return *text_; }
  /// Of a generator: raises where its items end with an error.
  void check_end() const;
  std::vector<Value>& items() const { return *items_; }
  Dict& entries() const { return *dict_; }  ///< of a dict, a namespace or an object
  const Function& callee() const { return *function_; }

  /// Of undefined: whether it was made with a message.
  bool has_reason() const { return text_ != nullptr; }
  /// Python's name of the type: "str", "NoneType", ...
  std::string_view type_name() const;
  /// Raises when this is undefined.
  void check_defined() const;
  /// Python's `==`.
  friend bool operator==(const Value& a, const Value& b);
  /// Whether both are one object (lists, dicts) or equal scalars of one type.
  bool same_as(const Value& other) const;

 private:
  Kind kind_ = Kind::kUndefined;
  bool is_special_ = false;  // safe, or a group
  std::int64_t integer_ = 0;
  double real_ = 0;
  std::shared_ptr<const std::string> text_;
  // Made by `make_flat`: chains of any length end without recursion.
  std::shared_ptr<std::vector<Value>> items_;
  std::shared_ptr<Dict> dict_;
  std::shared_ptr<const Function> function_;
};

/// Raises unless the value may be a key of a dict.
void check_hashable(const Value& value);
/// Python's `<`. Raises for types that have no order.
bool less_than(const Value& a, const Value& b, std::string_view op = "<");
/// The items that a loop sees. Raises for what is not iterable.
std::vector<Value> iterate(const Value& value);

/// `text` with & < > " ' as HTML writes them.
std::string html_escaped(const std::string& text);
/// Python's str() and repr().
std::string to_text(const Value& value);
std::string to_repr(const Value& value);
/// json.dumps with ensure_ascii=False.
struct JsonFormat {
  std::optional<std::string> indent;  ///< of one level; none: all in one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool sort_keys = false;
  bool ensure_ascii = false;  ///< characters beyond ASCII become escapes
};
std::string to_json(const Value& value, const JsonFormat& format);

/// Characters of valid UTF-8 as strings of their own.
std::vector<std::string_view> characters(std::string_view text);
std::size_t num_characters(std::string_view text);

}  // namespace llm2mnn::jinja
