// Published config.json files of models with code of their own, as far as they differ from what the fixtures
// say.

#include <cmath>
#include <gtest/gtest.h>

#include "arch/arch_test_util.h"
#include "arch/config_keys.h"
#include "arch/embedded_families.h"

namespace llm2mnn {
namespace {

using testing::family_named;
using testing::message_of;
using testing::stored_tensors;
using testing::Tensors;
using testing::with_key;

JsonValue config_of(const std::string& name) {
  return load_json(std::string(LLM2MNN_SOURCE_DIR) + "/tests/fixtures/remote_configs/" + name + ".json");
}

const Family& family_of(const JsonValue& config) {
  return family_named(std::string(config.find("model_type")->as_string()));
}

DecoderSpec describe_stored(const JsonValue& config) {
  return testing::describe(family_of(config), config, stored_tensors(family_of(config), config));
}

struct Expected {
  const char* file;
  std::size_t layers;
  std::int64_t kv_heads, head_dim, vocab, inner, context;
  double theta;
  std::int64_t exact_below;
  bool tied;
};

class RemoteConfig : public ::testing::TestWithParam<Expected> {};

TEST_P(RemoteConfig, IsDescribed) {
  const Expected& expected = GetParam();
  const DecoderSpec spec = describe_stored(config_of(expected.file));
  ASSERT_EQ(spec.layers.size(), expected.layers);
  const AttentionSpec& attention = spec.layers[0].attention;
  EXPECT_EQ(attention.num_key_value_heads, expected.kv_heads);
  EXPECT_EQ(attention.head_dim, expected.head_dim);
  EXPECT_EQ(spec.vocab_size, expected.vocab);
  EXPECT_EQ(spec.layers[0].mlp.up_proj.weight.rows(), expected.inner);
  EXPECT_EQ(spec.max_position_embeddings, expected.context);
  EXPECT_EQ(spec.tied, expected.tied);
  ASSERT_EQ(spec.ropes.size(), 1u);
  const RopeSpec& rope = spec.ropes[0];
  EXPECT_NEAR(rope.inv_freq[1], std::pow(expected.theta, -2.0 / static_cast<double>(rope.rotary_dim)), 1e-6);
  EXPECT_EQ(rope.exact_below, expected.exact_below);
}

// TeleChat: 10000 * alpha ^ (Dh / (Dh - 2)), alpha 3 for twice the base length, 1 within it.
INSTANTIATE_TEST_SUITE_P(
    All, RemoteConfig,
    ::testing::Values(Expected{"telechat-7b", 30, 32, 128, 160256, 12288, 8192,
                               10000 * std::pow(3.0, 128.0 / 126), 8192, true},
                      Expected{"telechat-12b", 38, 32, 160, 120000, 12288, 8192, 10000, 8192, false},
                      Expected{"chatglm3-6b", 28, 2, 128, 65024, 13696, 8192, 10000, 0, false},
                      Expected{"glm-4-9b-chat", 40, 2, 128, 151552, 13696, 131072, 5e6, 0, false},
                      Expected{"baichuan2-7b-chat", 32, 32, 128, 125696, 11008, 4096, 10000, 0, false},
                      Expected{"internlm2-chat-1_8b", 24, 8, 128, 92544, 8192, 32768, 1e6, 32768, false},
                      Expected{"internlm-20b", 60, 40, 128, 103168, 13824, 4096, 10000, 4096, false},
                      Expected{"internlm3-8b", 48, 2, 128, 128512, 10240, 32768, 5e7, 32768, false},
                      Expected{"exaone-3.0-7.8b", 32, 8, 128, 102400, 14336, 4096, 5e5, 0, false},
                      Expected{"qwen-7b", 32, 32, 128, 151936, 11008, 32768, 10000, 8192, false},
                      Expected{"qwen-7b-first-release", 32, 32, 128, 151936, 11008, 8192, 10000, 2048,
                               false}),
    [](const auto& item) {
      std::string name = item.param.file;
      std::replace_if(
          name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; },
          '_');
      return name;
    });

// Models with experts or with layers that differ, whose tensors are too many to be made up here: no key of
// theirs is refused.
TEST(RemoteConfig, KeysOfMixturesAndListsAreAccepted) {
  std::set<std::string> known;
  for (const EmbeddedFamily& file : embedded_families())
    known.merge(family_named(std::string(file.name)).consumed_keys());
  for (const char* file :
       {"deepseek-v2-lite", "deepseek-v3", "moonlight-16b-a3b", "kimi-k2", "hunyuan-a13b", "openelm-270m"}) {
    const JsonValue config = config_of(file);
    const std::string type(config.find("model_type")->as_string());
    const Family& family = family_named(type == "kimi_k2" ? "deepseek_v3" : type);
    EXPECT_EQ(refused_config_keys(config, family, known), std::vector<std::string>{}) << file;
    ErrorKind kind{};
    const std::string message = message_of([&] { testing::describe(family, config, {}); }, &kind);
    EXPECT_EQ(message.find("missing tensors: "), 0u) << file << ": " << message;
  }
}

TEST(RemoteConfig, TeleChat7bIsStoredWithoutItsPrefix) {
  const JsonValue config = config_of("telechat-7b");
  Tensors bare;
  for (const auto& [name, shape] : stored_tensors(family_of(config), config))
    bare[name.substr(std::string("transformer.").size())] = shape;
  EXPECT_EQ(testing::describe(family_of(config), config, bare).layers.size(), 30u);
}

TEST(RemoteConfig, OnlyTheSecondBaichuanNormalisesItsHead) {
  JsonValue config = config_of("baichuan2-7b-chat");
  EXPECT_FALSE(describe_stored(config).lm_head.weight.plain_source().has_value());
  config = with_key(config, "z_loss_weight", "");  // the base model does not say it
  EXPECT_FALSE(describe_stored(config).lm_head.weight.plain_source().has_value());
  config = with_key(with_key(config, "vocab_size", "64000"), "architectures", R"(["BaiChuanForCausalLM"])");
  EXPECT_TRUE(describe_stored(config).lm_head.weight.plain_source().has_value());
}

std::string refusal(const JsonValue& config) {
  ErrorKind kind{};
  const std::string message = message_of([&] { testing::describe(family_of(config), config, {}); }, &kind);
  EXPECT_EQ(kind, ErrorKind::kUnsupported) << message;
  return message;
}

TEST(RemoteConfig, TheFirstChatGlmIsRefusedByName) {
  EXPECT_NE(refusal(config_of("chatglm-6b")).find("ChatGLM-6B, the first generation, has two positions"),
            std::string::npos);
}

TEST(RemoteConfig, ARatioThatMayInterpolatePositionsIsRefused) {
  JsonValue config = with_key(config_of("chatglm3-6b"), "seq_length", "32768");
  EXPECT_NE(refusal(with_key(config, "rope_ratio", "4")).find("ChatGLM2-6B-32K"), std::string::npos);
  config = with_key(config, "rope_ratio", "50");
  EXPECT_NEAR(describe_stored(config).ropes.at(0).inv_freq.at(1), std::pow(5e5, -2.0 / 64), 1e-6);
}

TEST(RemoteConfig, OptionsThatNoPublishedModelHasAreRefused) {
  const JsonValue config = config_of("chatglm3-6b");
  EXPECT_NE(refusal(with_key(config, "rmsnorm", "false")).find("LayerNorm"), std::string::npos);
  EXPECT_NE(refusal(with_key(config, "post_layer_norm", "false")).find("final norm"), std::string::npos);
  const std::string post = "apply_residual_connection_post_layernorm";
  EXPECT_NE(refusal(with_key(config, post, "true")).find(post), std::string::npos);
  EXPECT_NE(refusal(with_key(config_of("telechat-12b"), "embed_layernorm", "true")).find("embed_layernorm"),
            std::string::npos);
}

}  // namespace
}  // namespace llm2mnn
