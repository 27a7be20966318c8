#include <gtest/gtest.h>

#include "arch/arch_test_util.h"
#include "arch/config_reader.h"
#include "arch/embedded_families.h"
#include "base/file.h"

namespace llm2mnn::testing {

const std::string kSmallLlama = R"({
  "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_act": "silu",
  "vocab_size": 48, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2,
  "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
  "rope_theta": 10000.0, "tie_word_embeddings": false})";

const Family& family_named(const std::string& name) {
  static std::map<std::string, Family> ready;
  const auto found = ready.find(name);
  if (found != ready.end()) return found->second;
  for (const EmbeddedFamily& file : embedded_families()) {
    if (file.name != name) continue;
    Family own = read_family(file.text, name, name + ".toml");
    const Family* parent = own.inherits.empty() ? nullptr : &family_named(own.inherits);
    return ready.emplace(name, inherit(std::move(own), parent)).first->second;
  }
  throw std::runtime_error("no built-in family " + name);
}

Family family_from_text(const std::string& text, const std::string& file) {
  Family own = read_family(text, "test", file);
  return inherit(own, own.inherits.empty() ? nullptr : &family_named(own.inherits));
}

std::string family_fixture(const std::string& name) {
  return read_text_file(std::string(LLM2MNN_SOURCE_DIR) + "/tests/fixtures/families/" + name, 1u << 20);
}

namespace {

std::int64_t int_of(const JsonValue& config, const std::string& key, std::int64_t fallback) {
  const JsonValue* value = config.find(key);
  return value == nullptr || value->is_null() ? fallback : value->as_int64();
}

bool flag_of(const JsonValue& config, const std::string& key) {
  const JsonValue* value = config.find(key);
  return value != nullptr && value->is_bool() && value->as_bool();
}

}  // namespace

Tensors llama_like_tensors(const JsonValue& config) {
  const std::int64_t hidden = int_of(config, "hidden_size", 4096);
  const std::int64_t inner = int_of(config, "intermediate_size", 11008);
  const std::int64_t heads = int_of(config, "num_attention_heads", 32);
  const std::int64_t kv_heads = int_of(config, "num_key_value_heads", heads);
  const std::int64_t vocab = int_of(config, "vocab_size", 32000);
  const std::string type(config.find("model_type")->as_string());
  const std::int64_t dim = int_of(config, "head_dim", type == "qwen3" ? 128 : hidden / heads);
  const bool qkv_bias = type == "qwen2" || (type != "mistral" && flag_of(config, "attention_bias"));
  const bool o_bias = (type == "llama" || type == "qwen3") && flag_of(config, "attention_bias");
  const bool mlp_bias = type == "llama" && flag_of(config, "mlp_bias");
  Tensors tensors = {{"model.embed_tokens.weight", {vocab, hidden}}, {"model.norm.weight", {hidden}}};
  if (!flag_of(config, "tie_word_embeddings")) tensors["lm_head.weight"] = {vocab, hidden};
  const auto linear = [&](const std::string& name, std::int64_t out, std::int64_t in, bool bias) {
    tensors[name + ".weight"] = {out, in};
    if (bias) tensors[name + ".bias"] = {out};
  };
  for (std::int64_t i = 0; i < int_of(config, "num_hidden_layers", 32); ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    linear(layer + "self_attn.q_proj", heads * dim, hidden, qkv_bias);
    linear(layer + "self_attn.k_proj", kv_heads * dim, hidden, qkv_bias);
    linear(layer + "self_attn.v_proj", kv_heads * dim, hidden, qkv_bias);
    linear(layer + "self_attn.o_proj", hidden, heads * dim, o_bias);
    linear(layer + "mlp.gate_proj", inner, hidden, mlp_bias);
    linear(layer + "mlp.up_proj", inner, hidden, mlp_bias);
    linear(layer + "mlp.down_proj", hidden, inner, mlp_bias);
    tensors[layer + "input_layernorm.weight"] = {hidden};
    tensors[layer + "post_attention_layernorm.weight"] = {hidden};
    if (type == "qwen3") tensors[layer + "self_attn.q_norm.weight"] = {dim};
    if (type == "qwen3") tensors[layer + "self_attn.k_norm.weight"] = {dim};
  }
  return tensors;
}

