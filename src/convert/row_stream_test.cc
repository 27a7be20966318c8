#include "convert/row_stream.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <limits>
#include <mutex>
#include <optional>
#include <unistd.h>

#include "base/error.h"

namespace llm2mnn {
namespace {

namespace fs = std::filesystem;

// A row of 1 KiB: tiles of 1024 rows, the last one of "large" not full.
constexpr std::int64_t kCols = 256;
constexpr std::int64_t kRows = 2500;

// A checkpoint with "large" F32 [2500, 256], "small" F32 [3, 256] and "bad" F32 [3, 256] with a NaN in row 2,
// column 1; value 1000 * row + column.
class RowStream : public testing::Test {
 protected:
  RowStream() {
    std::string pattern = (fs::temp_directory_path() / "llm2mnn_row_stream_XXXXXX").string();
    dir_ = mkdtemp(pattern.data());
    std::string header;
    std::vector<float> data;
    for (const auto& [name, rows] : {std::pair("large", kRows), std::pair("small", std::int64_t{3}),
                                     std::pair("bad", std::int64_t{3})}) {
      const std::size_t begin = 4 * data.size();
      for (std::int64_t i = 0; i < rows * kCols; ++i)
        data.push_back(value(i / kCols, i % kCols));
      header += fmt::format("{}\"{}\":{{\"dtype\":\"F32\",\"shape\":[{},{}],\"data_offsets\":[{},{}]}}",
                            header.empty() ? "{" : ",", name, rows, kCols, begin, 4 * data.size());
    }
    header += "}";
    data[data.size() - kCols + 1] = std::numeric_limits<float>::quiet_NaN();
    const std::uint64_t size = header.size();
    std::ofstream out(dir_ / "model.safetensors", std::ios::binary);
    out.write(reinterpret_cast<const char*>(&size), 8);
    out << header;
    out.write(reinterpret_cast<const char*>(data.data()), static_cast<std::streamsize>(4 * data.size()));
    out.close();
    std::ofstream(dir_ / "config.json") << "{}";
    checkpoint_.emplace(Checkpoint::open(dir_));
  }
  ~RowStream() override { fs::remove_all(dir_); }

  static float value(std::int64_t row, std::int64_t col) { return static_cast<float>(1000 * row + col); }
  Binding source(const char* name) const { return Binding::source(*checkpoint_, *checkpoint_->find(name)); }

  fs::path dir_;
  std::optional<Checkpoint> checkpoint_;
  StreamProgress progress_;
};

/// Remembers the runs of rows that it gets, and checks their values.
class Recorder final : public RowSink {
 public:
  explicit Recorder(bool wants_many) : wants_many_(wants_many) {}
  void put(const WeightRows& rows, std::int64_t first_row, SinkBuffers& buffers) const override {
    EXPECT_EQ(sized(buffers.values, 16).size(), 16u);
    const std::scoped_lock lock(mutex_);
    runs_.emplace_back(first_row, rows.rows);
    for (std::int64_t i = 0; i < rows.rows * rows.cols; ++i) {
      float stored = 0;
      std::memcpy(&stored, rows.data + 4 * i, 4);
      if (stored != static_cast<float>(1000 * (first_row + i / rows.cols) + i % rows.cols)) ++num_wrong_;
    }
  }
  std::int64_t buffer_bytes(std::int64_t rows, std::int64_t cols) const override { return rows * cols; }
  bool wants_many_rows() const override { return wants_many_; }

  std::vector<std::pair<std::int64_t, std::int64_t>> sorted_runs() const {
    auto runs = runs_;
    std::sort(runs.begin(), runs.end());
    return runs;
  }
  int num_wrong() const { return num_wrong_; }
  std::int64_t num_rows() const {
    const std::scoped_lock lock(mutex_);
    std::int64_t rows = 0;
    for (const auto& [first, count] : runs_)
      rows += count;
    return rows;
  }

