#include "convert/file_digest.h"

#include <filesystem>
#include <gtest/gtest.h>
#include <unistd.h>

namespace llm2mnn {
namespace {

namespace fs = std::filesystem;

class FileDigest : public testing::Test {
 protected:
  FileDigest() {
    std::string pattern = (fs::temp_directory_path() / "llm2mnn_file_digest_XXXXXX").string();
    dir_ = mkdtemp(pattern.data());
    content_.resize(5'000'003);
    for (std::size_t i = 0; i < content_.size(); ++i)
      content_[i] = static_cast<std::byte>(i * i % 251);
    file_ = File::create(dir_ / "file");
    file_.reserve(content_.size());
  }
  ~FileDigest() override { fs::remove_all(dir_); }

  void write(std::size_t begin, std::size_t end) {
    file_.write_all(begin, std::span(content_).subspan(begin, end - begin));
  }

  fs::path dir_;
  std::vector<std::byte> content_;
  File file_;
};

TEST_F(FileDigest, OfAFileThatGrows) {
  PrefixDigest digest(file_, content_.size());
  std::size_t written = 0;
  for (const std::size_t end :
       {std::size_t{1}, std::size_t{1'500'000}, std::size_t{1'500'001}, content_.size()}) {
    write(written, end);
    digest.advance(end);
    digest.advance(end / 2);  // what is final stays final
    written = end;
  }
  EXPECT_EQ(digest.finish(), xxh128(content_));
  EXPECT_EQ(digest_of_file(file_, content_.size()), xxh128(content_));
}

TEST_F(FileDigest, ReadsNothingBeforeItIsFinal) {
  PrefixDigest digest(file_, content_.size());
  write(0, content_.size() / 2);
  digest.advance(1000);
  // Written in the meantime: a reader that ran ahead would have seen zeros.
  write(content_.size() / 2, content_.size());
  EXPECT_EQ(digest.finish(), xxh128(content_));
}

TEST_F(FileDigest, CanBeGivenUp) {
  PrefixDigest digest(file_, content_.size());
  digest.advance(10);
}

TEST_F(FileDigest, OfNothing) {
  PrefixDigest digest(file_, 0);
  EXPECT_EQ(digest.finish(), xxh128({}));
}

TEST_F(FileDigest, AFileThatEndsEarlyIsAnError) {
  PrefixDigest digest(file_, content_.size() + 1'000'000);
  fs::resize_file(dir_ / "file", 100);
  EXPECT_THROW(digest.finish(), Error);
}

}  // namespace
}  // namespace llm2mnn
