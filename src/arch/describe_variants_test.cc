// Variants of old models: narrow embeddings, norms of sums, no last norm, ALiBi behind limits and in
// bfloat16.

#include <gtest/gtest.h>

#include "arch/arch_test_util.h"

namespace llm2mnn {
namespace {

using testing::describe;
using testing::family_from_text;
using testing::llama_like_tensors;
using testing::message_of;
using testing::Tensors;

JsonValue small_llama() { return parse_json(testing::kSmallLlama); }  // V 40, H 32, Hq 4, Hkv 2, Dh 8

Family llama_with(const std::string& text) {
  return family_from_text("model_types = [\"llama\"]\ninherits = \"llama\"\n" + text);
}

std::string refusal(const std::string& text, const Tensors& tensors) {
  return message_of([&] { describe(llama_with(text), small_llama(), tensors); });
}

void expect_contains(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST(NarrowEmbedding, HasAMatrixOnBothSidesOfTheLayers) {
  const std::string text =
      "[model]\nembed_proj = true\n[config]\nembed_size = { key = \"narrow\", default = 16 }\n"
      "[tensors]\nembed_in_proj = \"in\"\nembed_out_proj = \"out\"\n";
  Tensors tensors = llama_like_tensors(small_llama());
  const std::int64_t vocab = tensors.at("lm_head.weight").front();
  tensors["model.embed_tokens.weight"] = tensors["lm_head.weight"] = {vocab, 16};
  tensors["in"] = {32, 16};
  tensors["out"] = {16, 32};
  const DecoderSpec spec = describe(llama_with(text), small_llama(), tensors);
  EXPECT_EQ(spec.embed_tokens.cols(), 16);
  EXPECT_EQ(spec.embed_in_proj->weight.rows(), 32);
  EXPECT_EQ(spec.embed_out_proj->weight.rows(), 16);
  EXPECT_EQ(spec.lm_head.weight.cols(), 16);
  tensors["model.embed_tokens.weight"] = {vocab, 32};
  expect_contains(refusal(text, tensors), "config.json asks for [vocab_size, embed_size]");
  expect_contains(refusal("[model]\nembed_proj = true\n", tensors), "[config] lacks 'embed_size'");
}

TEST(NormsOfSums, ReplaceThoseInFrontAndNeedNoLastOne) {
  Tensors tensors = llama_like_tensors(small_llama());
  const std::string block = "[block]\nnorms_of_sums = true\n";
  const DecoderSpec spec = describe(llama_with(block), small_llama(), tensors);
  EXPECT_EQ(spec.layers.at(1).residual, ResidualKind::kSums);
  EXPECT_TRUE(spec.layers.at(1).input_norm.has_value() && spec.layers.at(1).pre_mlp_norm.has_value());
  EXPECT_TRUE(spec.norm.has_value());
  expect_contains(refusal("[block]\nnorms_of_sums = true\nparallel = true\n", tensors),
                  "block.norms_of_sums needs residual 'pre'");
  const std::string bare = block +
                           "[config]\nlast = { key = \"last_norm\", default = false }\n[norm]\n"
                           "final = \"last\"\n";
  expect_contains(refusal(bare, tensors), "role 'norm' is off, norm.final = 'last'");
  tensors.erase("model.norm.weight");
  EXPECT_FALSE(describe(llama_with(bare), small_llama(), tensors).norm.has_value());
}

TEST(Alibi, SlopesStandBehindALimitOfQ) {
  const std::string text = "[attention]\nalibi = true\nclip_qkv = 6\n[rope]\nenabled = false\n";
  const DecoderSpec spec = describe(llama_with(text), small_llama(), llama_like_tensors(small_llama()));
  const AttentionSpec& attention = spec.layers.at(0).attention;
  EXPECT_EQ(attention.q_proj.weight.rows(), 4 * (8 + kAlibiChannels));
  EXPECT_TRUE(attention.q_proj.bias.is_empty());
  EXPECT_EQ(attention.alibi_query.rows(), 4 * (8 + kAlibiChannels));
}

TEST(Alibi, InBfloat16EachHeadOfKHasAChannelOfItsOwn) {
  const std::string text = "[attention]\nalibi = true\nalibi_rounded = true\n[rope]\nenabled = false\n";
  const Tensors grouped = llama_like_tensors(small_llama());
  expect_contains(refusal(text, grouped), "attention.alibi_rounded needs keys of each head's own");
  const JsonValue config = testing::with_key(small_llama(), "num_key_value_heads", "4");
  const AttentionSpec attention =
      describe(llama_with(text), config, llama_like_tensors(config)).layers.at(1).attention;
  EXPECT_FALSE(attention.has_alibi);
  EXPECT_EQ(attention.rounded_slopes, (std::vector<float>{0.25F, 0.0625F, 0.015625F, 0.00390625F}));
  EXPECT_EQ(attention.q_proj.weight.rows(), 4 * (8 + 1));
  EXPECT_EQ(attention.q_proj.bias.rows(), 4 * (8 + 1));
  EXPECT_EQ(attention.k_proj.weight.rows(), 4 * (8 + 1));
  EXPECT_TRUE(attention.k_proj.bias.is_empty());
}

}  // namespace
}  // namespace llm2mnn
