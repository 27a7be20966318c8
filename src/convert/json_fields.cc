#include "convert/json_fields.h"

namespace llm2mnn {
namespace {

template <typename Read>
auto with_key(std::string_view key, Read&& read) {
  try {
    return read();
  } catch (Error& error) {
    error.add_context(shown(key));
    throw;
  }
}

}  // namespace

Fields::Fields(const JsonValue& value) : value_(value) { value.as_object(); }

const JsonValue& Fields::at(std::string_view key) const {
  const JsonValue* member = value_.find(key);
  if (member == nullptr) fail(ErrorKind::kFormat, "{} is missing", shown(key));
  return *member;
}

std::string Fields::text(std::string_view key) const {
  const JsonValue& value = at(key);
  return with_key(key, [&] { return std::string(value.as_string()); });
}

std::string Fields::text_or(std::string_view key, std::string_view fallback) const {
  const JsonValue* member = value_.find(key);
  return member == nullptr || member->is_null() ? std::string(fallback) : text(key);
}

std::int64_t Fields::size(std::string_view key) const {
  const JsonValue& value = at(key);
  const std::int64_t number = with_key(key, [&] { return value.as_int64(); });
  if (number < 0) fail(ErrorKind::kFormat, "{} is {}; expected 0 or more", shown(key), number);
  return number;
}

std::uint32_t Fields::id(std::string_view key) const {
  const std::int64_t number = size(key);
  if (number >= UINT32_MAX) fail(ErrorKind::kFormat, "{} is {}, no index", shown(key), number);
  return static_cast<std::uint32_t>(number);
}

double Fields::number(std::string_view key) const {
  const JsonValue& value = at(key);
  return with_key(key, [&] { return value.as_double(); });
}

bool Fields::flag(std::string_view key) const {
  const JsonValue& value = at(key);
  return with_key(key, [&] { return value.as_bool(); });
}

const JsonValue::Array& Fields::list(std::string_view key) const {
  const JsonValue& value = at(key);
  with_key(key, [&] { value.as_array(); });
  return value.as_array();
}

Fields Fields::object(std::string_view key) const {
  const JsonValue& value = at(key);
  return with_key(key, [&] { return Fields(value); });
}

std::vector<std::string> Fields::texts(std::string_view key) const {
  std::vector<std::string> texts;
  for (const JsonValue& item : list(key))
    with_key(key, [&] { texts.emplace_back(item.as_string()); });
  return texts;
}

const JsonValue::Array& tuple(const JsonValue& value, std::size_t size) {
  const JsonValue::Array& items = value.as_array();
  if (items.size() != size) fail(ErrorKind::kFormat, "a list of {} items; expected {}", items.size(), size);
  return items;
}

}  // namespace llm2mnn
