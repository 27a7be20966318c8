#pragma once
// A directory of tokenizer files for one test.

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "tokenizer/source.h"

namespace llm2mnn {

class SourceFolder : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "llm2mnn_source_XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  void write(const char* name, std::string_view text) const {
    std::ofstream(dir_ / name, std::ios::binary) << text;
  }
  TokenizerSource load() const { return load_tokenizer_source(dir_); }
  /// The message of a refusal of `kind`; empty when the directory is accepted.
  std::string refusal(ErrorKind kind = ErrorKind::kFormat) const {
    try {
      load();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.message();
      EXPECT_EQ(error.message().find('\n'), std::string::npos);
      return error.message();
    }
    return {};
  }

  std::filesystem::path dir_;
};

/// "left+right" of each merge.
inline std::vector<std::string> merge_texts(const TokenizerModel& model) {
  std::vector<std::string> texts;
  for (const BpeMerge& merge : model.bpe()->merges)
    texts.push_back(model.text_of(merge.left) + "+" + model.text_of(merge.right));
  return texts;
}

}  // namespace llm2mnn
