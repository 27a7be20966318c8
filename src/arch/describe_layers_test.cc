// Values of config.json that are lists with one for each layer.

#include <gtest/gtest.h>
#include <vector>

#include "arch/arch_test_util.h"

namespace llm2mnn {
namespace {

using testing::describe;
using testing::family_from_text;
using testing::message_of;
using testing::Tensors;
using testing::with_key;

const JsonValue& small() {
  static const JsonValue config = parse_json(testing::kSmallLlama);
  return config;
}

// Tensors of layers with `heads` and `inner` each; a head has `dim` channels, and there is one key head.
Tensors tensors_of(const std::vector<std::int64_t>& heads, const std::vector<std::int64_t>& inner,
                   std::int64_t dim) {
  Tensors all = testing::llama_like_tensors(small());
  const std::int64_t hidden = small().find("hidden_size")->as_int64();
  for (std::size_t i = 0; i < heads.size(); ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    all[layer + "self_attn.q_proj.weight"] = {heads[i] * dim, hidden};
    all[layer + "self_attn.k_proj.weight"] = {dim, hidden};
    all[layer + "self_attn.v_proj.weight"] = {dim, hidden};
    all[layer + "self_attn.o_proj.weight"] = {hidden, heads[i] * dim};
    all[layer + "mlp.gate_proj.weight"] = {inner[i], hidden};
    all[layer + "mlp.up_proj.weight"] = {inner[i], hidden};
    all[layer + "mlp.down_proj.weight"] = {hidden, inner[i]};
  }
  return all;
}

JsonValue with_lists(const std::string& heads, const std::string& inner) {
  JsonValue config = with_key(with_key(small(), "num_attention_heads", heads), "intermediate_size", inner);
  return with_key(with_key(config, "num_key_value_heads", "[1, 1]"), "head_dim", "8");
}

TEST(LayerValues, EachLayerHasItsOwnHeadsAndWidth) {
  const DecoderSpec spec = describe("llama", with_lists("[2, 3]", "[5, 7]"), tensors_of({2, 3}, {5, 7}, 8));
  EXPECT_EQ(spec.layers.at(0).attention.num_attention_heads, 2);
  EXPECT_EQ(spec.layers.at(1).attention.num_attention_heads, 3);
  EXPECT_EQ(spec.layers.at(0).attention.num_key_value_heads, 1);
  EXPECT_EQ(spec.layers.at(0).mlp.up_proj.weight.rows(), 5);
  EXPECT_EQ(spec.layers.at(1).mlp.down_proj.weight.cols(), 7);
  EXPECT_EQ(spec.notes.at(0), "layers differ in their heads: 2/1 to 3/1");
}

TEST(LayerValues, AShapeIsThatOfItsLayer) {
  EXPECT_EQ(message_of([] {
              describe("llama", with_lists("[2, 3]", "[5, 7]"), tensors_of({2, 3}, {5, 5}, 8));
            }),
            "tensor 'model.layers.1.mlp.gate_proj.weight': shape is [5, 32], config.json asks for "
            "[intermediate_size, hidden_size] = [7, 32]");
}

TEST(LayerValues, DefaultsAndRowsAreComputedForEachLayer) {
  const Family family = family_from_text(R"(
model_types = ["lists"]
inherits = "llama"
[config]
multipliers = {}
intermediate_size = { key = "none", default = "multipliers * hidden_size" }
[tensors]
gate_proj = { name = "fused.{i}", rows = { count = "intermediate_size" } }
up_proj = { name = "fused.{i}", rows = { begin = "intermediate_size", count = "intermediate_size" } }
)");
  Tensors tensors = tensors_of({2, 2}, {64, 32}, 8);
  for (const std::string layer : {"0", "1"}) {
    const std::string at = "model.layers." + layer + ".mlp.";
    const std::int64_t inner = tensors.at(at + "gate_proj.weight").at(0);
    tensors["fused." + layer] = {2 * inner, 32};
    tensors.erase(at + "gate_proj.weight");
    tensors.erase(at + "up_proj.weight");
  }
  const JsonValue config = with_key(with_lists("2", "[4, 4]"), "multipliers", "[2, 1]");
  const DecoderSpec spec = describe(family, with_key(config, "intermediate_size", ""), tensors);
  EXPECT_EQ(spec.layers.at(0).mlp.up_proj.weight.rows(), 64);
  EXPECT_EQ(spec.layers.at(1).mlp.up_proj.weight.rows(), 32);
}

TEST(LayerValues, AListThatFitsNoLayersIsAnError) {
  const auto message = [](const std::string& key, const std::string& json) {
    return message_of([&] { describe("llama", with_key(small(), key, json), {}); });
  };
  EXPECT_EQ(message("num_attention_heads", "[2, 2, 2]"),
            "config.json: 'num_attention_heads' is a list of 3; expected a value for each of 2 layers");
  EXPECT_EQ(message("num_hidden_layers", "[2]"),
            "config.json: 'num_hidden_layers' is a list, expected a number");
  EXPECT_EQ(
      message("hidden_size", "[32, 8]"),
      "config.json: 'hidden_size' differs from layer to layer, but family 'llama' needs one value for all");
  // The rotary table is one for all.
  EXPECT_EQ(
      message_of([] {
        describe("llama", with_key(small(), "head_dim", "[8, 4]"), testing::llama_like_tensors(small()));
      }),
      "config.json: 'head_dim' differs from layer to layer, but family 'llama' needs one value for all");
}

}  // namespace
}  // namespace llm2mnn