 private:
  bool wants_many_;
  mutable std::mutex mutex_;
  mutable std::vector<std::pair<std::int64_t, std::int64_t>> runs_;
  mutable int num_wrong_ = 0;
};

StreamOptions of_threads(unsigned threads) {
  StreamOptions options;
  options.threads = threads;
  return options;
}

using Runs = std::vector<std::pair<std::int64_t, std::int64_t>>;

TEST_F(RowStream, EveryRowComesOnceWhateverTheThreads) {
  const Binding large = source("large");
  for (const unsigned threads : {1u, 2u, 5u}) {
    std::vector<RowTarget> targets;
    auto sink = std::make_unique<Recorder>(false);
    const Recorder& recorder = *sink;
    targets.push_back({&large, std::move(sink)});
    stream_rows(*checkpoint_, targets, of_threads(threads), progress_);
    EXPECT_EQ(recorder.sorted_runs(), (Runs{{0, 1024}, {1024, 1024}, {2048, kRows - 2048}}));
    EXPECT_EQ(recorder.num_wrong(), 0);
    targets.clear();
  }
}

TEST_F(RowStream, ASinkThatWantsManyRowsGetsTilesTogetherWhileThreadsAreFew) {
  const Binding large = source("large");
  // A share of many MiB for two holds all rows; one of a sixty-fourth is a tile at a time.
  const Runs whole{{0, kRows}};
  const Runs tiles{{0, 1024}, {1024, 1024}, {2048, kRows - 2048}};
  for (const auto& [threads, want] : {std::pair(2u, whole), std::pair(64u, tiles)}) {
    std::vector<RowTarget> targets;
    auto sink = std::make_unique<Recorder>(true);
    const Recorder& recorder = *sink;
    targets.push_back({&large, std::move(sink)});
    stream_rows(*checkpoint_, targets, of_threads(threads), progress_);
    EXPECT_EQ(recorder.sorted_runs(), want) << threads;
    EXPECT_EQ(recorder.num_wrong(), 0);
  }
}

TEST_F(RowStream, TheDigestDependsOnTheSourceOnly) {
  const Binding large = source("large");
  const Binding small = source("small");
  const auto digest = [&](bool stored, bool wants_many, bool twice, unsigned threads) {
    std::vector<RowTarget> targets;
    const auto sink = [&] { return stored ? std::make_unique<Recorder>(wants_many) : nullptr; };
    targets.push_back({&large, sink()});
    targets.push_back({&small, sink()});
    if (twice) targets.push_back({&large, sink()});
    return stream_rows(*checkpoint_, targets, of_threads(threads), progress_);
  };
  const Digest128 want = digest(true, false, false, 1);
  EXPECT_NE(want, Digest128{});
  EXPECT_EQ(digest(false, false, false, 1), want);
  EXPECT_EQ(digest(true, true, false, 3), want);
  EXPECT_EQ(digest(true, true, true, 16), want);
}

TEST_F(RowStream, WithoutDigestItIsZero) {
  const Binding small = source("small");
  std::vector<RowTarget> targets;
  targets.push_back({&small, std::make_unique<Recorder>(false)});
  EXPECT_EQ(
      stream_rows(*checkpoint_, targets, {.threads = 1, .digests = false, .on_finished = {}}, progress_),
      Digest128{});
}

TEST_F(RowStream, FinishedTargetsAreToldInOrder) {
  const Binding large = source("large");
  const Binding small = source("small");
  for (const unsigned threads : {1u, 4u}) {
    std::vector<RowTarget> targets;
    std::vector<const Recorder*> recorders;
    for (const Binding* binding : {&large, &small, &large}) {
      auto sink = std::make_unique<Recorder>(false);
      recorders.push_back(sink.get());
      targets.push_back({binding, std::move(sink)});
    }
    std::vector<std::size_t> told;
    StreamOptions options = of_threads(threads);
    options.on_finished = [&](std::size_t finished) {
      told.push_back(finished);
      for (std::size_t i = 0; i < finished; ++i)
        EXPECT_EQ(recorders[i]->num_rows(), i == 1 ? 3 : kRows) << "target " << i << " of " << finished;
    };
    stream_rows(*checkpoint_, targets, options, progress_);
    EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
    ASSERT_FALSE(told.empty());
    EXPECT_EQ(told.back(), 3u);
    EXPECT_EQ(std::adjacent_find(told.begin(), told.end()), told.end());
  }
}

TEST_F(RowStream, ProgressEndsAtTheTotal) {
  const Binding large = source("large");
  std::vector<RowTarget> targets;
  targets.push_back({&large, std::make_unique<Recorder>(false)});
  stream_rows(*checkpoint_, targets, of_threads(2), progress_);
  EXPECT_EQ(progress_.total_bytes, static_cast<std::uint64_t>(4 * kRows * kCols));
  EXPECT_EQ(progress_.done_bytes, progress_.total_bytes);
}

TEST_F(RowStream, FloatSinkWritesFromItsOffset) {
  const Binding small = source("small");
  const File file = File::create(dir_ / "out");
  std::vector<RowTarget> targets;
  targets.push_back({&small, float_sink(file, 4096, DType::kF32)});
  stream_rows(*checkpoint_, targets, of_threads(2), progress_);
  std::vector<float> got(3 * kCols);
  file.read_exact(4096, std::as_writable_bytes(std::span(got)));
  for (std::int64_t i = 0; i < 3 * kCols; ++i)
    EXPECT_EQ(got[static_cast<std::size_t>(i)], value(i / kCols, i % kCols));
}

TEST_F(RowStream, AnErrorNamesTensorRowAndColumn) {
  const Binding large = source("large");
  const Binding bad = source("bad");
  const File file = File::create(dir_ / "out");
  std::vector<RowTarget> targets;
  targets.push_back({&large, std::make_unique<Recorder>(false)});
  targets.push_back({&bad, float_sink(file, 0, DType::kF16)});
  for (const unsigned threads : {1u, 4u}) {
    try {
      stream_rows(*checkpoint_, targets, of_threads(threads), progress_);
      FAIL() << "not refused";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kFormat);
      const std::string message(error.message());
      for (const char* part : {"bad", "row 2", "column 1"})
        EXPECT_NE(message.find(part), std::string::npos) << message;
    }
  }
}

TEST_F(RowStream, MemoryIsTheLargestTileForEachThread) {
  const Binding large = source("large");
  const Binding small = source("small");
  std::vector<RowTarget> targets;
  targets.push_back({&large, std::make_unique<Recorder>(false)});
  targets.push_back({&small, std::make_unique<Recorder>(false)});
  const std::uint64_t tile = 1024 * kCols * (4 + 1);
  EXPECT_EQ(stream_memory_bytes(*checkpoint_, targets, 1), tile);
  EXPECT_EQ(stream_memory_bytes(*checkpoint_, targets, 7), 7 * tile);
}

TEST_F(RowStream, AChangedSourceIsRefused) {
  const Binding small = source("small");
  std::vector<RowTarget> targets;
  targets.push_back({&small, std::make_unique<Recorder>(false)});
  fs::resize_file(dir_ / "model.safetensors", fs::file_size(dir_ / "model.safetensors") + 1);
  EXPECT_THROW(stream_rows(*checkpoint_, targets, of_threads(1), progress_), Error);
}

}  // namespace
}  // namespace llm2mnn
