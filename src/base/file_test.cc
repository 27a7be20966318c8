#include "base/file.h"

#include <array>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace llm2mnn {
namespace {

namespace fs = std::filesystem;

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "llm2mnn_XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
  }
  void TearDown() override { fs::remove_all(dir_); }

  void write(const std::string& name, std::string_view text) const {
    File::create(dir_ / name).write_all(0, std::as_bytes(std::span(text)));
  }
  static Error error_of(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      return error;
    }
    return {ErrorKind::kInternal, "nothing was thrown"};
  }

  fs::path dir_;
};

TEST_F(FileTest, ReadsWhatWasWritten) {
  const std::string text = "0123456789";
  {
    const File file = File::create(dir_ / "a");
    file.reserve(100);
    file.write_all(0, std::as_bytes(std::span(text)));
    file.write_all(3, std::as_bytes(std::span(std::string_view("xy"))));
    file.sync();
  }
  const File file = File::open_regular(dir_ / "a");
  EXPECT_EQ(file.name(), "a");
  EXPECT_TRUE(file.is_open());
  std::array<char, 4> out{};
  file.read_exact(2, std::as_writable_bytes(std::span(out)));
  EXPECT_EQ(std::string_view(out.data(), 4), "2xy5");
  EXPECT_EQ(read_text_file(dir_ / "a", 100).substr(0, 10), "012xy56789");
}

TEST_F(FileTest, AFileIsNotReplaced) {
  write("a", "x");
  const Error error = error_of([&] { File::create(dir_ / "a"); });
  EXPECT_EQ(error.kind(), ErrorKind::kIo);
  EXPECT_EQ(error.message(), "'a': cannot create: file exists");
}

TEST_F(FileTest, OnlyRegularFilesAreOpened) {
  ASSERT_EQ(mkfifo((dir_ / "pipe").c_str(), 0600), 0);
  fs::create_symlink("loop", dir_ / "loop");
  fs::create_symlink("real", dir_ / "link");
  fs::create_symlink("gone", dir_ / "dangling");
  write("real", "x");
  EXPECT_EQ(File::open_regular(dir_ / "link").size(), 1u);
  for (const auto& [name, message] : std::vector<std::pair<std::string, std::string>>{
           {"pipe", "'pipe': not a regular file"},
           {"", "not a regular file"},
           {"dangling", "'dangling': a link to a file that is not there; download it again"},
           {"loop", "'loop': cannot open: too many levels of symbolic links"},
           {"absent", "'absent': cannot open: no such file or directory"}}) {
    const Error error = error_of([&, file = name] { File::open_regular(file.empty() ? dir_ : dir_ / file); });
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
    EXPECT_NE(error.message().find(message), std::string::npos) << error.message();
  }
  EXPECT_NE(error_of([] { File::open_regular("/dev/null"); }).message().find("not a regular file"),
            std::string::npos);
}

TEST_F(FileTest, AShortReadIsAnError) {
  write("a", "abc");
  const File file = File::open_regular(dir_ / "a");
  std::array<std::byte, 3> out{};
  const Error error = error_of([&] { file.read_exact(1, out); });
  EXPECT_EQ(error.kind(), ErrorKind::kIo);
  EXPECT_EQ(error.message(), "'a': ends at byte 3, 1 more were expected; it changed while it was read");
}

TEST_F(FileTest, AFullDiskHasItsOwnKind) {
  // /dev/full exists on Linux for this test; it is no regular file, so only its descriptor is used.
  const File file = File::create(dir_ / "a");
  const int full = ::open("/dev/full", O_RDWR);
  if (full < 0) GTEST_SKIP() << "no /dev/full here";
  ASSERT_GE(dup2(full, file.fd()), 0);
  close(full);
  const Error error = error_of([&] { file.write_all(0, std::as_bytes(std::span(std::string_view("x")))); });
  EXPECT_EQ(error.kind(), ErrorKind::kNoSpace);
  EXPECT_EQ(error.message(), "'a': the disk is full; free some space and run again");
}

TEST_F(FileTest, MovingPassesTheDescriptorOn) {
  write("a", "abc");
  File first = File::open_regular(dir_ / "a");
  const int fd = first.fd();
  File second = std::move(first);
  EXPECT_FALSE(first.is_open());  // NOLINT(bugprone-use-after-move): the state after a move is what is tested
  EXPECT_EQ(second.fd(), fd);
  File third;
  third = std::move(second);
  EXPECT_EQ(third.size(), 3u);
  third.close();
  EXPECT_FALSE(third.is_open());
  EXPECT_NE(fcntl(fd, F_GETFD), 0);
}

TEST_F(FileTest, ATextFileHasALimit) {
  write("a", "abc");
  EXPECT_EQ(read_text_file(dir_ / "a", 3), "abc");
  const Error error = error_of([&] { read_text_file(dir_ / "a", 2); });
  EXPECT_EQ(error.kind(), ErrorKind::kFormat);
  EXPECT_EQ(error.message(), "'a': 3 bytes, more than the limit of 2 bytes for this file");
}

TEST_F(FileTest, ExistingMeansReachable) {
  write("a", "");
  fs::create_symlink("gone", dir_ / "dangling");
  EXPECT_TRUE(path_exists(dir_ / "a"));
  EXPECT_TRUE(path_exists(dir_));
  EXPECT_FALSE(path_exists(dir_ / "dangling"));
  EXPECT_FALSE(path_exists(dir_ / "absent"));
  EXPECT_TRUE(entry_exists(dir_ / "dangling"));
  EXPECT_TRUE(entry_exists(dir_ / "a"));
  EXPECT_FALSE(entry_exists(dir_ / "absent"));
}

}  // namespace
}  // namespace llm2mnn
