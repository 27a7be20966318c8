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

TEST(FamilyRegistry, FeaturesComeFromTheChoices) {
  const std::vector<FamilySummary> families = FamilyRegistry::built_in().summaries();
  const auto has = [&](const std::string& name, const std::string& word) {
    const auto family = std::find_if(families.begin(), families.end(),
                                     [&](const FamilySummary& one) { return one.name == name; });
    return family != families.end() &&
           std::find(family->features.begin(), family->features.end(), word) != family->features.end();
  };
  for (const char* name : {"gemma3_text", "olmo2", "qwen3", "cohere"})
    EXPECT_TRUE(has(name, "qk_norm")) << name;
  for (const char* name : {"gemma3_text", "mistral", "qwen2", "cohere2"})
    EXPECT_TRUE(has(name, "sliding_window")) << name;
  for (const char* word : {"qk_norm", "sliding_window"})
    EXPECT_FALSE(has("llama", word)) << word;
  EXPECT_FALSE(has("cohere2", "qk_norm"));  // switched off
  EXPECT_TRUE(has("llama", "rope_scaling"));
  EXPECT_FALSE(has("chatglm", "rope_scaling"));
}

}  // namespace
}  // namespace llm2mnn