namespace {

// Whether the config turns the role's switch on; menus are left to never_uses.
bool is_used(const Family& family, ConfigReader& config, const RoleInfo& role) {
  if (family.never_uses(role.name)) return false;
  if (role.role == WeightRole::kLmHead && !role.is_bias) return config.evaluate("model.tied") == 0;
  if (role.name == "pre_mlp_norm" && config.evaluate("block.shared_norm") != 0) return false;
  return !role.is_bias || config.evaluate(Family::switch_of(role.name)) != 0;
}

// [rows of the fused tensor, columns] or less of them when other roles take more.
Shape stored_shape(const Family& family, ConfigReader& config, const RoleInfo& role) {
  const TensorPattern& pattern = family.tensors.at(std::string(role.name));
  Shape shape;
  std::string words(role.shape);
  if (family.setting("attention.qk_norm").word == "all" && role.role == WeightRole::kQNorm)
    words = "num_attention_heads * head_dim";
  if (family.setting("attention.qk_norm").word == "all" && role.role == WeightRole::kKNorm)
    words = "num_key_value_heads * head_dim";
  for (std::size_t at = 0; at < words.size();) {
    const std::size_t comma = std::min(words.find(", ", at), words.size());
    const Expression size = Expression::parse(words.substr(at, comma - at));
    shape.push_back(static_cast<std::int64_t>(config.evaluate(size, family.top)));
    at = comma + 2;
  }
  if (!pattern.rows.has_value()) return shape;
  const auto value = [&](const Expression& expression) {
    return static_cast<std::int64_t>(config.evaluate(expression, pattern.where));
  };
  const RowPick& rows = *pattern.rows;
  shape[0] = value(rows.begin) + (value(rows.groups) - 1) * value(rows.stride) + value(rows.count);
  return shape;
}

}  // namespace

Tensors stored_tensors(const Family& family, const JsonValue& json) {
  ConfigReader config(family, json);
  Tensors tensors;
  for (const RoleInfo& role : roles()) {
    const auto pattern = family.tensors.find(std::string(role.name));
    if (pattern == family.tensors.end() || !is_used(family, config, role)) continue;
    const Shape shape = stored_shape(family, config, role);
    for (std::int64_t i = 0; i < (role.is_layer ? config.size("num_hidden_layers") : 1); ++i) {
      std::string name = pattern->second.name;
      if (role.is_layer) name.replace(name.find("{i}"), 3, std::to_string(i));
      const auto [found, inserted] = tensors.emplace(name, shape);
      if (!inserted) found->second[0] = std::max(found->second[0], shape[0]);
    }
  }
  return tensors;
}

JsonValue with_key(const JsonValue& config, const std::string& key, const std::string& json) {
  JsonValue::Object members;
  for (const auto& member : config.as_object()) {
    if (member.first != key) members.push_back(member);
  }
  if (!json.empty()) members.emplace_back(key, parse_json(json));
  return JsonValue::make_object(std::move(members));
}

DecoderSpec describe(const Family& family, const JsonValue& config, const Tensors& tensors) {
  std::vector<TensorInfo> infos;
  for (const auto& [name, shape] : tensors) {
    TensorInfo info;
    info.name = name;
    info.dtype = DType::kBF16;
    info.shape = shape;
    infos.push_back(std::move(info));
  }
  DescribeInput input{family, config, infos, {}, false};
  for (const EmbeddedFamily& file : embedded_families()) {
    const std::set<std::string> keys = family_named(std::string(file.name)).consumed_keys();
    input.known_keys.insert(keys.begin(), keys.end());
  }
  return describe_model(input);
}

DecoderSpec describe(const std::string& family, const JsonValue& config, const Tensors& tensors) {
  return describe(family_named(family), config, tensors);
}

}  // namespace llm2mnn::testing

namespace llm2mnn {
namespace {

TEST(BuiltInFamilies, HaveUniqueModelTypesAndArchitectures) {
  std::map<std::string, std::string> owner;
  for (const EmbeddedFamily& file : embedded_families()) {
    const Family& family = testing::family_named(std::string(file.name));
    std::vector<std::string> names = family.model_types;
    names.insert(names.end(), family.architectures.begin(), family.architectures.end());
    for (const std::string& name : names)
      EXPECT_TRUE(owner.emplace(name, family.name).second)
          << name << " is in " << owner[name] << " and " << family.name;
  }
}

TEST(BuiltInFamilies, NameTheirSource) {
  for (const EmbeddedFamily& file : embedded_families())
    EXPECT_FALSE(testing::family_named(std::string(file.name)).source.empty()) << file.name;
}

}  // namespace
}  // namespace llm2mnn
