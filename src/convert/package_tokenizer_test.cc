#include "convert/package_tokenizer.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tokenizer/bpe.h"
#include "tokenizer/mtok.h"
#include "tokenizer/txt.h"

namespace llm2mnn {
namespace {

/// A package of the small files that the runtime opens for its tokenizer.
class PackageTokenizerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "llm2mnn_package_XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
    TokenizerModel model;
    for (const char* piece : {"a", "b", "</s>"})
      model.pieces.insert(piece, static_cast<std::uint32_t>(model.pieces.size()));
    model.model = BpeModel();
    RuntimeTexts texts;
    texts.chat_template = "of the mtok";
    texts.bos_token = "<bos>";
    texts.eos_token = "<eos>";
    std::vector<std::string> notes;
    write("tokenizer.mtok", write_mtok(model, IdTable(model), texts, notes));
    write("tokenizer.txt", write_txt(model, IdTable(model), texts).bytes);
    write("config.json", R"({"tokenizer_file": "tokenizer.mtok"})");
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  void write(const char* name, std::string_view text) const {
    std::ofstream(dir_ / name, std::ios::binary) << text;
  }
  PackageTokenizer load() const { return load_package_tokenizer(dir_); }
  std::string context_of(const PackageTokenizer& package) const {
    return JsonValue::make_object(package.context.context).dump();
  }
  std::string refusal() const {
    try {
      load();
    } catch (const Error& error) {
      return error.message();
    }
    return {};
  }

  std::filesystem::path dir_;
};

TEST_F(PackageTokenizerTest, TheMtokAloneSaysAll) {
  const PackageTokenizer package = load();
  EXPECT_EQ(package.chat_template, "of the mtok");
  EXPECT_EQ(package.context.bos_token, "<bos>");
  EXPECT_EQ(package.context.eos_token, "<eos>");
  EXPECT_EQ(context_of(package), "{}");
}

TEST_F(PackageTokenizerTest, ATemplateOfTheConfigBringsItsEosAndNoBos) {
  write("llm_config.json", R"({"jinja": {"chat_template": "new", "bos": "B", "eos": "E"}})");
  EXPECT_EQ(load().chat_template, "new");
  EXPECT_EQ(load().context.bos_token, "<bos>");
  EXPECT_EQ(load().context.eos_token, "E");
  write("llm_config.json", R"({"jinja": {"chat_template": "new"}})");
  EXPECT_EQ(load().context.eos_token, "");
  write("llm_config.json", R"({"jinja": {"eos": "E"}})");  // no template: nothing is replaced
  EXPECT_EQ(load().chat_template, "of the mtok");
  EXPECT_EQ(load().context.eos_token, "<eos>");
}

TEST_F(PackageTokenizerTest, LlmConfigIsMergedOverConfig) {
  write("config.json", R"({"tokenizer_file": "tokenizer.txt", "jinja": {"chat_template": "c", "eos": "1",
                           "context": {"bos_token": "x", "deep": {"a": 1, "b": 2}}}})");
  write("llm_config.json", R"({"jinja": {"eos": "2", "context": {"bos_token": "", "deep": {"b": 3}}}})");
  const PackageTokenizer package = load();
  EXPECT_EQ(package.chat_template, "c");
  EXPECT_EQ(package.context.eos_token, "2");
  EXPECT_EQ(package.context.bos_token, "");  // a tokenizer.txt has none
  EXPECT_EQ(context_of(package), R"({"bos_token":"","deep":{"a":1,"b":3}})");
  write("llm_config.json", R"({"tokenizer_file": "tokenizer.mtok"})");
  EXPECT_EQ(load().context.bos_token, "<bos>");
}

TEST_F(PackageTokenizerTest, ContextJsonJoinsTheContext) {
  write("llm_config.json", R"({"jinja": {"context": {"bos_token": ""}}})");
  write("context.json", R"({"enable_thinking": false})");
  EXPECT_EQ(context_of(load()), R"({"bos_token":"","enable_thinking":false})");
}

TEST_F(PackageTokenizerTest, WithoutANameTheFileIsTokenizerTxt) {
  write("config.json", "{}");
  EXPECT_EQ(load().chat_template, "");
}

TEST_F(PackageTokenizerTest, RefusalsNameTheFile) {
  write("config.json", R"({"tokenizer_file": "../tokenizer.mtok"})");
  EXPECT_NE(refusal().find("tokenizer_file"), std::string::npos);
  write("config.json", R"({"tokenizer_file": "tokenizer.mtok"})");
  write("tokenizer.mtok", "430 4\n");
  EXPECT_NE(refusal().find("tokenizer.mtok"), std::string::npos);
}

}  // namespace
}  // namespace llm2mnn
