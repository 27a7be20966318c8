#pragma once
// Checkpoints that hold a language model among others (a vision tower, a projector): which tensors and config
// keys are the language model's. Containers are data: containers/NAME/container.toml, embedded in the binary
// as families are (docs/adding-a-family.md).

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "checkpoint/tensor_info.h"

namespace llm2mnn {

struct Container {
  std::string name;
  std::string source;
  /// model_type of config.json -> that of its text model, where the text model's own config does not say one.
  std::map<std::string, std::string> model_types;
  std::map<std::string, std::string> refused;  ///< model_type -> the reason
  std::vector<std::string> text_configs;  ///< where the text model's config may be; a dot goes into an object
  bool is_flat = false;                   ///< without one of them, config.json itself is it
  std::map<std::string, std::string> text_types;  ///< model_type of a text config -> that of a family
  std::map<std::string, std::string> renamed;     ///< beginning of a stored name -> of the text model's
  std::map<std::string, std::string> left_out;  ///< beginning of a stored name -> what the tensor belongs to
  std::set<std::string> harmless;               ///< keys of config.json that do not concern the text model
};

/// Parses one file. @throws Error(kFormat) "FILE:LINE: ...".
Container read_container(std::string_view text, std::string name, const std::string& file);

/// The language model of a checkpoint, as if it had been stored alone.
struct TextModel {
  JsonValue config;
  std::vector<TensorInfo> tensors;  ///< by name

  struct Part {
    std::string what;  ///< "vision tower"
    std::size_t tensors = 0;
    std::uint64_t bytes = 0;
  };
  std::vector<Part> left_out;  ///< by `what`
};

/// @param known_keys  config keys that any family reads
/// @throws Error: kUnsupported for a model type that is refused and for a key outside the text model's config
/// that a family would read; kFormat for a config without a text model and for tensors of no part.
TextModel text_model_of(const Container& container, const JsonValue& config,
                        std::span<const TensorInfo> tensors, const std::set<std::string>& known_keys);

/// "vision tower (439 tensors, 834 MB), projector (2 tensors, 12 MB)".
std::string left_out_text(const std::vector<TextModel::Part>& parts);

}  // namespace llm2mnn
