#include "convert/onnx_sinks.h"

#include <cstring>
#include <filesystem>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"

namespace llm2mnn {
namespace {

namespace fs = std::filesystem;

// More values than a block of columns has, in two runs of rows of which the second is short.
constexpr std::int64_t kRows = 3001;
constexpr std::int64_t kCols = 700;
constexpr std::int64_t kFirstRows = 2048;
constexpr std::uint64_t kOffset = 4096;

class OnnxSinks : public testing::Test {
 protected:
  OnnxSinks() {
    std::string pattern = (fs::temp_directory_path() / "llm2mnn_onnx_sinks_XXXXXX").string();
    dir_ = mkdtemp(pattern.data());
    file_ = File::create(dir_ / "data");
    blob_.rows = kRows;
    blob_.cols = kCols;
    blob_.offset = kOffset;
  }
  ~OnnxSinks() override { fs::remove_all(dir_); }

  // A value that bfloat16 and FP16 hold exactly, and that tells neighbours apart.
  static float value(std::int64_t row, std::int64_t col) {
    return static_cast<float>((7 * row + 3 * col) % 251 - 125);
  }

  // The matrix as rows of bfloat16.
  static std::vector<std::uint16_t> stored() {
    std::vector<std::uint16_t> rows;
    for (std::int64_t i = 0; i < kRows * kCols; ++i) {
      const float v = value(i / kCols, i % kCols);
      std::uint32_t bits = 0;
      std::memcpy(&bits, &v, 4);
      rows.push_back(static_cast<std::uint16_t>(bits >> 16));
    }
    return rows;
  }

  void put(const RowSink& sink, const std::vector<std::uint16_t>& rows) const {
    SinkBuffers buffers;
    for (const auto& [first, count] :
         {std::pair(kFirstRows, kRows - kFirstRows), std::pair(std::int64_t{0}, kFirstRows)})
      sink.put({reinterpret_cast<const std::byte*>(rows.data() + first * kCols), DType::kBF16, count, kCols},
               first, buffers);
  }

  template <typename T>
  std::vector<T> written(std::int64_t count) const {
    std::vector<T> values(static_cast<std::size_t>(count));
    file_.read_exact(kOffset, std::as_writable_bytes(std::span(values)));
    return values;
  }

  fs::path dir_;
  File file_;
  onnx::MatrixBlob blob_;
  onnx::OnnxForm form_;
};

TEST_F(OnnxSinks, ColumnsOfEveryRunOfRowsLandInTheirPlaces) {
  put(*onnx_sink(blob_, form_, file_), stored());
  const auto values = written<float>(kRows * kCols);
  std::size_t wrong = 0;
  for (std::int64_t i = 0; i < kRows * kCols; ++i)
    wrong += values[static_cast<std::size_t>(i)] != value(i % kRows, i / kRows) ? 1U : 0U;
  EXPECT_EQ(wrong, 0u);
}

TEST_F(OnnxSinks, HalvesTakeTwoBytes) {
  form_.dtype = DType::kF16;
  put(*onnx_sink(blob_, form_, file_), stored());
  const auto halves = written<std::uint16_t>(kRows * kCols);
  const auto at = [&](std::int64_t row, std::int64_t col) {
    return halves[static_cast<std::size_t>(col * kRows + row)];
  };
  ASSERT_EQ(value(0, 42), 1);
  EXPECT_EQ(at(0, 42), 0x3C00);
  EXPECT_EQ(fs::file_size(dir_ / "data"), kOffset + 2 * kRows * kCols);
}

TEST_F(OnnxSinks, AnErrorNamesTheColumnOfTheMatrix) {
  std::vector<std::uint16_t> rows = stored();
  rows[2500 * kCols + 650] = 0x7FC0;  // NaN
  try {
    put(*onnx_sink(blob_, form_, file_), rows);
    FAIL() << "not refused";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.message()).find("row 2500: NaN in column 650"), std::string::npos)
        << error.message();
  }
}

TEST_F(OnnxSinks, BuffersDoNotGrowWithTheMatrix) {
  const auto sink = onnx_sink(blob_, form_, file_);
  EXPECT_LE(sink->buffer_bytes(kRows, 1 << 20), 8 << 20);
  EXPECT_EQ(sink->buffer_bytes(8, 16), 8 * 16 * 12);
}

}  // namespace
}  // namespace llm2mnn
