// Latent attention (MLA).

#include <gtest/gtest.h>

#include "arch/arch_test_util.h"

namespace llm2mnn {
namespace {

using testing::describe;
using testing::family_from_text;
using testing::message_of;
using testing::Tensors;
using testing::with_key;

// Hq 4, heads of 3 + 4 channels, v 5; latents of 6 and 7.
JsonValue config() {
  JsonValue config = parse_json(testing::kSmallLlama);
  for (const auto& [key, value] : {std::pair{"q_lora_rank", "6"},
                                   {"kv_lora_rank", "7"},
                                   {"qk_nope_head_dim", "3"},
                                   {"qk_rope_head_dim", "4"},
                                   {"v_head_dim", "5"},
                                   {"num_key_value_heads", "4"}})
    config = with_key(config, key, value);
  return config;
}

Family family(const std::string& more = "", const std::string& attention = "") {
  return family_from_text(R"(
model_types = ["latent"]
inherits = "llama"
[config]
q_lora_rank = { null = 0 }
kv_lora_rank = {}
qk_nope_head_dim = {}
qk_rope_head_dim = {}
v_head_dim = {}
head_dim = { default = "qk_nope_head_dim + qk_rope_head_dim" }
[attention]
kind = "latent"
)" + attention + R"(
[rope]
dim = "qk_rope_head_dim"
pairing = "pair"
)" + more + R"(
[tensors]
q_a_proj = "q_a.{i}"
q_a_norm = "q_n.{i}"
q_b_proj = "q_b.{i}"
kv_a_norm = "kv_n.{i}"
kv_a_proj = { name = "kv_a.{i}", rows = { count = "kv_lora_rank" } }
k_rope_proj = { name = "kv_a.{i}", rows = { begin = "kv_lora_rank", count = "qk_rope_head_dim" } }
k_b_proj = { name = "kv_b.{i}", rows = { count = 3, groups = 4, stride = 8 } }
v_b_proj = { name = "kv_b.{i}", rows = { begin = 3, count = 5, groups = 4, stride = 8 } }
)");
}

Tensors tensors(bool has_query_latent) {
  Tensors all = testing::llama_like_tensors(config());
  for (const std::string layer : {"0", "1"}) {
    const std::string at = "model.layers." + layer + ".self_attn.";
    const std::int64_t hidden = all.at(at + "q_proj.weight").at(1);
    for (const char* name : {"q_proj", "k_proj", "v_proj"})
      all.erase(at + name + ".weight");
    all[at + "o_proj.weight"] = {hidden, 20};
    if (has_query_latent) {
      all["q_a." + layer] = {6, hidden};
      all["q_n." + layer] = {6};
      all["q_b." + layer] = {28, 6};
    } else {
      all[at + "q_proj.weight"] = {28, hidden};
    }
    all["kv_a." + layer] = {11, hidden};
    all["kv_n." + layer] = {7};
    all["kv_b." + layer] = {32, 7};
  }
  return all;
}

TEST(Latent, HeadsOfVMayBeNarrowerAndEveryRowIsUsed) {
  const DecoderSpec spec = describe(family(), config(), tensors(true));
  const AttentionSpec& attention = spec.layers.at(1).attention;
  ASSERT_TRUE(attention.latent.has_value());
  EXPECT_EQ(attention.head_dim, 7);
  EXPECT_EQ(attention.latent->rope_dim, 4);
  EXPECT_EQ(attention.latent->value_dim, 5);
  EXPECT_EQ(attention.latent->q_a_proj->address, "layers.1.self_attn.q_a_proj");
  EXPECT_EQ(attention.latent->q_a_norm->eps, 1e-6);  // not rms_norm_eps
  EXPECT_EQ(attention.q_proj.weight.rows(), 28);
  EXPECT_EQ(attention.k_proj.weight.rows(), 12);
  EXPECT_EQ(attention.v_proj.weight.rows(), 20);
  EXPECT_EQ(attention.o_proj.weight.cols(), 20);
  EXPECT_EQ(spec.ropes.at(0).rotary_dim, 4);
}

TEST(Latent, ANullRankMeansAPlainQuery) {
  const DecoderSpec spec = describe(family(), with_key(config(), "q_lora_rank", "null"), tensors(false));
  EXPECT_FALSE(spec.layers.at(0).attention.latent->q_a_proj.has_value());
  EXPECT_EQ(spec.layers.at(0).attention.q_proj.address, "layers.0.self_attn.q_proj");
}

TEST(Latent, TheNormInFrontOfTheQueriesTakesTheFactorOfTheScores) {
  const auto gamma = [](const std::string& attention) {
    return describe(family("", attention), config(), tensors(true))
        .layers.at(0)
        .attention.latent->q_a_norm->weight;
  };
  EXPECT_TRUE(gamma("").plain_source().has_value());
  EXPECT_FALSE(gamma("scale = 2").plain_source().has_value());
}

TEST(Latent, SizesThatDoNotFitAreErrors) {
  EXPECT_EQ(
      message_of([] { describe(family(), with_key(config(), "num_key_value_heads", "2"), tensors(true)); }),
      "config.json: latent attention has 4 heads of 3 + 4 channels, not 2 key heads and 7 channels");
  EXPECT_EQ(message_of([] { describe(family(), with_key(config(), "v_head_dim", "8"), tensors(true)); }),
            "config.json: a head of v has 8 channels and one of k 7; the runtime's attention needs at most "
            "as many");
}

TEST(Latent, WordsOfPlainAttentionAreRefused) {
  for (const std::string word : {"alibi", "clip_qkv", "logit_softcap"})
    EXPECT_EQ(message_of([&] { describe(family("", word + " = 30"), config(), tensors(true)); }),
              "config.json: attention.kind = latent goes without attention." + word);
}

TEST(Latent, AFamilyNeedsTheNamesAndTheKind) {
  EXPECT_NE(
      message_of([] {
        family_from_text("model_types = [\"x\"]\ninherits = \"llama\"\n[attention]\nkind = \"latent\"\n");
      }).find("[config] lacks 'q_lora_rank' (width of the latent of q; 0: q has none)"),
      std::string::npos);
  EXPECT_NE(
      message_of([] {
        family_from_text("model_types = [\"x\"]\ninherits = \"llama\"\n[tensors]\nk_b_proj = \"k.{i}\"\n");
      }).find("role 'k_b_proj' has a tensor, but attention.kind = 'heads' never uses it"),
      std::string::npos);
}

}  // namespace
}  // namespace llm2mnn
