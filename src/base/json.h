#pragma once
// The one JSON reader: strict UTF-8, depth-limited, duplicate keys refused, numbers kept as text until
// somebody reads them (a `model_max_length` of 1e30 that nobody needs must not fail). Built on simdjson
// On-Demand.
//
// Small documents (config.json, index files) become a JsonValue tree. Large ones (tokenizer.json, safetensors
// headers) are read as events, so that no tree of the whole document is ever held.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace llm2mnn {

/// Receives a document in order. Views are valid during the call only. A handler rejects a document by
/// throwing Error(kFormat).
class JsonHandler {
 public:
  virtual ~JsonHandler() = default;
  virtual void on_null() {}
  virtual void on_bool(bool) {}
  /// The number's own text, already checked to be a JSON number.
  virtual void on_number(std::string_view) {}
  virtual void on_string(std::string_view) {}
  virtual void on_key(std::string_view) {}
  virtual void on_begin_object() {}
  virtual void on_end_object() {}
  virtual void on_begin_array() {}
  virtual void on_end_array() {}
};

struct JsonLimits {
  std::uint64_t max_bytes = 16u << 20;  ///< of the document
  int max_depth = 64;                   ///< nesting of arrays and objects
  /// Characters `[ ] { } : ,` outside of strings plus strings, numbers and words. simdjson's index takes 4
  /// bytes for each: 32 MiB here. A tokenizer of 262,000 tokens and 515,000 merges has 5 million.
  std::uint64_t max_tokens = 8u << 20;
};

/// Whether `text` is strict UTF-8 (no overlong forms, no surrogates).
bool is_utf8(std::string_view text);

/// Bytes to parse, with the spare bytes behind them that simdjson reads; saves a copy of a large document.
class JsonBuffer {
 public:
  explicit JsonBuffer(std::size_t num_bytes);
  /// To be filled by the caller.
  std::span<std::byte> bytes();
  std::string_view text() const { return {data_.get(), num_bytes_}; }

 private:
  std::unique_ptr<char[]> data_;
  std::size_t num_bytes_;
};

/// Parses `text` and calls `handler`. Throws Error(kFormat) with the byte offset for anything that is not one
/// JSON document (a byte-order mark, trailing text, an invalid escape, a too deep nesting). Events before the
/// fault have been delivered by then. Memory: 4 bytes per token, and a copy of `text`.
/// Duplicate keys are the handler's business here (load-time trees check them).
void parse_json_events(std::string_view text, JsonHandler& handler, const JsonLimits& limits = {});
/// The same without the copy.
void parse_json_events(const JsonBuffer& buffer, JsonHandler& handler, const JsonLimits& limits = {});
/// Reads a regular file and parses it; messages, the handler's included, start with the file's name.
void load_json_events(const std::filesystem::path& path, JsonHandler& handler, const JsonLimits& limits = {});

/// A JSON value as a tree. Object members keep the document's order.
class JsonValue {
 public:
  enum class Kind : std::uint8_t { kNull, kBool, kNumber, kString, kArray, kObject };
  using Array = std::vector<JsonValue>;
  using Object = std::vector<std::pair<std::string, JsonValue>>;

  JsonValue() = default;
  static JsonValue make_bool(bool value);
  static JsonValue make_number(std::string text);
  static JsonValue make_string(std::string text);
  static JsonValue make_array(Array items);
  static JsonValue make_object(Object members);

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::kNull; }
  bool is_bool() const { return kind_ == Kind::kBool; }
  bool is_number() const { return kind_ == Kind::kNumber; }
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_array() const { return kind_ == Kind::kArray; }
  bool is_object() const { return kind_ == Kind::kObject; }

  /// Typed readers; each throws Error(kFormat) "expected a ..., found ..." on another kind. The caller adds
  /// the key as context.
  bool as_bool() const;
  std::string_view as_string() const;
  /// An integer that fits; "5.0" and "1e3" count as integers, 5.5 and out-of-range values are kFormat.
  std::int64_t as_int64() const;
  /// A finite double.
  double as_double() const;
  /// A number as it stands in the document.
  std::string_view number_text() const;
  const Array& as_array() const;
  const Object& as_object() const;

  /// The member `key` of an object, or null when absent or when this is no object. Linear.
  const JsonValue* find(std::string_view key) const;
  /// Compact JSON text of the value, for messages and comparison (cut by the caller).
  std::string dump() const;
  /// Equal as JSON: numbers by value (1 == 1.0 == 10e-1), members in any order.
  friend bool operator==(const JsonValue& a, const JsonValue& b);

 private:
  Kind kind_ = Kind::kNull;
  bool bool_ = false;
  std::string text_;  // of a number or a string
  Array array_;
  Object object_;
};

/// Builds a value from its parts in the document's order.
class JsonTreeBuilder {
 public:
  explicit JsonTreeBuilder(std::size_t max_values) : max_values_(max_values) {}
  /// Begins an object or an array; what follows goes into it until its `end`.
  void begin(bool is_object);
  void key(std::string_view name) { open_.back().key = name; }
  /// @throws Error(kFormat) for one value too many; containers count at their end.
  void add(JsonValue value);
  /// Ends the innermost container. @throws Error(kFormat) for a key that the object has twice.
  void end();
  bool is_open() const { return !open_.empty(); }
  /// The finished value. The builder is as new.
  JsonValue take();

 private:
  // A container that is not closed yet; objects use `members` and `key`, arrays `items`.
  struct Open {
    bool is_object = false;
    std::string key;
    JsonValue::Object members;
    JsonValue::Array items;
  };

  std::size_t max_values_;
  std::size_t num_values_ = 0;
  JsonValue root_;
  std::vector<Open> open_;
};

/// Parses a whole document into a tree; also refuses duplicate keys, by name, and more than 400,000 values (a
/// value takes about 90 bytes; a refusal must stay below 200 MB).
JsonValue parse_json(std::string_view text, const JsonLimits& limits = {});
/// Reads and parses a file; messages start with the file's name.
JsonValue load_json(const std::filesystem::path& path, const JsonLimits& limits = {});

}  // namespace llm2mnn
