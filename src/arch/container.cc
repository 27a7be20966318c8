#include "arch/container.h"

#include <algorithm>

#include "arch/config_keys.h"
#include "arch/config_reader.h"
#include "base/error.h"
#include "base/near_match.h"

namespace llm2mnn {
namespace {

// Keys that a composite config states once for all its parts.
constexpr std::string_view kInheritedKeys[] = {"bos_token_id",       "dtype",       "eos_token_id",
                                               "pad_token_id",       "torch_dtype", "quantization_config",
                                               "tie_word_embeddings"};

const std::string& model_type_of(const JsonValue& config, std::string& out) {
  const JsonValue* type = config.find("model_type");
  if (type != nullptr && type->is_string()) out = type->as_string();
  return out;
}

// The value of a key in the objects around the config at `path`, the innermost first, and in config.json.
const JsonValue* outer_value(const JsonValue& config, std::string path, std::string_view key) {
  for (std::size_t dot = path.rfind('.'); dot != std::string::npos; dot = path.rfind('.')) {
    path.erase(dot);
    const JsonValue* around = find_path(config, path);
    const JsonValue* value = around != nullptr ? around->find(key) : nullptr;
    if (value != nullptr) return value;
  }
  return config.find(key);
}

// Where the config of the text model is; empty when it is nowhere.
std::string nested_path(const Container& container, const JsonValue& config) {
  for (const std::string& path : container.text_configs) {
    const JsonValue* nested = find_path(config, path);
    if (nested != nullptr && !nested->is_null()) return path;
  }
  return {};
}

// The config of the text model; null when config.json is it.
const JsonValue* nested_config(const Container& container, const JsonValue& config) {
  const std::string path = nested_path(container, config);
  if (!path.empty()) {
    const JsonValue* nested = find_path(config, path);
    if (!nested->is_object())
      fail(ErrorKind::kFormat, "config.json: {} must be an object, found {}", shown(path),
           shown(nested->dump(), 60));
    return nested;
  }
  if (container.is_flat) return nullptr;
  fail(ErrorKind::kFormat,
       "config.json: {} is missing: a checkpoint of this type describes its text model there",
       shown(container.text_configs.front()));
}

std::string text_type_of(const Container& container, const JsonValue& config, const JsonValue* nested) {
  std::string outer, own;
  model_type_of(config, outer);
  if (nested != nullptr) model_type_of(*nested, own);
  if (own.empty()) return container.model_types.at(outer);
  const auto mapped = container.text_types.find(own);
  return mapped == container.text_types.end() ? own : mapped->second;
}

// A key of the text model that stands outside of its config would be read by nobody.
void check_outer_keys(const JsonValue& config, const JsonValue& text, const Container& container,
                      const std::set<std::string>& known_keys) {
  for (const auto& [key, value] : config.as_object()) {
    if (text.find(key) != nullptr || container.harmless.contains(key) || !known_keys.contains(key)) continue;
    if (key == "model_type" || key == "architectures" || is_harmless_key(key) ||
        is_neutral_value(key, value, config))
      continue;
    fail(
        ErrorKind::kUnsupported,
        "config.json: key {} is {}, outside of {}: a text model may mean it, but this one is described there",
        shown(key), shown(value.dump(), 60), shown(container.text_configs.front()));
  }
}

JsonValue text_config_of(const Container& container, const JsonValue& config,
                         const std::set<std::string>& known_keys) {
  const JsonValue* nested = nested_config(container, config);
  JsonValue::Object members;
  members.emplace_back("model_type", JsonValue::make_string(text_type_of(container, config, nested)));
  const JsonValue& own = nested != nullptr ? *nested : config;
  const JsonValue* architectures = config.find("architectures");
  for (const auto& [key, value] : own.as_object()) {
    // Some text configs repeat the class of the whole.
    const bool is_class_of_all =
        key == "architectures" && architectures != nullptr && value.dump() == architectures->dump();
    const bool is_outer = is_class_of_all || (nested == nullptr && container.harmless.contains(key));
    if (key != "model_type" && !is_outer) members.emplace_back(key, value);
  }
  for (const std::string_view key : kInheritedKeys) {
    const JsonValue* value = outer_value(config, nested_path(container, config), key);
    const JsonValue* inner = own.find(key);
    if (value != nullptr && inner == nullptr) members.emplace_back(key, *value);
  }
  JsonValue text = JsonValue::make_object(std::move(members));
  if (nested != nullptr) check_outer_keys(config, text, container, known_keys);
  return text;
}

// The longest beginning of `name` among the keys.
const std::pair<const std::string, std::string>* longest_prefix(
    const std::map<std::string, std::string>& prefixes, std::string_view name) {
  const std::pair<const std::string, std::string>* longest = nullptr;
  for (const auto& entry : prefixes) {
    if (name.starts_with(entry.first) && (longest == nullptr || entry.first.size() > longest->first.size()))
      longest = &entry;
  }
  return longest;
}

}  // namespace

TextModel text_model_of(const Container& container, const JsonValue& config,
                        std::span<const TensorInfo> tensors, const std::set<std::string>& known_keys) {
  std::string type;
  if (const auto refused = container.refused.find(model_type_of(config, type));
      refused != container.refused.end())
    fail(ErrorKind::kUnsupported, "config.json: model_type {} is not supported: {}", shown(type),
         refused->second);
  TextModel model;
  model.config = text_config_of(container, config, known_keys);
  std::map<std::string, TextModel::Part> parts;
  std::vector<std::string> strangers;
  for (const TensorInfo& tensor : tensors) {
    const auto* text = longest_prefix(container.renamed, tensor.name);
    const auto* other = longest_prefix(container.left_out, tensor.name);
    if (other != nullptr && (text == nullptr || other->first.size() > text->first.size())) {
      TextModel::Part& part = parts[other->second];
      part.what = other->second;
      part.tensors += 1;
      part.bytes += tensor.bytes;
    } else if (text != nullptr) {
      model.tensors.push_back(tensor);
      model.tensors.back().name = text->second + tensor.name.substr(text->first.size());
    } else {
      strangers.push_back(tensor.name);
    }
  }
  if (!strangers.empty())
    fail(ErrorKind::kFormat, "{} of no part that is known of a checkpoint of type {}: {}",
         strangers.size() == 1 ? "a tensor is" : fmt::format("{} tensors are", strangers.size()), shown(type),
         list_names(strangers));
  sort_by_name(model.tensors);
  for (auto& [what, part] : parts)
    model.left_out.push_back(std::move(part));
  return model;
}

std::string left_out_text(const std::vector<TextModel::Part>& parts) {
  std::string text;
  for (const TextModel::Part& part : parts) {
    text += fmt::format("{}{} ({} tensor{}, {} bytes)", text.empty() ? "" : ", ", part.what, part.tensors,
                        part.tensors == 1 ? "" : "s", part.bytes);
  }
  return text;
}

}  // namespace llm2mnn
