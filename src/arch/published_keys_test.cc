// Keys and spellings of published config.json files that a family's reference does not need.

#include <gtest/gtest.h>

#include "arch/arch_test_util.h"
#include "arch/config_keys.h"

namespace llm2mnn {
namespace {

TEST(PublishedKeys, AreNotRefused) {
  const struct {
    const char *family, *config;
  } rows[] = {
      {"qwen3_moe",
       R"({"use_qk_norm": true, "shared_expert_intermediate_size": 0, "max_window_layers": 28})"},
      {"gemma2", R"({"sliding_window_size": 4096, "cache_implementation": "hybrid"})"},
      {"phi3", R"({"full_attn_mod": 1, "interpolate_factor": 1, "lm_head_bias": false})"},
      {"stablelm", R"({"rope_pct": 0.25, "norm_eps": 1e-5, "rotary_scaling_factor": 1.0})"},
      {"starcoder2", R"({"activation_function": "gelu", "attention_softmax_in_fp32": true,
                         "scale_attention_softmax_in_fp32": true, "scale_attn_weights": true})"},
      {"gpt_neox", R"({"rotary_pct": 0.25, "partial_rotary_factor": 0.25, "rope_theta": 10000})"},
      {"ernie4_5", R"({"use_rmsnorm": true, "compression_ratio": 1.0})"},
      {"ernie4_5_moe", R"({"use_rmsnorm": true})"},
      {"hunyuan_v1_dense", R"({"enable_lm_head_fp32": true})"},
      {"lfm2", R"({"conv_use_xavier_init": true, "block_use_xavier_init": true})"},
      {"apertus", R"({"qk_norm": true, "post_norm": false})"},
      {"falcon", R"({"n_head": 128, "n_layer": 60, "n_embed": 8192})"},
  };
  for (const auto& row : rows)
    EXPECT_EQ(refused_config_keys(parse_json(row.config), testing::family_named(row.family), {}),
              std::vector<std::string>{})
        << row.family;
}

TEST(PublishedKeys, PartsOfAHeadThatRotateAreAlsoReadFromRopeParameters) {
  for (const char* family : {"glm", "glm4", "glm4_moe", "glm4v", "gpt_neox", "nemotron", "persimmon", "phi",
                             "phi3", "qwen3_next", "stablelm"})
    EXPECT_TRUE(
        testing::family_named(family).consumed_keys().contains("rope_parameters.partial_rotary_factor"))
        << family;
}

}  // namespace
}  // namespace llm2mnn
