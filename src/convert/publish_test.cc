#include "convert/publish.h"

#include <fcntl.h>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace llm2mnn {
namespace fs = std::filesystem;
namespace {

class Publish : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path() / "llm2mnn_publish_XXXXXX";
    root_ = fs::canonical(mkdtemp(pattern.data()));
  }
  void TearDown() override { fs::remove_all(root_); }

  static void write(const fs::path& path, std::string_view text) { std::ofstream(path) << text; }
  static std::string read(const fs::path& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

  fs::path make_package(std::string_view mark) const {
    const fs::path dir = root_ / "package";
    fs::create_directory(dir);
    write(dir / kManifestName, R"({"tool": "llm2mnn", "files": [{"name": "llm.mnn"}]})");
    write(dir / "llm.mnn", mark);
    return dir;
  }
  std::vector<std::string> entries() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(root_))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }
  static std::string refusal(const fs::path& dst, bool overwrite) {
    try {
      check_destination(dst, overwrite);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
      return error.message();
    }
    return {};
  }

  fs::path root_;
};

TEST_F(Publish, AcceptsAnAbsentAndAnEmptyDestination) {
  fs::create_directory(root_ / "empty");
  EXPECT_EQ(check_destination(root_ / "absent", false), root_ / "absent");
  EXPECT_EQ(check_destination(root_ / "empty/", false), root_ / "empty");
  EXPECT_EQ(check_destination(root_ / "a/../b", false), root_ / "b");
}

TEST_F(Publish, RefusesAFileAndAForeignDirectory) {
  write(root_ / "file", "x");
  fs::create_directory(root_ / "home");
  write(root_ / "home/thesis.txt", "x");
  EXPECT_NE(refusal(root_ / "file", true).find("not a directory"), std::string::npos);
  EXPECT_NE(refusal(root_ / "home", false).find("not empty"), std::string::npos);
  EXPECT_NE(refusal(root_ / "home", true).find("only a package of ours"), std::string::npos);
  EXPECT_TRUE(fs::exists(root_ / "home/thesis.txt"));
}

TEST_F(Publish, OverwriteNeedsADirectoryOfNothingButThePackage) {
  const fs::path dir = make_package("old");
  EXPECT_NE(refusal(dir, false).find("--overwrite"), std::string::npos);
  EXPECT_EQ(refusal(dir, true), "");
  write(dir / "notes.txt", "mine");
  EXPECT_NE(refusal(dir, true).find("'notes.txt'"), std::string::npos);
  fs::remove(dir / "notes.txt");
  fs::create_symlink("/etc/passwd", dir / "llm.mnn.weight");
  EXPECT_NE(refusal(dir, true).find("'llm.mnn.weight'"), std::string::npos);
}

TEST_F(Publish, OverwriteNeedsAManifestOfOurs) {
  const fs::path dir = make_package("old");
  write(dir / kManifestName, R"({"tool": "other", "files": []})");
  EXPECT_NE(refusal(dir, true).find("not a manifest of ours"), std::string::npos);
  write(dir / kManifestName, "not json");
  EXPECT_NE(refusal(dir, true).find("not a manifest of ours"), std::string::npos);
}

TEST_F(Publish, NothingAppearsBeforeTheRename) {
  {
    StagingDirectory staging(root_ / "x/y/package");
    staging.write_file("llm.mnn", bytes("graph"));
    EXPECT_FALSE(fs::exists(root_ / "x/y/package"));
    staging.publish(false);
  }
  EXPECT_EQ(read(root_ / "x/y/package/llm.mnn"), "graph");
  EXPECT_EQ(std::distance(fs::directory_iterator(root_ / "x/y"), {}), 1);
}

TEST_F(Publish, AnAbandonedExportLeavesNothingNotEvenItsParents) {
  {
    StagingDirectory staging(root_ / "x/y/package");
    staging.write_file("llm.mnn", bytes("graph"));
  }
  EXPECT_TRUE(entries().empty());
}

TEST_F(Publish, ParentsThatWereThereStay) {
  fs::create_directory(root_ / "x");
  { StagingDirectory staging(root_ / "x/y/package"); }
  EXPECT_EQ(entries(), std::vector<std::string>{"x"});
}

TEST_F(Publish, ReplacesAPackageInOneStep) {
  const fs::path dir = make_package("old");
  StagingDirectory staging(check_destination(dir, true));
  staging.write_file("llm.mnn", bytes("new"));
  staging.write_file(kManifestName, bytes(R"({"tool": "llm2mnn", "files": [{"name": "llm.mnn"}]})"));
  EXPECT_EQ(read(dir / "llm.mnn"), "old");
  staging.publish(true);
  EXPECT_EQ(read(dir / "llm.mnn"), "new");
  EXPECT_EQ(entries(), std::vector<std::string>{"package"});
}

TEST_F(Publish, DoesNotReplaceWhatAppearedInTheMeantime) {
  StagingDirectory staging(root_ / "package");
  fs::create_directory(root_ / "package");
  write(root_ / "package/thesis.txt", "mine");
  EXPECT_THROW(staging.publish(false), Error);
  EXPECT_THROW(staging.publish(true), Error);
  EXPECT_EQ(read(root_ / "package/thesis.txt"), "mine");
}

TEST_F(Publish, ALaterRunRemovesAbandonedStagingAndLeavesLivingOnes) {
  const fs::path dead = root_ / ".llm2mnn-0123456789abcdef.partial";
  const fs::path alive = root_ / ".llm2mnn-fedcba9876543210.partial";
  fs::create_directory(dead);
  write(dead / "llm.mnn.weight", "half");
  fs::create_directory(alive);
  write(alive / "llm.mnn.weight", "half");
  const int fd = open(alive.c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(flock(fd, LOCK_EX), 0);
  { StagingDirectory staging(root_ / "package"); }
  EXPECT_FALSE(fs::exists(dead));
  EXPECT_TRUE(fs::exists(alive / "llm.mnn.weight"));
  close(fd);
}

TEST_F(Publish, FollowsASymlinkedDestination) {
  fs::create_directory(root_ / "real");
  fs::create_directory_symlink(root_ / "real", root_ / "link");
  StagingDirectory staging(check_destination(root_ / "link", false));
  staging.write_file("llm.mnn", bytes("graph"));
  staging.publish(false);
  EXPECT_EQ(read(root_ / "real/llm.mnn"), "graph");
  EXPECT_TRUE(fs::is_symlink(root_ / "link"));
}

TEST_F(Publish, FreeSpaceIsThatOfTheNearestExistingParent) {
  EXPECT_EQ(free_bytes_for(root_ / "a/b/c") > 0, true);
}

}  // namespace
}  // namespace llm2mnn
