#include "arch/source_quant.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/checked.h"
#include "base/error.h"

namespace llm2mnn {
namespace {

// A key that config.json may have beside 'quant_method'. What says nothing of stored weights may have any
// value: lists of modules that stayed float (a tensor's dtype says it), how activations and the KV cache are
// rounded, who made the file.
struct Key {
  std::string_view name;
  bool (*accepts)(const JsonValue& value);
};

constexpr std::int64_t kMaxBlock = 1 << 20;  // beyond every matrix that is split in blocks

bool any(const JsonValue&) { return true; }

bool is_text(const JsonValue& value, std::string_view text) {
  return value.is_string() && value.as_string() == text;
}

bool is_empty_object(const JsonValue& value) { return value.is_object() && value.as_object().empty(); }

bool is_float8_format(const JsonValue& value) {
  return is_text(value, "float-quantized") || is_text(value, "naive-quantized");
}

// Weights with zeros left out are packed.
bool is_dense(const JsonValue& value) {
  if (is_empty_object(value)) return true;
  const JsonValue* format = value.find("format");
  return format != nullptr && is_text(*format, "dense");
}

// Rotations of weights.
bool has_no_transform(const JsonValue& value) {
  if (is_empty_object(value)) return true;
  const JsonValue* groups = value.find("config_groups");
  return value.as_object().size() == 1 && groups != nullptr && is_empty_object(*groups);
}

bool is_fp8_algorithm(const JsonValue& value) { return is_text(value, "FP8"); }

constexpr std::array kFp8Keys = {
    Key{"activation_scheme", any}, Key{"dequantize", any},       Key{"fmt", any},
    Key{"ignored_layers", any},    Key{"kv_cache_scheme", any},  Key{"modules_to_not_convert", any},
    Key{"scale_fmt", any},         Key{"weight_block_size", any}};
constexpr std::array kFbgemmKeys = {Key{"activation_scale_ub", any}, Key{"modules_to_not_convert", any}};
constexpr std::array kModelOptKeys = {
    Key{"config_groups", any},          Key{"exclude_modules", any}, Key{"ignore", any},
    Key{"kv_cache_quant_algo", any},    Key{"kv_cache_scheme", any}, Key{"producer", any},
    Key{"quant_algo", is_fp8_algorithm}};
constexpr std::array kCompressedKeys = {Key{"config_groups", any},
                                        Key{"format", is_float8_format},
                                        Key{"global_compression_ratio", any},
                                        Key{"ignore", any},
                                        Key{"kv_cache_scheme", any},
                                        Key{"quantization_status", any},
                                        Key{"sparsity_config", is_dense},
                                        Key{"transform_config", has_no_transform},
                                        Key{"version", any}};

// 'online': the weights are not rounded yet. A norm in each matrix has no tensor of its own.
constexpr std::array kTernaryKeys = {
    Key{"linear_class",
        [](const JsonValue& value) {
          return is_text(value, "bitlinear") || is_text(value, "autobitlinear");
        }},
    Key{"modules_to_not_convert", any},
    Key{"quantization_mode", [](const JsonValue& value) { return is_text(value, "offline"); }},
    Key{"rms_norm_eps", any},
    Key{"use_rms_norm", [](const JsonValue& value) { return value.is_bool() && !value.as_bool(); }}};

constexpr std::array kMxfp4Keys = {Key{"modules_to_not_convert", any}};

struct Method {
  std::string_view name;
  std::span<const Key> keys;
};

const std::array<Method, 6>& methods() {
  static constexpr std::array<Method, 6> table = {
      Method{"fp8", kFp8Keys},           Method{"fbgemm_fp8", kFbgemmKeys},
      Method{"modelopt", kModelOptKeys}, Method{"compressed-tensors", kCompressedKeys},
      Method{"mxfp4", kMxfp4Keys},       Method{"bitnet", kTernaryKeys}};
  return table;
}

[[noreturn]] void fail_value(std::string_view path, const JsonValue& value) {
  fail(ErrorKind::kUnsupported,
       "config.json: {} is {}, which is not read from a quantised checkpoint; export the original weights",
       shown(path, 120), shown(value.dump(), 80));
}

BlockShape read_block(const JsonValue& value, std::string_view path) {
  if (value.is_array() && value.as_array().size() == 2) {
    const auto& sizes = value.as_array();
    const auto size = [&](std::size_t i) {
      const std::int64_t number = sizes[i].is_number() ? sizes[i].as_int64() : 0;
      if (number < 1 || number > kMaxBlock) fail_value(path, value);
      return number;
    };
    return {size(0), size(1)};
  }
  fail_value(path, value);
}

void set_block(SourceQuant& quant, const JsonValue* value, const std::string& path) {
  if (value == nullptr || value->is_null()) return;
  const BlockShape block = read_block(*value, path);
  if (quant.block.has_value() && *quant.block != block) fail_value(path, *value);
  quant.block = block;
}

// A group of layers of compressed-tensors or ModelOpt: 8 bit floats without a zero point.
void read_group(SourceQuant& quant, const JsonValue& group, const std::string& path) {
  const JsonValue* weights = group.find("weights");
  if (weights == nullptr || weights->is_null()) return;
  const auto require = [&](std::string_view key, auto&& is_right) {
    const JsonValue* value = weights->find(key);
    if (value != nullptr && !value->is_null() && !is_right(*value))
      fail_value(fmt::format("{}.weights.{}", path, key), *value);
  };
  const JsonValue* bits = weights->find("num_bits");
  const JsonValue* type = weights->find("type");
  if (bits == nullptr || bits->dump() != "8" || type == nullptr || !is_text(*type, "float"))
    fail_value(path + ".weights", *weights);
  require("strategy", [](const JsonValue& value) {
    return is_text(value, "tensor") || is_text(value, "channel") || is_text(value, "block");
  });
  require("symmetric", [](const JsonValue& value) { return value.is_bool() && value.as_bool(); });
  require("dynamic", [](const JsonValue& value) { return value.is_bool() && !value.as_bool(); });
  require("actorder", [](const JsonValue&) { return false; });
  set_block(quant, weights->find("block_structure"), path + ".weights.block_structure");
}

}  // namespace

SourceQuant read_source_quant(const JsonValue& config) {
  SourceQuant quant;
  for (const std::string section : {"quantization_config", "compression_config"}) {
    const JsonValue* value = config.find(section);
    if (value == nullptr || value->is_null()) continue;
    const JsonValue* name = value->find("quant_method");
    // ModelOpt's first files do not say their method.
    const bool is_modelopt = name == nullptr && value->is_object() && value->find("quant_algo") != nullptr;
    const auto method = std::ranges::find_if(methods(), [&](const Method& known) {
      return name != nullptr ? is_text(*name, known.name) : is_modelopt && known.name == "modelopt";
    });
    if (method == methods().end() || !quant.method.empty())
      fail(ErrorKind::kUnsupported,
           "config.json: '{}'{}: quantised checkpoints are not supported but for fp8, mxfp4 and ternary "
           "codes; "
           "export the original weights",
           section, name != nullptr && name->is_string() ? " (" + shown(name->as_string()) + ")" : "");
    quant.method = method->name;
    for (const auto& [key, member] : value->as_object()) {
      if (key == "quant_method" || member.is_null()) continue;
      const auto known =
          std::ranges::find_if(method->keys, [&key = key](const Key& one) { return one.name == key; });
      if (known == method->keys.end() || !known->accepts(member))
        fail_value(fmt::format("{}.{}", section, key), member);
    }
    if (quant.is_ternary()) {
      const JsonValue* linear = value->find("linear_class");
      quant.divides = linear == nullptr || !is_text(*linear, "autobitlinear");
    }
    if (quant.method == "modelopt" && value->find("quant_algo") == nullptr) fail_value(section, *value);
    if (const JsonValue* groups = value->find("config_groups"); groups != nullptr && groups->is_object()) {
      for (const auto& [key, group] : groups->as_object())
        read_group(quant, group, fmt::format("{}.config_groups.{}", section, key));
    }
    set_block(quant, value->find("weight_block_size"), section + ".weight_block_size");
  }
  return quant;
}

std::optional<BlockShape> block_of_scales(const SourceQuant& quant, const Shape& values,
                                          const Shape& scales) {
  const std::int64_t rows = values.empty() ? 1 : values.front();
  const std::int64_t cols = values.size() < 2 ? 1 : values.back();
  std::int64_t num_scales = 0;
  if (values.size() > 2 || rows < 1 || cols < 1 || !shape_elements(scales, num_scales)) return std::nullopt;
  if (num_scales == 1) return BlockShape{rows, cols};
  if (quant.block.has_value() &&
      scales == Shape{ceil_div(rows, quant.block->rows), ceil_div(cols, quant.block->cols)})
    return quant.block;
  if (scales == Shape{rows} || scales == Shape{rows, 1}) return BlockShape{1, cols};
  return std::nullopt;
}

std::optional<BlockShape> block_of_stacked_scales(const SourceQuant& quant, const Shape& values,
                                                  const Shape& scales, bool transposed) {
  if (values.size() != 3 || values[0] < 1 || values[1] < 1 || values[2] < 1) return std::nullopt;
  const std::int64_t matrices = values[0];
  const std::int64_t rows = values[transposed ? 2 : 1], cols = values[transposed ? 1 : 2];
  if (scales == Shape{matrices} || scales == Shape{matrices, 1, 1}) return BlockShape{rows, cols};
  if (quant.block.has_value() && scales == Shape{matrices, ceil_div(values[1], quant.block->rows),
                                                 ceil_div(values[2], quant.block->cols)})
    return transposed ? BlockShape{quant.block->cols, quant.block->rows} : *quant.block;
  if (scales == Shape{matrices, rows, 1} || scales == Shape{matrices, 1, rows} ||
      scales == Shape{matrices, rows})
    return BlockShape{1, cols};
  return std::nullopt;
}

bool is_activation_scale(std::string_view name) {
  constexpr std::string_view kSuffixes[] = {".activation_scale", ".input_scale", ".input_scale_ub",
                                            ".k_scale",          ".v_scale",     ".q_scale",
                                            ".output_scale"};
  return std::ranges::any_of(kSuffixes, [&](std::string_view suffix) { return name.ends_with(suffix); });
}

}  // namespace llm2mnn
