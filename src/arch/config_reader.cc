#include "arch/config_reader.h"

#include <algorithm>
#include <cmath>
#include <fmt/ranges.h>

namespace llm2mnn {
namespace {

// No size of a model comes near; products of two such sizes still fit 64 bits.
constexpr std::int64_t kMaxSize = std::int64_t{1} << 31;

double read_value(const JsonValue& value, const std::string& name, const std::string& key) {
  const CanonicalName* canonical = find_canonical_name(name);
  try {
    if (canonical == nullptr) return value.is_bool() ? (value.as_bool() ? 1 : 0) : value.as_double();
    switch (canonical->kind) {
      case CanonicalName::Kind::kBool:
        return value.as_bool() ? 1 : 0;
      case CanonicalName::Kind::kNumber:
        return value.as_double();
      case CanonicalName::Kind::kSize:
      case CanonicalName::Kind::kCount:
        break;
    }
    const std::int64_t least = canonical->kind == CanonicalName::Kind::kSize ? 1 : 0;
    const std::int64_t number = value.as_int64();
    if (number < least || number > kMaxSize)
      fail(ErrorKind::kFormat, "is {}, expected {} to {}", number, least, kMaxSize);
    return static_cast<double>(number);
  } catch (Error& error) {
    error.add_context(fmt::format("config.json: {}", shown(key)));
    throw;
  }
}

double read_word(const JsonValue& value, const ConfigEntry& entry, const std::string& key) {
  const auto known = value.is_string() ? entry.words.find(std::string(value.as_string())) : entry.words.end();
  if (known != entry.words.end()) return known->second;
  std::vector<std::string> words;
  for (const auto& [word, number] : entry.words)
    words.push_back(word);
  fail(ErrorKind::kUnsupported, "config.json: {} is {}; supported are {}", shown(key),
       shown(value.dump(), 60), fmt::join(words, ", "));
}

std::vector<std::string> keys_of(const ConfigEntry& entry, const std::string& name) {
  return entry.keys.empty() ? std::vector<std::string>{name} : entry.keys;
}

}  // namespace

const JsonValue* find_path(const JsonValue& config, std::string_view path) {
  const JsonValue* value = &config;
  while (value != nullptr && !path.empty()) {
    const std::size_t dot = std::min(path.find('.'), path.size());
    value = value->find(path.substr(0, dot));
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return value;
}

bool ConfigReader::is_given(const std::string& name) const {
  const auto entry = family_.config.find(name);
  if (entry == family_.config.end()) return false;
  for (const std::string& key : keys_of(entry->second, name)) {
    const JsonValue* value = find_path(config_, key);
    if (value != nullptr && !value->is_null()) return true;
  }
  return false;
}

// An item of a list with one for each layer.
const JsonValue& ConfigReader::item_of(const JsonValue& list, const std::string& key, std::int64_t layer) {
  // The number of layers itself is no list.
  if (reads_list_) fail(ErrorKind::kFormat, "config.json: {} is a list, expected a number", shown(key));
  reads_list_ = true;
  const std::int64_t num_layers = size("num_hidden_layers");
  reads_list_ = false;
  const auto& items = list.as_array();
  if (items.size() != static_cast<std::size_t>(num_layers))
    fail(ErrorKind::kFormat, "config.json: {} is a list of {}; expected a value for each of {} layers",
         shown(key), items.size(), num_layers);
  const std::string first = items.front().dump();
  const bool is_one =
      std::all_of(items.begin(), items.end(), [&](const JsonValue& item) { return item.dump() == first; });
  if (is_one) return items.front();
  if (layer < 0)
    fail(ErrorKind::kUnsupported,
         "config.json: {} differs from layer to layer, but family '{}' needs one value for all", shown(key),
         family_.name);
  differs_ = true;
  return items[static_cast<std::size_t>(layer)];
}

double ConfigReader::compute(const std::string& name, std::int64_t layer) {
  const auto found = family_.config.find(name);
  LLM2MNN_CHECK(found != family_.config.end());
  const ConfigEntry& entry = found->second;
  const std::vector<std::string> keys = keys_of(entry, name);
  std::optional<double> result;
  std::string result_key;
  bool is_null = false;
  for (const std::string& key : keys) {
    const JsonValue* value = find_path(config_, key);
    if (value == nullptr) continue;
    if (value->is_null()) {
      is_null = true;
      continue;
    }
    if (value->is_array()) value = &item_of(*value, key, layer);
    const double number = entry.words.empty() ? read_value(*value, name, key) : read_word(*value, entry, key);
    if (result.has_value() && *result != number)
      fail(ErrorKind::kFormat, "config.json: {} is {} but {} is {}; they mean the same, remove one",
           shown(result_key), *result, shown(key), number);
    if (!result.has_value()) result_key = key;
    result = number;
  }
  if (result.has_value()) return *result;
  if (is_null && entry.if_null.has_value()) return evaluate(*entry.if_null, entry.where, layer);
  if (entry.if_missing.has_value()) return evaluate(*entry.if_missing, entry.where, layer);
  fail(ErrorKind::kFormat, "config.json: key {} is {}", shown(keys.front()), is_null ? "null" : "missing");
}

double ConfigReader::number(const std::string& name, std::int64_t layer) {
  if (const auto known = values_.find(name); known != values_.end()) return known->second;
  const std::pair key(name, layer);
  if (const auto known = layer_values_.find(key); known != layer_values_.end()) {
    differs_ = true;
    return known->second;
  }
  const bool outer_differs = std::exchange(differs_, false);
  const double value = compute(name, layer);
  if (differs_)
    layer_values_[key] = value;
  else
    values_[name] = value;
  differs_ = differs_ || outer_differs;
  return value;
}

std::int64_t ConfigReader::size(const std::string& name, std::int64_t layer) {
  const double value = number(name, layer);
  if (!(value >= 1) || value > static_cast<double>(kMaxSize) || value != std::floor(value))
    fail(ErrorKind::kFormat, "config.json: '{}' comes to {}, expected an integer of at least 1", name, value);
  return static_cast<std::int64_t>(value);
}

double ConfigReader::evaluate(const Expression& expression, const Location& where, std::int64_t layer,
                              std::int64_t expert) {
  try {
    return expression.evaluate([&](const std::string& name) {
      if (name == "i" && layer >= 0) return static_cast<double>(layer);
      if (name == "e" && expert >= 0) return static_cast<double>(expert);
      return number(name, layer);
    });
  } catch (Error& error) {
    const bool is_ours = error.message().rfind("expression ", 0) == 0;
    if (is_ours && where.file != nullptr) error.add_context(where.text());
    throw;
  }
}

double ConfigReader::layer_value(const Setting& setting, std::int64_t layer) {
  for (const std::string& key : setting.keys) {
    const JsonValue* list = find_path(config_, key);
    if (list == nullptr || list->is_null() || (list->is_array() && list->as_array().empty())) continue;
    const std::int64_t num_layers = size("num_hidden_layers");
    if (!list->is_array() || list->as_array().size() != static_cast<std::size_t>(num_layers))
      fail(ErrorKind::kFormat, "config.json: {} must be a list with one number for each of {} layers",
           shown(key), num_layers);
    const JsonValue& item = list->as_array()[static_cast<std::size_t>(layer)];
    if (item.is_bool()) return item.as_bool() ? 1 : 0;
    if (item.is_number()) return item.as_double();
    fail(ErrorKind::kFormat, "config.json: {}[{}] is {}, it must be a number, true or false", shown(key),
         layer, shown(item.dump(), 60));
  }
  return evaluate(setting.expression, setting.where, layer);
}

}  // namespace llm2mnn
