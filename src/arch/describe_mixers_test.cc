// Layers without attention: short convolutions and linear attention.

#include <gtest/gtest.h>

#include "arch/arch_test_util.h"

namespace llm2mnn {
namespace {

using testing::describe;
using testing::family_from_text;
using testing::message_of;
using testing::Tensors;
using testing::with_key;

// H 8, four layers; attention in layers 1 and 2.
JsonValue conv_config() {
  return parse_json(R"({"model_type": "lfm2", "vocab_size": 10, "hidden_size": 8, "num_hidden_layers": 4,
    "num_attention_heads": 2, "num_key_value_heads": 1, "block_ff_dim": 13, "block_ffn_dim_multiplier": 1.5,
    "block_multiple_of": 4, "conv_L_cache": 3, "full_attn_idxs": [1, 2]})");
}

Tensors conv_tensors() {
  Tensors all{{"model.embed_tokens.weight", {10, 8}}, {"model.embedding_norm.weight", {8}}};
  for (const std::string i : {"0", "1", "2", "3"}) {
    const std::string at = "model.layers." + i + ".";
    all[at + "operator_norm.weight"] = all[at + "ffn_norm.weight"] = {8};
    // floor(1.5 * floor(2 * 13 / 3)) = 12, a multiple of 4.
    all[at + "feed_forward.w1.weight"] = all[at + "feed_forward.w3.weight"] = {12, 8};
    all[at + "feed_forward.w2.weight"] = {8, 12};
    if (i == "0" || i == "3") {
      all[at + "conv.in_proj.weight"] = {24, 8};
      all[at + "conv.conv.weight"] = {8, 1, 3};
      all[at + "conv.out_proj.weight"] = {8, 8};
      continue;
    }
    all[at + "self_attn.q_proj.weight"] = all[at + "self_attn.out_proj.weight"] = {8, 8};
    all[at + "self_attn.k_proj.weight"] = all[at + "self_attn.v_proj.weight"] = {4, 8};
    all[at + "self_attn.q_layernorm.weight"] = all[at + "self_attn.k_layernorm.weight"] = {4};
  }
  return all;
}

TEST(Mixers, AListOfAttentionLayersLeavesTheOthersToTheConvolution) {
  const DecoderSpec spec = describe("lfm2", conv_config(), conv_tensors());
  for (const std::size_t i : {0u, 3u}) {
    ASSERT_TRUE(spec.layers.at(i).short_conv.has_value());
    EXPECT_EQ(spec.layers.at(i).short_conv->taps, 3);
    EXPECT_EQ(spec.layers.at(i).short_conv->kernel.rows(), 24);  // a vector
    EXPECT_EQ(spec.layers.at(i).short_conv->kernel.cols(), 1);
  }
  EXPECT_FALSE(spec.layers.at(1).short_conv.has_value());
  EXPECT_EQ(spec.layers.at(1).mlp.up_proj.weight.rows(), 12);
  EXPECT_TRUE(spec.tied);
}

TEST(Mixers, LayerTypesGoBeforeTheListOfNumbers) {
  const JsonValue config =
      with_key(conv_config(), "layer_types", R"(["conv", "full_attention", "full_attention", "conv"])");
  EXPECT_TRUE(
      describe("lfm2", with_key(config, "full_attn_idxs", "[0]"), conv_tensors()).layers[3].short_conv);
  const JsonValue other =
      with_key(conv_config(), "layer_types", R"(["mamba", "full_attention", "full_attention", "conv"])");
  EXPECT_EQ(
      message_of([&] { describe("lfm2", other, conv_tensors()); }),
      "config.json: 'layer_types'[0] is '\"mamba\"'; supported are full_attention and sliding_attention, and "
      "conv");
  EXPECT_EQ(
      message_of([&] { describe("lfm2", with_key(conv_config(), "full_attn_idxs", "[4]"), conv_tensors()); }),
      "config.json: 'full_attn_idxs' holds '4'; expected numbers of 4 layers");
}

TEST(Mixers, AConvolutionWithBiasesIsRefused) {
  EXPECT_NE(message_of([] {
              describe("lfm2", with_key(conv_config(), "conv_bias", "true"), conv_tensors());
            }).find("convolutions with biases (conv_bias)"),
            std::string::npos);
}

TEST(Mixers, LinearAttentionWithoutAMixerIsRefused) {
  JsonValue config = parse_json(testing::kSmallLlama);
  const Family family = family_from_text(
      "model_types = [\"llama\"]\ninherits = \"llama\"\n[attention]\nlayer_types = \"i == 1 ? mixer : "
      "full\"\n");
  EXPECT_NE(message_of([&] {
              describe(family, config, testing::llama_like_tensors(config));
            }).find("some layers have no attention"),
            std::string::npos);
}

TEST(Mixers, GatedDeltaTakesItsRowsFromTheFusedMatrices) {
  JsonValue config = parse_json(R"({"model_type": "qwen3_next", "vocab_size": 10, "hidden_size": 8,
    "num_hidden_layers": 1, "intermediate_size": 12, "num_attention_heads": 2, "num_key_value_heads": 1,
    "head_dim": 4, "layer_types": ["linear_attention"], "num_experts": 0, "linear_conv_kernel_dim": 4,
    "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 3,
    "linear_value_head_dim": 5})");
  const std::string at = "model.layers.0.";
  Tensors all{{"model.embed_tokens.weight", {10, 8}},
              {"lm_head.weight", {10, 8}},
              {"model.norm.weight", {8}},
              {at + "input_layernorm.weight", {8}},
              {at + "post_attention_layernorm.weight", {8}},
              {at + "linear_attn.in_proj_qkvz.weight", {52, 8}},
              {at + "linear_attn.in_proj_ba.weight", {8, 8}},
              {at + "linear_attn.conv1d.weight", {32, 1, 4}},
              {at + "linear_attn.dt_bias", {4}},
              {at + "linear_attn.A_log", {4}},
              {at + "linear_attn.norm.weight", {5}},
              {at + "linear_attn.out_proj.weight", {8, 20}},
              {at + "mlp.gate_proj.weight", {12, 8}},
              {at + "mlp.up_proj.weight", {12, 8}},
              {at + "mlp.down_proj.weight", {8, 12}},
              {"mtp.fc.weight", {8, 16}}};
  const DecoderSpec spec = describe("qwen3_next", config, all);
  const GatedDeltaSpec& delta = spec.layers.at(0).gated_delta.value();
  EXPECT_EQ(delta.qkv_proj.weight.rows(), 32);
  EXPECT_EQ(delta.z_proj.weight.rows(), 20);
  EXPECT_EQ(delta.a_proj.bias.rows(), 4);
  EXPECT_EQ(delta.kernel.rows(), 128);
  EXPECT_EQ(delta.decay.rows(), 4);
  EXPECT_EQ(spec.ignored.at(0).rule, "multi-token prediction");
  // 1 + w, but not here.
  EXPECT_TRUE(delta.norm.weight.plain_source().has_value());
  EXPECT_FALSE(spec.norm->weight.plain_source().has_value());
  config = with_key(config, "linear_num_key_heads", "3");
  EXPECT_EQ(message_of([&] { describe("qwen3_next", config, all); }),
            "config.json: linear_num_value_heads 4 is no multiple of linear_num_key_heads 3");
}

TEST(ConfigWords, StandForNumbersAndAnotherStringIsRefused) {
  const Family family = family_from_text(
      "model_types = [\"llama\"]\ninherits = \"llama\"\n[config]\nscores = { default = 0, words = { soft = "
      "2, hard = 3 } }\n"
      "[model]\nlogit_scale = \"scores\"\n");
  const JsonValue config = parse_json(testing::kSmallLlama);
  const Tensors tensors = testing::llama_like_tensors(config);
  EXPECT_EQ(describe(family, with_key(config, "scores", "\"hard\""), tensors).logit_scale, 3);
  EXPECT_EQ(message_of([&] { describe(family, with_key(config, "scores", "\"odd\""), tensors); }),
            "config.json: 'scores' is '\"odd\"'; supported are hard, soft");
}

}  // namespace
}  // namespace llm2mnn
