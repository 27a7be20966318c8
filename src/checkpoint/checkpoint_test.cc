#include "checkpoint/checkpoint.h"

#include <array>
#include <atomic>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>

#include "checkpoint/test_support.h"

namespace llm2mnn {
namespace {

namespace fs = std::filesystem;

// One tensor of 8 bytes, 0 to 7.
std::string shard(const std::string& name) {
  return safetensors_bytes(R"({")" + name + R"(":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]}})", 8);
}

std::string refusal(const TempDir& dir, ErrorKind kind) {
  const Outcome outcome = outcome_of([&] { Checkpoint::open(dir.path()); });
  EXPECT_TRUE(outcome.refused);
  EXPECT_EQ(outcome.kind, kind) << outcome.message;
  expect_one_line(outcome.message);
  return outcome.message;
}

TEST(Checkpoint, ASingleFileIsRead) {
  const TempDir dir;
  dir.write("config.json", R"({"model_type":"llama"})");
  dir.write("model.safetensors", shard("w"));
  dir.write("pytorch_model.bin", "never opened");
  const Checkpoint checkpoint = Checkpoint::open(dir.path());
  EXPECT_EQ(checkpoint.format(), CheckpointFormat::kSafetensors);
  EXPECT_EQ(checkpoint.config().find("model_type")->as_string(), "llama");
  EXPECT_EQ(checkpoint.num_files(), 1u);
  ASSERT_EQ(checkpoint.tensors().size(), 1u);
  EXPECT_EQ(checkpoint.tensors()[0].bytes, 8u);
  ASSERT_TRUE(checkpoint.find("w").has_value());
  EXPECT_FALSE(checkpoint.find("v").has_value());
  EXPECT_FALSE(checkpoint.find("x").has_value());
  std::array<std::byte, 3> bytes{};
  checkpoint.read(*checkpoint.find("w"), 2, bytes);
  EXPECT_EQ(bytes, (std::array{std::byte{2}, std::byte{3}, std::byte{4}}));
}

TEST(Checkpoint, ManyShardsNeedFewDescriptorsAndThreadsMayShareThem) {
  const TempDir dir;
  constexpr int kNumShards = 200;
  std::string map;
  for (int i = 0; i < kNumShards; ++i) {
    const std::string file = fmt::format("s{}.safetensors", i);
    dir.write(file, shard(fmt::format("t{}", i)));
    map += fmt::format(R"({}"t{}":"{}")", i == 0 ? "" : ",", i, file);
  }
  dir.write("config.json", "{}");
  dir.write("model.safetensors.index.json", R"({"metadata":{"total_size":1600},"weight_map":{)" + map + "}}");
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit low = before;
  low.rlim_cur = 64;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  const Checkpoint checkpoint = Checkpoint::open(dir.path());
  EXPECT_EQ(checkpoint.num_files(), 200u);
  std::atomic<int> num_wrong = 0;
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 4; ++seed) {
    threads.emplace_back([&, seed] {
      for (unsigned i = 0; i < 2000; ++i) {
        std::array<std::byte, 2> bytes{};
        checkpoint.read((i * 37 + seed * 11) % kNumShards, 3, bytes);
        if (bytes != std::array{std::byte{3}, std::byte{4}}) ++num_wrong;
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(num_wrong, 0);
  setrlimit(RLIMIT_NOFILE, &before);
}

TEST(Checkpoint, AFileThatChangesAfterOpeningIsRefused) {
  const TempDir dir;
  std::string map;
  for (int i = 0; i < 40; ++i) {
    dir.write(fmt::format("s{}", i), shard(fmt::format("t{:02}", i)));
    map += fmt::format(R"({}"t{:02}":"s{}")", i == 0 ? "" : ",", i, i);
  }
  dir.write("config.json", "{}");
  dir.write("model.safetensors.index.json", R"({"weight_map":{)" + map + "}}");
  const Checkpoint checkpoint = Checkpoint::open(dir.path());
  fs::remove(dir.path() / "s0");
  dir.write("s0", shard("t00"));
  std::array<std::byte, 8> bytes{};
  const Outcome outcome = outcome_of([&] { checkpoint.read(*checkpoint.find("t00"), 0, bytes); });
  EXPECT_TRUE(outcome.refused);
  EXPECT_EQ(outcome.kind, ErrorKind::kIo);
  expect_in(outcome.message, "'s0': it changed while it was read");
}

TEST(Checkpoint, AFileRewrittenInPlaceIsNoticedAfterTheLastRead) {
  const TempDir dir;
  dir.write("config.json", "{}");
  dir.write("model.safetensors", shard("w"));
  const Checkpoint checkpoint = Checkpoint::open(dir.path());
  checkpoint.check_unchanged();
  const fs::path file = dir.path() / "model.safetensors";
  // Set by hand: two writes within one tick of the kernel's clock have the same time.
  fs::last_write_time(file, fs::last_write_time(file) + std::chrono::seconds(1));
  const Outcome outcome = outcome_of([&] { checkpoint.check_unchanged(); });
  EXPECT_EQ(outcome.kind, ErrorKind::kIo);
  expect_in(outcome.message, "'model.safetensors': it changed while it was read");
}

TEST(Checkpoint, SaysWhatIsMissing) {
  const TempDir dir;
  expect_in(outcome_of([&] { Checkpoint::open(dir.path() / "absent"); }).message,
            "absent': no such file or directory");
  expect_in(refusal(dir, ErrorKind::kIo), "no config.json in it");
  dir.write("config.json", "{}");
  expect_in(outcome_of([&] { Checkpoint::open(dir.path() / "config.json"); }).message, "not a directory");
  dir.write("model-00001-of-00002.safetensors", shard("a"));
  expect_in(refusal(dir, ErrorKind::kIo), "no weights in it; expected model.safetensors");
  dir.write(
      "model.safetensors.index.json",
      R"({"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}})");
  expect_in(refusal(dir, ErrorKind::kIo),
            "1 of its 2 shards are not in the directory: 'model-00002-of-00002.safetensors'; download them");
}

TEST(Checkpoint, NamesTheFileOfABrokenConfig) {
  const TempDir dir;
  dir.write("model.safetensors", shard("w"));
  for (const auto& [text, message] : std::vector<std::pair<std::string, std::string>>{
           {"", "'config.json': the file is empty or blank"},
           {"[]", "config.json: expected a JSON object"},
           {"{\"a\":1,\"a\":2}", "'config.json': the key 'a' appears twice"},
           {"{\"a\":", "'config.json': not valid JSON at byte"},
           {std::string(1'000'000, '['), "'config.json': not valid JSON at byte"}}) {
    dir.write("config.json", text);
    expect_in(refusal(dir, ErrorKind::kFormat), message);
  }
}

TEST(Checkpoint, NamesFileAndTensorOfABrokenShard) {
  const TempDir dir;
  dir.write("config.json", "{}");
  dir.write("model.safetensors",
            safetensors_bytes(R"({"w":{"dtype":"F16","shape":[2,2],"data_offsets":[0,9]}})", 9));
  expect_in(refusal(dir, ErrorKind::kFormat), "'model.safetensors': header: tensor 'w': span is 9 bytes");
  dir.write("model.safetensors", safetensors_bytes("{}", 0));
  expect_in(refusal(dir, ErrorKind::kFormat), "'model.safetensors': no tensors in it");
}

TEST(Checkpoint, EveryMappedTensorIsInItsShardAndTheReverse) {
  const TempDir dir;
  dir.write("config.json", "{}");
  dir.write("x", shard("a"));
  dir.write("y", shard("b"));
  dir.write("z", shard("a"));
  const auto with_map = [&](const std::string& map) {
    dir.write("model.safetensors.index.json", R"({"weight_map":)" + map + "}");
    return refusal(dir, ErrorKind::kFormat);
  };
  const std::string start = "'model.safetensors.index.json': ";
  expect_in(with_map(R"({"a":"x","b":"y","c":"y"})"),
            start + "tensor 'c' is mapped to 'y', which does not hold it");
  expect_in(with_map(R"({"0":"x","a":"x","b":"y"})"),
            start + "tensor '0' is mapped to 'x', which does not hold it");
  expect_in(with_map(R"({"a":"y","b":"x"})"), start + "tensor 'a' is mapped to 'y', but stored in 'x'");
  expect_in(with_map(R"({"b":"x"})"), start + "tensor 'a' is not in the map, but stored in 'x'");
  expect_in(with_map(R"({"a":"x","c":"y"})"), start + "tensor 'b' is not in the map, but stored in 'y'");
  expect_in(with_map(R"({"a":"x","b":"z"})"), start + "tensor 'a' is stored in 'x' and in 'z'");
}

TEST(Checkpoint, OnlyRegularFilesAreRead) {
  const TempDir dir;
  dir.write("config.json", "{}");
  ASSERT_EQ(mkfifo((dir.path() / "model.safetensors").c_str(), 0600), 0);
  expect_in(refusal(dir, ErrorKind::kIo), "'model.safetensors': not a regular file");
  fs::remove(dir.path() / "model.safetensors");
  fs::create_directory(dir.path() / "model.safetensors");
  expect_in(refusal(dir, ErrorKind::kIo), "'model.safetensors': not a regular file");
  fs::remove(dir.path() / "model.safetensors");
  fs::create_symlink("model.safetensors", dir.path() / "model.safetensors");
  expect_in(refusal(dir, ErrorKind::kIo), "'model.safetensors': cannot open");
  fs::remove(dir.path() / "model.safetensors");
  fs::create_symlink("gone", dir.path() / "model.safetensors");
  dir.write("pytorch_model.bin", "must not be taken instead");
  expect_in(refusal(dir, ErrorKind::kIo), "'model.safetensors': a link to a file that is not there");
}

TEST(Checkpoint, LinksAreFollowed) {
  const TempDir dir;
  fs::create_directory(dir.path() / "blobs");
  dir.write("blobs/1", "{}");
  dir.write("blobs/2", shard("w"));
  fs::create_directory(dir.path() / "snapshot");
  fs::create_symlink("../blobs/1", dir.path() / "snapshot/config.json");
  fs::create_symlink("../blobs/2", dir.path() / "snapshot/model.safetensors");
  EXPECT_EQ(Checkpoint::open(dir.path() / "snapshot").tensors().size(), 1u);
}

}  // namespace
}  // namespace llm2mnn
