// Variants of norms and attention: weights for each head, no weights, limits, patterns of letters.

#include <cmath>
#include <gtest/gtest.h>

#include "arch/arch_test_util.h"

namespace llm2mnn {
namespace {

using testing::describe;
using testing::family_from_text;
using testing::llama_like_tensors;
using testing::message_of;
using testing::Tensors;

JsonValue small_llama() { return parse_json(testing::kSmallLlama); }  // Hq 4, Hkv 2, Dh 8

Family family_with(const std::string& q_name, const std::string& k_name, const std::string& on = "true") {
  return family_from_text(
      "model_types = [\"llama\"]\ninherits = \"llama\"\n[attention]\nqk_norm = \"heads\"\n"
      "qk_norm_on = " +
      on + "\n[tensors]\nq_norm = \"" + q_name + "\"\nk_norm = \"" + k_name + "\"\n");
}

Tensors with_norms(const std::string& name, const Shape& q, const Shape& k) {
  Tensors tensors = llama_like_tensors(small_llama());
  for (int i = 0; i < 2; ++i) {
    tensors["q." + std::to_string(i) + name] = q;
    tensors["k." + std::to_string(i) + name] = k;
  }
  return tensors;
}

TEST(HeadNorms, AMatrixIsTheVectorOfItsRows) {
  const Family family = family_with("q.{i}", "k.{i}");
  const DecoderSpec spec = describe(family, small_llama(), with_norms("", {4, 8}, {2, 8}));
  const AttentionSpec& attention = spec.layers.at(1).attention;
  EXPECT_EQ(attention.qk_norm_kind, QkNormKind::kHeads);
  EXPECT_EQ(attention.q_norm->weight.rows(), 32);
  EXPECT_EQ(attention.q_norm->weight.cols(), 1);
  EXPECT_EQ(attention.k_norm->weight.rows(), 16);
  EXPECT_EQ(message_of([&] {
              describe(family, small_llama(), with_norms("", {32}, {2, 8}));
            }),
            "tensor 'q.0': shape is [32], config.json asks for [num_attention_heads, head_dim] = [4, 8]");
}

TEST(HeadNorms, ATensorOfEachHeadIsOnePartOfTheVector) {
  const Family family = family_with("q.{i}.{h}", "k.{i}.{h}");
  Tensors tensors = with_norms(".0", {8}, {8});
  for (int i = 0; i < 2; ++i)
    for (const char* name : {"q.?.1", "q.?.2", "q.?.3", "k.?.1"}) {
      std::string own = name;
      own.at(2) = static_cast<char>('0' + i);
      tensors[own] = {8};
    }
  const DecoderSpec spec = describe(family, small_llama(), tensors);
  EXPECT_EQ(spec.layers.at(1).attention.q_norm->weight.rows(), 32);
  std::vector<TensorId> sources;
  spec.layers.at(1).attention.k_norm->weight.collect_sources(sources);
  EXPECT_EQ(sources.size(), 2u);
  tensors.erase("q.1.2");
  EXPECT_NE(message_of([&] { describe(family, small_llama(), tensors); }).find("missing tensors: 'q.1.2'"),
            std::string::npos);
}

TEST(HeadNorms, SwitchedOffTheyAreLeftOverByName) {
  const Family family = family_with("q.{i}.{h}", "k.{i}.{h}", "\"mlp_bias\"");
  EXPECT_FALSE(
      describe(family, small_llama(), llama_like_tensors(small_llama())).layers.at(0).attention.q_norm);
  const std::string message =
      message_of([&] { describe(family, small_llama(), with_norms(".0", {8}, {8})); });
  EXPECT_NE(message.find(": role 'k_norm' is off, attention.qk_norm_on = 'mlp_bias'"), std::string::npos)
      << message;
}

Family clone_with(const std::string& text) {
  return family_from_text("model_types = [\"llama\"]\ninherits = \"llama\"\n" + text);
}

TEST(NormsWithoutWeights, AreOnesAndUseNoTensor) {
  const Family family = clone_with("[norm]\nweight = false\ngamma_offset = 1\n");
  Tensors tensors = llama_like_tensors(small_llama());
  const std::string message = message_of([&] { describe(family, small_llama(), tensors); });
  EXPECT_NE(message.find("role 'input_layernorm' is off, norm.weight = '0'"), std::string::npos) << message;
  std::erase_if(tensors, [](const auto& item) { return item.first.find("norm") != std::string::npos; });
  const DecoderSpec spec = describe(family, small_llama(), tensors);
  for (const NormSpec* norm :
       {&*spec.norm, &*spec.layers.at(1).input_norm, &*spec.layers.at(1).pre_mlp_norm}) {
    std::vector<TensorId> sources;
    norm->weight.collect_sources(sources);
    EXPECT_TRUE(sources.empty()) << norm->address;
    EXPECT_EQ(norm->weight.rows(), spec.hidden_size);
  }
}

TEST(ClipQkv, IsRefusedWhereTheRowsOfQAreScaled) {
  const auto clipped = [](const std::string& attention) {
    return describe(clone_with("[attention]\n" + attention), small_llama(),
                    llama_like_tensors(small_llama()));
  };
  EXPECT_EQ(clipped("clip_qkv = 0.5").layers.at(1).attention.clip_qkv, 0.5);
  for (const char* attention : {"clip_qkv = -1", "clip_qkv = 8\nscale = 1"})
    EXPECT_NE(message_of([&] { clipped(attention); }).find("'attention.clip_qkv' comes to"),
              std::string::npos);
}

TEST(LayerPattern, IsReadLetterByLetterAndTheLastLayerIsFull) {
  const Family family = clone_with(
      "[config]\nsliding_window_pattern = { default = 2 }\n[attention]\nsliding_window = 5\n"
      "layer_types = { key = \"sliding_window_pattern\", "
      "default = \"(i + 1) % sliding_window_pattern == 0 ? full : sliding\" }\n");
  const auto masks = [&](const std::string& pattern) {
    JsonValue config = testing::with_key(small_llama(), "num_hidden_layers", "5");
    config = testing::with_key(config, "sliding_window_pattern", pattern);
    std::string letters;
    for (const LayerSpec& layer : describe(family, config, llama_like_tensors(config)).layers)
      letters += layer.attention.mask == MaskKind::kSliding ? 'L' : 'G';
    return letters;
  };
  EXPECT_EQ(masks("\"LLG\""), "LLGLG");
  EXPECT_EQ(masks("\"GL\""), "GLGLG");
  EXPECT_EQ(masks("\"L\""), "LLLLG");
  EXPECT_EQ(masks("3"), "LLGLL");
  EXPECT_NE(message_of([&] { masks("\"LX\""); }).find("supported is a pattern of L and G"),
            std::string::npos);
  EXPECT_NE(message_of([&] { masks("\"\""); }).find("supported is a pattern"), std::string::npos);
}

TEST(RopeDictionary, KeysThatAFamilyCallsHarmlessAreNotAsked) {
  const std::string dictionary = R"({"type": "dynamic", "factor": 1.0, "alpha": 1000.0, "beta_fast": 32})";
  const JsonValue config = testing::with_key(small_llama(), "rope_scaling", dictionary);
  const auto described = [&](const std::string& text) {
    return describe(clone_with(text), config, llama_like_tensors(config));
  };
  EXPECT_NE(message_of([&] { described(""); }).find("key 'alpha' in 'rope_scaling'"), std::string::npos);
  const DecoderSpec spec = described(
      "[config]\nalpha = { key = \"rope_scaling.alpha\", default = 0 }\n"
      "[rope]\ntheta = \"rope_theta * alpha ^ (head_dim / (head_dim - 2))\"\n"
      "[harmless]\n\"rope_scaling.beta_fast\" = \"unread\"\n");
  const float theta = 10000.0F * std::pow(1000.0F, 8.0F / 6.0F);
  EXPECT_NEAR(spec.ropes.at(0).inv_freq.at(1) / std::pow(theta, -0.25F), 1, 1e-5);
}

TEST(Xielu, NeedsAnMlpWithoutGateAndItsThreeNumbers) {
  const std::string text =
      "[mlp]\nkind = \"plain\"\nactivation = { key = \"hidden_act\", default = \"xielu\" }\n"
      "[tensors]\nxielu_alpha_p = \"p.{i}\"\nxielu_alpha_n = \"n.{i}\"\nxielu_beta = \"b.{i}\"\n";
  Tensors tensors = llama_like_tensors(small_llama());
  std::erase_if(tensors, [](const auto& item) { return item.first.find("gate_proj") != std::string::npos; });
  for (const char* name : {"p.0", "p.1", "n.0", "n.1", "b.0", "b.1"})
    tensors[name] = {1};
  const JsonValue config = testing::with_key(small_llama(), "hidden_act", "\"xielu\"");
  const DecoderSpec spec = describe(clone_with(text), config, tensors);
  EXPECT_EQ(spec.layers.at(1).mlp.xielu->beta.rows(), 1);
  EXPECT_NE(message_of([&] { describe("llama", config, tensors); }).find("needs an MLP without gate"),
            std::string::npos);
  tensors.erase("n.1");
  EXPECT_NE(message_of([&] { describe(clone_with(text), config, tensors); }).find("missing tensors: 'n.1'"),
            std::string::npos);
}

}  // namespace
}  // namespace llm2mnn
