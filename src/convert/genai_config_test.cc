#include "convert/genai_config.h"

#include <fstream>
#include <gtest/gtest.h>
#include <map>

namespace llm2mnn {
namespace {

namespace fs = std::filesystem;
using Files = std::map<std::string, std::string>;

class GenaiTokenizerFiles : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = fs::path(testing::TempDir()) /
           (std::string("llm2mnn-") + testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(dir_);
  }
  void TearDown() override { fs::remove_all(dir_); }

  Files of(const Files& source, std::string_view chat_template) {
    for (const fs::directory_entry& entry : fs::directory_iterator(dir_))
      fs::remove(entry.path());
    for (const auto& [name, content] : source)
      std::ofstream(dir_ / name, std::ios::binary) << content;
    Files files;
    for (const OnnxPlan::TokenizerFile& file : genai_tokenizer_files(dir_, chat_template))
      EXPECT_TRUE(files.emplace(file.name, file.content).second) << file.name;
    return files;
  }

 private:
  fs::path dir_;
};

TEST_F(GenaiTokenizerFiles, AreCopiedWhereTheTemplateIsWhereGenaiLooks) {
  for (const Files& files :
       {Files{{"tokenizer.json", "{}"}, {"tokenizer_config.json", R"({"chat_template":"T"})"}},
        Files{{"tokenizer_config.json", R"({ "a": 1 })"}, {"chat_template.jinja", "T"}},
        Files{{"tokenizer_config.json", R"({"chat_template":null})"},
              {"chat_template.jinja", "T"},
              {"vocab.json", "{}"},
              {"merges.txt", "a b"}}})
    EXPECT_EQ(of(files, "T"), files);
  const Files none{{"tokenizer_config.json", R"({"eos_token":"e"})"}};
  EXPECT_EQ(of(none, ""), none);
  EXPECT_EQ(of({{"tokenizer_config.json", "{}"}, {"model.safetensors", ""}}, ""),
            (Files{{"tokenizer_config.json", "{}"}}));
}

TEST_F(GenaiTokenizerFiles, HaveTheTemplateThatWasChosen) {
  const Files chosen{{"tokenizer_config.json", "{\n  \"a\": 1.5,\n  \"chat_template\": \"T\"\n}\n"}};
  // Of the user; the default of a list, which genai cannot read; a file that Hugging Face prefers.
  EXPECT_EQ(of({{"tokenizer_config.json", R"({"a":1.5,"chat_template":"C"})"}}, "T"), chosen);
  EXPECT_EQ(of({{"tokenizer_config.json", R"({"a":1.5})"}, {"chat_template.jinja", "F"}}, "T"), chosen);
  EXPECT_EQ(
      of({{"tokenizer_config.json", R"({"chat_template":[{"name":"default","template":"T"}],"a":1.5})"}},
         "T"),
      chosen);
  EXPECT_EQ(
      of({{"tokenizer_config.json", R"({"a":1.5,"chat_template":"C"})"}, {"chat_template.jinja", "T"}}, "T"),
      chosen);
  // A list without a default.
  EXPECT_EQ(of({{"tokenizer_config.json", R"({"a":1,"chat_template":[{"name":"rag","template":"R"}]})"}}, ""),
            (Files{{"tokenizer_config.json", "{\n  \"a\": 1\n}\n"}}));
}

TEST_F(GenaiTokenizerFiles, HaveAConfigInAnyCase) {
  EXPECT_EQ(of({{"tokenizer.json", "{}"}}, ""),
            (Files{{"tokenizer.json", "{}"}, {"tokenizer_config.json", "{}\n"}}));
  EXPECT_EQ(of({{"chat_template.jinja", "T"}}, "T"),
            (Files{{"tokenizer_config.json", "{\n  \"chat_template\": \"T\"\n}\n"}}));
}

}  // namespace
}  // namespace llm2mnn
