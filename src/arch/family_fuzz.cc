// Any bytes as a family file, and the checkpoint of a small model read through it: an Error, or a family and
// a description, never anything else.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "arch/describe.h"
#include "arch/embedded_families.h"
#include "arch/family_data.h"

namespace {

using namespace llm2mnn;

// A built-in family with all it inherits; null for a name that none has.
const Family* built_in(const std::string& name) {
  static std::map<std::string, Family> ready;
  const auto known = ready.find(name);
  if (known != ready.end()) return &known->second;
  for (const EmbeddedFamily& file : embedded_families()) {
    if (file.name != name) continue;
    Family own = read_family(file.text, name, "built_in.toml");
    const Family* parent = own.inherits.empty() ? nullptr : built_in(own.inherits);
    return &ready.emplace(name, inherit(std::move(own), parent)).first->second;
  }
  return nullptr;
}

const JsonValue& config() {
  static const JsonValue value = parse_json(R"({"model_type": "fuzz", "vocab_size": 16, "hidden_size": 8,
    "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 32, "rms_norm_eps": 1e-5, "rope_theta": 1e4, "tie_word_embeddings": false,
    "hidden_act": "silu", "layer_types": ["full_attention", "sliding_attention"], "sliding_window": 4})");
  return value;
}

const std::vector<TensorInfo>& tensors() {
  static const std::vector<TensorInfo> all = [] {
    std::map<std::string, Shape> shapes = {
        {"model.embed_tokens.weight", {16, 8}}, {"model.norm.weight", {8}}, {"lm_head.weight", {16, 8}}};
    for (const char* layer : {"model.layers.0.", "model.layers.1."}) {
      const std::string at(layer);
      for (const char* name : {"input_layernorm", "post_attention_layernorm"})
        shapes[at + name + ".weight"] = {8};
      for (const char* name : {"q_proj", "o_proj"})
        shapes[at + "self_attn." + name + ".weight"] = {8, 8};
      for (const char* name : {"k_proj", "v_proj"})
        shapes[at + "self_attn." + name + ".weight"] = {4, 8};
      for (const char* name : {"gate_proj", "up_proj"})
        shapes[at + "mlp." + name + ".weight"] = {12, 8};
      shapes[at + "mlp.down_proj.weight"] = {8, 12};
    }
    std::vector<TensorInfo> infos;
    for (const auto& [name, shape] : shapes) {
      TensorInfo info;
      info.name = name;
      info.dtype = DType::kBF16;
      info.shape = shape;
      infos.push_back(std::move(info));
    }
    return infos;
  }();
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    Family own = read_family(text, "fuzz", "fuzz.toml");
    const Family* parent = own.inherits.empty() ? nullptr : built_in(own.inherits);
    const Family whole = inherit(std::move(own), parent);
    whole.consumed_keys();
    describe_model({whole, config(), tensors(), {}, true});
  } catch (const Error& error) {
    // One line of text, whatever the bytes were.
    for (const char c : error.message()) {
      if (c == '\n') __builtin_trap();
    }
  }
  return 0;
}
