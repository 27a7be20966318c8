#pragma once
// Typed members of a JSON object; every message names the key.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"

namespace llm2mnn {

class Fields {
 public:
  /// @throws Error(kFormat) when `value` is no object. `value` must outlive this.
  explicit Fields(const JsonValue& value);

  bool has(std::string_view key) const { return value_.find(key) != nullptr; }
  /// Each throws Error(kFormat) when the key is missing or its value of another kind.
  const JsonValue& at(std::string_view key) const;
  std::string text(std::string_view key) const;
  std::string text_or(std::string_view key, std::string_view fallback) const;  ///< null counts as missing
  std::int64_t size(std::string_view key) const;                               ///< not negative
  std::uint32_t id(std::string_view key) const;
  double number(std::string_view key) const;
  bool flag(std::string_view key) const;
  const JsonValue::Array& list(std::string_view key) const;
  Fields object(std::string_view key) const;
  std::vector<std::string> texts(std::string_view key) const;

 private:
  const JsonValue& value_;
};

/// The items of an array of exactly `size`. @throws Error(kFormat).
const JsonValue::Array& tuple(const JsonValue& value, std::size_t size);

}  // namespace llm2mnn
