// Norms of q and k that have weights for each head.

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

}  // namespace
}  // namespace llm2mnn
