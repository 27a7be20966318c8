// The reader of family files: every broken file of the corpus gives its message, and what the errors promise.

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <set>

#include "arch/arch_test_util.h"
#include "arch/family.h"
#include "base/file.h"

namespace llm2mnn {
namespace {

namespace fs = std::filesystem;
using testing::family_from_text;
using testing::message_of;

std::vector<fs::path> broken_files() {
  std::vector<fs::path> files;
  for (const auto& entry :
       fs::directory_iterator(std::string(LLM2MNN_SOURCE_DIR) + "/tests/fixtures/families/broken"))
    files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

class BrokenFamilyFile : public ::testing::TestWithParam<fs::path> {};

TEST_P(BrokenFamilyFile, GivesOneLineThatSaysWhere) {
  const std::string text = read_text_file(GetParam(), 1u << 20);
  const std::string mark = "# expect: ";
  ASSERT_EQ(text.rfind(mark, 0), 0u);
  const std::string expected = text.substr(mark.size(), text.find('\n') - mark.size());
  // The file's name and a line.
  const std::string place = GetParam().filename().string() + ":";
  ASSERT_EQ(expected.rfind(place, 0), 0u) << expected;
  ASSERT_NE(std::isdigit(static_cast<unsigned char>(expected[place.size()])), 0) << expected;
  ErrorKind kind = ErrorKind::kInternal;
  const std::string message = message_of(
      [] {
        FamilyRegistry registry = FamilyRegistry::built_in();
        registry.add_file(GetParam());
      },
      &kind);
  EXPECT_NE(message.find(expected), std::string::npos) << message << "\nexpected: " << expected;
  EXPECT_EQ(kind, ErrorKind::kFormat);
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  EXPECT_LT(message.size(), 500u);
}

INSTANTIATE_TEST_SUITE_P(Corpus, BrokenFamilyFile, ::testing::ValuesIn(broken_files()),
                         [](const auto& item) { return item.param.stem().string(); });

TEST(FamilyFile, ChildMergesConfigEntriesFieldByField) {
  const Family family = family_from_text(R"(
    model_types = ["x"]
    inherits = "mistral"
    [config]
    num_key_value_heads = { key = "n_kv" }
  )");
  const ConfigEntry& entry = family.config.at("num_key_value_heads");
  EXPECT_EQ(entry.keys, std::vector<std::string>{"n_kv"});
  EXPECT_EQ(entry.if_missing->text(), "8");
  EXPECT_EQ(entry.if_null->text(), "num_attention_heads");
}

TEST(FamilyFile, OneBiasSetsThoseThatTheFileDoesNotName) {
  const Family family = family_from_text(R"(
    model_types = ["x"]
    inherits = "llama"
    [attention]
    bias = true
    o_bias = false
    [mlp]
    down_bias = true
    bias = "mlp_bias && attention_bias"
  )");
  for (const char* path : {"attention.q_bias", "attention.k_bias", "attention.v_bias", "mlp.down_bias"})
    EXPECT_EQ(family.setting(path).expression.constant_value(), 1) << path;
  EXPECT_TRUE(family.setting("attention.o_bias").expression.is_zero());
  for (const char* path : {"mlp.gate_bias", "mlp.up_bias"})
    EXPECT_EQ(family.setting(path).expression.text(), "mlp_bias && attention_bias") << path;
}

TEST(FamilyFile, ChildDoesNotInheritWhichModelsItClaims) {
  const Family family = family_from_text("model_types = [\"x\"]\ninherits = \"llama\"\n");
  EXPECT_TRUE(family.architectures.empty());
  EXPECT_EQ(family.tensors.at("q_proj").name, "model.layers.{i}.self_attn.q_proj.weight");
}

TEST(FamilyFile, KeysThatAnAncestorReadsAreNotConsumedWhenNothingUsesThem) {
  EXPECT_EQ(testing::family_named("llama").consumed_keys().count("attention_bias"), 1u);
  EXPECT_EQ(testing::family_named("mistral").consumed_keys().count("attention_bias"), 0u);
  EXPECT_EQ(testing::family_named("qwen3").consumed_keys().count("attention_bias"), 1u);
}

TEST(FamilyRegistry, UsersFileMayExtendItsNamesake) {
  const fs::path dir = fs::temp_directory_path() / "llm2mnn_family_test";
  fs::create_directories(dir);
  std::ofstream(dir / "llama.toml") << "model_types = [\"llama\", \"lama_next\"]\ninherits = \"llama\"\n";
  FamilyRegistry registry = FamilyRegistry::built_in();
  registry.add_file(dir / "llama.toml");
  EXPECT_EQ(registry.summaries().front().model_types.back(), "lama_next");
  fs::remove_all(dir);
}

bool has_feature(const FamilySummary& family, const std::string& word) {
  return std::find(family.features.begin(), family.features.end(), word) != family.features.end();
}

// Whether some line of the family's or an ancestor's file gives the key a value.
bool is_said(const std::string& name, std::string_view path) {
  return testing::family_named(name).settings.count(std::string(path)) != 0;
}

TEST(FamilyRegistry, FeaturesComeFromTheChoices) {
  const std::vector<FamilySummary> families = FamilyRegistry::built_in().summaries();
  ASSERT_GT(families.size(), 30u);
  for (const FamilySummary& family : families) {
    std::set<std::string> possible;
    for (const VocabularyKey& key : vocabulary()) {
      const std::string name(key.path.substr(key.path.find('.') + 1));
      const bool is_default = key.feature.substr(0, 1) == "!";
      if (!is_said(family.name, key.path) && !is_default) continue;
      std::string word = key.feature.empty() ? name : std::string(key.feature.substr(is_default ? 1 : 0));
      if (key.feature.empty() && key.kind == KeyKind::kMenu)
        word += " " + testing::family_named(family.name).setting(key.path).word;
      if (key.kind == KeyKind::kActivation) word = testing::family_named(family.name).setting(key.path).word;
      possible.insert(word);
    }
    possible.insert("rope_by_layer_type");
    for (const std::string& feature : family.features)
      EXPECT_EQ(possible.count(feature), 1u) << family.name << ": no file says " << feature;
    // A switch that a file sets to an expression is up to the config, and listed.
    for (const VocabularyKey& key : vocabulary()) {
      const Setting setting = testing::family_named(family.name).setting(key.path);
      const bool is_open = key.kind == KeyKind::kExpression && key.fallback == "0" && key.feature.empty() &&
                           !setting.expression.constant_value().has_value();
      const std::string word(key.path.substr(key.path.find('.') + 1));
      EXPECT_TRUE(!is_open || has_feature(family, word)) << family.name << ": " << key.path;
    }
  }
}

TEST(FamilyRegistry, FeaturesAreThoseOfWellKnownFamilies) {
  const std::vector<FamilySummary> families = FamilyRegistry::built_in().summaries();
  const auto has = [&](const std::string& name, const std::string& word) {
    const auto family = std::find_if(families.begin(), families.end(),
                                     [&](const FamilySummary& one) { return one.name == name; });
    return family != families.end() && has_feature(*family, word);
  };
  for (const char* name : {"gemma3_text", "qwen3"})
    EXPECT_TRUE(has(name, "qk_norm head")) << name;
  EXPECT_TRUE(has("olmo2", "qk_norm all"));
  EXPECT_TRUE(has("cohere", "qk_norm heads"));
  EXPECT_FALSE(has("cohere2", "qk_norm heads"));  // switched off
  for (const char* name : {"gemma3_text", "mistral", "qwen2", "cohere2"})
    EXPECT_TRUE(has(name, "sliding_window")) << name;
  EXPECT_FALSE(has("llama", "sliding_window"));
  EXPECT_TRUE(has("llama", "rope_scaling"));
  EXPECT_FALSE(has("chatglm", "rope_scaling"));
  EXPECT_FALSE(has("gpt2", "rope_scaling"));
  EXPECT_TRUE(has("gpt2", "learned_positions"));
  EXPECT_TRUE(has("gptj", "parallel_block"));
  EXPECT_TRUE(has("gptj", "head_bias"));
}

TEST(FamilyRegistry, FeaturesOfAFileAreItsWords) {
  const fs::path dir = fs::temp_directory_path() / "llm2mnn_features_test";
  fs::create_directories(dir);
  std::ofstream(dir / "acme.toml") << R"(
    model_types = ["acme"]
    inherits = "llama"
    [model]
    embed_scale = 12
    logit_softcap = 30
    [norm]
    kind = "layer"
    bias = true
    [block]
    parallel = true
    [attention]
    o_bias = false
    qk_norm = "all"
    sliding_window = 4096
    layer_types = "i % 2 == 0 ? sliding : full"
    [mlp]
    kind = "plain"
    activation = "relu2"
    gate_bias = false
    [rope]
    dim = "head_dim / 2"
    pairing = "pair"
    scaling = "none"
    enabled = "i < 4"
    [rope.sliding]
    theta = 1e4
    [tensors]
    input_layernorm_bias = "model.layers.{i}.input_layernorm.bias"
    pre_mlp_norm_bias    = "model.layers.{i}.post_attention_layernorm.bias"
    norm_bias            = "model.norm.bias"
    q_norm               = "model.layers.{i}.q_norm.weight"
    k_norm               = "model.layers.{i}.k_norm.weight"
  )";
  FamilyRegistry registry = FamilyRegistry::built_in();
  registry.add_file(dir / "acme.toml");
  const FamilySummary acme = registry.summaries().front();
  for (const char* word : {"embed_scale", "logit_softcap", "layer_norm", "norm_bias", "parallel_block",
                           "q_bias", "qk_norm all", "sliding_window", "layer_types", "plain_mlp", "relu2",
                           "partial_rope", "pair_rope", "layers_without_rope", "rope_by_layer_type"})
    EXPECT_TRUE(has_feature(acme, word)) << word;
  for (const char* word : {"o_bias", "rope_scaling", "gate_bias", "logit_scale", "shared_norm"})
    EXPECT_FALSE(has_feature(acme, word)) << word;
  fs::remove_all(dir);
}

}  // namespace
}  // namespace llm2mnn
