// Per-layer embeddings, AltUp, LAuReL, shared keys and values, sparse gates, sizes that differ between
// layers.

#include <cmath>
#include <gtest/gtest.h>

#include "arch/arch_test_util.h"
#include "arch/residual_describer.h"

namespace llm2mnn {
namespace {

using testing::describe;
using testing::message_of;
using testing::Tensors;
using testing::with_key;

constexpr const char* kFamily = "gemma3n_text";

// Four layers of 8 channels and two streams; the last layer shares keys and values.
JsonValue small_config() {
  return parse_json(R"({"model_type": "gemma3n_text", "vocab_size": 12, "vocab_size_per_layer_input": 10,
    "hidden_size": 8, "hidden_size_per_layer_input": 3, "intermediate_size": [16, 16, 8, 16],
    "num_hidden_layers": 4, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4,
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention", "full_attention"],
    "altup_num_inputs": 2, "altup_active_idx": 1, "laurel_rank": 5, "num_kv_shared_layers": 1,
    "activation_sparsity_pattern": [0.95, 0, 0.5, 0]})");
}

Tensors tensors_of(const JsonValue& config) {
  Tensors tensors =
      testing::stored_tensors(testing::family_named(kFamily), with_key(config, "intermediate_size", "16"));
  for (const char* part : {"gate_proj", "up_proj", "down_proj"}) {
    tensors[fmt::format("model.layers.2.mlp.{}.weight", part)] = {8, 8};
  }
  for (int j = 1; j < 4; ++j) {  // there are as many as streams, not as layers
    tensors.erase(fmt::format("model.altup_projections.{}.weight", j));
    tensors.erase(fmt::format("model.altup_unembed_projections.{}.weight", j));
  }
  tensors.erase("lm_head.weight");
  return tensors;
}

DecoderSpec small_spec() { return describe(kFamily, small_config(), tensors_of(small_config())); }

std::string message_with(const char* key, const char* json) {
  const JsonValue config = with_key(small_config(), key, json);
  return message_of([&] { describe(kFamily, config, tensors_of(small_config())); });
}

TEST(NormalQuantile, IsTheInverseOfTheDistribution) {
  EXPECT_NEAR(normal_quantile(0.95), 1.6448536269514722, 1e-12);
  EXPECT_NEAR(normal_quantile(0.5), 0, 1e-12);
  EXPECT_NEAR(normal_quantile(1e-6), -4.753424308822899, 1e-9);
  EXPECT_NEAR(normal_quantile(0.999999), 4.753424308822899, 1e-6);
}

TEST(PerLayerEmbedding, FactorsGoIntoTheNormAndIdsBehindTheTableReadItsFirstRow) {
  const DecoderSpec spec = small_spec();
  ASSERT_TRUE(spec.per_layer_embedding.has_value());
  const PerLayerEmbeddingSpec& own = *spec.per_layer_embedding;
  EXPECT_EQ(own.size, 3);
  EXPECT_EQ(own.table.rows(), 12);
  EXPECT_EQ(own.table.cols(), 12);
  EXPECT_DOUBLE_EQ(own.projection_norm.eps, 1e-6 * 8);
  EXPECT_NEAR(own.table_scale, std::sqrt(1.5), 1e-12);
  EXPECT_TRUE(spec.layers.at(0).per_layer_input.has_value());
}

TEST(SharedKeysAndValues, AreThoseOfTheLastLayerOfTheType) {
  const DecoderSpec spec = small_spec();
  EXPECT_FALSE(spec.layers.at(2).attention.kv_source.has_value());
  EXPECT_EQ(spec.layers.at(3).attention.kv_source, 1U);
  EXPECT_TRUE(spec.layers.at(3).attention.k_proj.weight.is_empty());
  EXPECT_FALSE(spec.layers.at(3).attention.v_norm.has_value());
  EXPECT_TRUE(spec.layers.at(1).attention.v_norm.has_value());
  ASSERT_EQ(spec.ignored.size(), 3U);
  EXPECT_EQ(spec.ignored.front().rule, "layer shares keys and values");
}

TEST(SharedKeysAndValues, NeedALayerThatMakesThem) {
  EXPECT_EQ(
      message_with("layer_types",
                   R"(["sliding_attention", "sliding_attention", "sliding_attention", "full_attention"])"),
      "config.json: layer 3 shares keys and values, and no layer of its type before layer 3 makes them");
  EXPECT_EQ(message_with("num_kv_shared_layers", "4"),
            "config.json: 4 of 4 layers share keys and values; expected 0 or more, and fewer than all");
}

TEST(Altup, CoefficientsCarryTheIdentityAndTheCorrectionsShares) {
  const AltupSpec altup = small_spec().layers.at(1).altup.value();
  EXPECT_EQ(altup.num_streams, 2);
  EXPECT_EQ(altup.active, 1);
  EXPECT_EQ(altup.prediction.weight.rows(), 4);
  EXPECT_EQ(altup.prediction.bias.rows(), 4);
  EXPECT_EQ(altup.correction.weight.rows(), 4);
  EXPECT_EQ(altup.correction.bias.rows(), 4);
  EXPECT_EQ(small_spec().altup_projections.size(), 1U);
}

TEST(Altup, WordsThatDoNotGoTogetherAreRefused) {
  EXPECT_EQ(message_with("altup_active_idx", "2"), "config.json: 'altup.active' comes to 2, expected 0 to 1");
  EXPECT_EQ(message_with("hidden_size_per_layer_input", "0"),
            "config.json: altup.streams goes with per_layer_embedding.size");
}

TEST(SparseGates, HaveAShareForEachLayer) {
  const DecoderSpec spec = small_spec();
  EXPECT_NEAR(spec.layers.at(0).mlp.sparsity_deviations.value(), 1.6448536, 1e-6);
  EXPECT_FALSE(spec.layers.at(1).mlp.sparsity_deviations.has_value());
  EXPECT_NEAR(spec.layers.at(2).mlp.sparsity_deviations.value(), 0, 1e-7);
  EXPECT_EQ(message_with("activation_sparsity_pattern", "[0, 1, 0, 0]"),
            "config.json: 'mlp.sparsity' comes to 1 for layer 1, expected 0 to 1");
}

TEST(LayerSizes, MlpsMayDiffer) {
  EXPECT_EQ(small_spec().layers.at(2).mlp.up_proj.weight.rows(), 8);
  EXPECT_EQ(small_spec().layers.at(3).mlp.up_proj.weight.rows(), 16);
}

}  // namespace
}  // namespace llm2mnn
