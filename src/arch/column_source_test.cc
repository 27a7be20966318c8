#include "arch/column_source.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <limits>
#include <memory>
#include <unistd.h>

#include "arch/arch_test_util.h"

namespace llm2mnn {
namespace {

namespace fs = std::filesystem;
using testing::message_of;

template <typename T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// A checkpoint of tensors in one file, none of which begins at its first byte.
class ColumnSource : public ::testing::Test {
 protected:
  ColumnSource() {
    std::string pattern = (fs::temp_directory_path() / "llm2mnn_columns_XXXXXX").string();
    dir_ = mkdtemp(pattern.data());
  }
  ~ColumnSource() override { fs::remove_all(dir_); }

  void add(const std::string& name, DType dtype, Shape shape, const std::string& bytes) {
    content_ += "?";
    tensors_.push_back({name, dtype, std::move(shape), 0, content_.size(), bytes.size()});
    content_ += bytes;
  }
  void close() {
    std::ofstream(dir_ / "data", std::ios::binary) << content_;
    checkpoint_ = std::make_unique<Checkpoint>(Checkpoint::of_tensors(dir_, {"data"}, tensors_));
  }
  TensorId id(const std::string& name) const { return *checkpoint_->find(name); }

  std::vector<float> transposed(const std::string& name, std::int64_t begin, std::int64_t count) {
    return transposed(name, RowRun{begin, count, 1});
  }
  std::vector<float> transposed(const std::string& name, const RowRun& run) {
    const Shape& shape = checkpoint_->tensor(id(name)).shape;
    std::vector<float> out(static_cast<std::size_t>(run.count * shape[shape.size() - 2]));
    read_transposed(*checkpoint_, id(name), run, out.data(), scratch_);
    return out;
  }
  std::vector<float> dequantised(const Binding::ZeroPointCodes& form, std::int64_t begin,
                                 std::int64_t count) {
    std::vector<float> out(static_cast<std::size_t>(count * form.cols));
    read_dequantised(*checkpoint_, form, begin, count, out.data(), scratch_);
    return out;
  }

  fs::path dir_;
  std::string content_;
  std::vector<TensorInfo> tensors_;
  std::unique_ptr<Checkpoint> checkpoint_;
  std::vector<std::byte> scratch_;
};

// Any range of rows of the transpose of [I, O]; value 100 * row + column of the result.
TEST_F(ColumnSource, Transposes) {
  constexpr std::int64_t kRows = 11, kCols = 7;
  std::vector<float> stored;
  std::vector<std::uint16_t> halves;
  for (std::int64_t col = 0; col < kCols; ++col) {
    for (std::int64_t row = 0; row < kRows; ++row) {
      stored.push_back(static_cast<float>(100 * row + col));
      // Powers of two as BF16.
      halves.push_back(static_cast<std::uint16_t>((127 + row + col) << 7));
    }
  }
  add("f32", DType::kF32, {kCols, kRows}, bytes_of(stored));
  add("bf16", DType::kBF16, {kCols, kRows}, bytes_of(halves));
  close();
  for (std::int64_t begin = 0; begin < kRows; ++begin) {
    for (std::int64_t count = 1; begin + count <= kRows; ++count) {
      const std::vector<float> f32 = transposed("f32", begin, count);
      const std::vector<float> bf16 = transposed("bf16", begin, count);
      for (std::int64_t i = 0; i < count * kCols; ++i) {
        const std::int64_t row = begin + i / kCols, col = i % kCols;
        ASSERT_EQ(f32[static_cast<std::size_t>(i)], static_cast<float>(100 * row + col))
            << begin << " + " << count;
        ASSERT_EQ(bf16[static_cast<std::size_t>(i)], std::ldexp(1.0F, static_cast<int>(row + col)));
      }
    }
  }
}

// Rows of all matrices of [E, I, O], near and far apart; value 100 * row + column of the result.
TEST_F(ColumnSource, TransposesEachOfSeveralMatrices) {
  constexpr std::int64_t kMatrices = 3, kRows = 5, kCols = 4;
  std::vector<float> stored;
  for (std::int64_t matrix = 0; matrix < kMatrices; ++matrix)
    for (std::int64_t col = 0; col < kCols; ++col)
      for (std::int64_t row = 0; row < kRows; ++row)
        stored.push_back(static_cast<float>(100 * (matrix * kRows + row) + col));
  add("stack", DType::kF32, {kMatrices, kCols, kRows}, bytes_of(stored));
  close();
  const std::int64_t rows = kMatrices * kRows;
  for (std::int64_t stride = 1; stride <= 7; ++stride) {
    for (std::int64_t begin = 0; begin < rows; ++begin) {
      for (std::int64_t count = 1; begin + (count - 1) * stride < rows; ++count) {
        const std::vector<float> got = transposed("stack", {begin, count, stride});
        for (std::int64_t i = 0; i < count * kCols; ++i)
          ASSERT_EQ(got[static_cast<std::size_t>(i)],
                    static_cast<float>(100 * (begin + i / kCols * stride) + i % kCols))
              << begin << " + " << count << " by " << stride;
      }
    }
  }
}

TEST_F(ColumnSource, NamesTheValueThatIsNotFinite) {
  std::vector<float> stored(12, 1.0F);
  stored[2 * 4 + 3] = std::numeric_limits<float>::infinity();
  add("bad", DType::kF32, {3, 4}, bytes_of(stored));
  close();
  EXPECT_EQ(transposed("bad", 0, 3).size(), 9U);
  const std::string message = message_of([&] { transposed("bad", 2, 2); });
  EXPECT_NE(message.find("'bad': row 2, column 3"), std::string::npos) << message;
}

TEST_F(ColumnSource, NamesTheValueOfALaterMatrix) {
  std::vector<float> stored(24, 1.0F);
  stored[12 + 2 * 4 + 3] = std::numeric_limits<float>::infinity();
  add("bad", DType::kF32, {2, 3, 4}, bytes_of(stored));
  close();
  EXPECT_EQ(transposed("bad", RowRun{0, 4, 2}).size(), 12U);
  const std::string message = message_of([&] { transposed("bad", RowRun{1, 4, 2}); });
  EXPECT_NE(message.find("'bad': row 5, column 3"), std::string::npos) << message;
}

// Codes of both widths in both directions, with every zero point.
class Codes : public ColumnSource, public ::testing::WithParamInterface<std::tuple<int, bool, std::int64_t>> {
 protected:
  static constexpr std::int64_t kBlock = 16, kRows = 10;

  Codes()
      : bits_(std::get<0>(GetParam())),
        transposed_(std::get<1>(GetParam())),
        groups_(std::get<2>(GetParam())) {}

  std::int64_t code(std::int64_t row, std::int64_t col) const {
    return (7 * row + 3 * col + col / 5) % (1 << bits_);
  }
  std::int64_t zero(std::int64_t row, std::int64_t group) const {
    return (5 * row + 11 * group + 1) % (1 << bits_);
  }
  static float scale(std::int64_t row, std::int64_t group) {
    return 0.125F * static_cast<float>(1 + row + 3 * group);
  }

  // [kRows, cols], or [cols, kRows] when transposed; 4 bits: each row from a byte of its own, the first code
  // low.
  template <typename Value>
  std::string pack(std::int64_t cols, Value&& value) const {
    std::string out;
    const std::int64_t outer = transposed_ ? cols : kRows, inner = transposed_ ? kRows : cols;
    for (std::int64_t i = 0; i < outer; ++i) {
      for (std::int64_t j = 0; j < inner; ++j) {
        const auto number = static_cast<unsigned>(transposed_ ? value(j, i) : value(i, j));
        if (bits_ == 8 || j % 2 == 0)
          out.push_back(static_cast<char>(number));
        else
          out.back() = static_cast<char>(static_cast<unsigned char>(out.back()) | number << 4);
      }
    }
    return out;
  }

  int bits_;
  bool transposed_;
  std::int64_t groups_;
};

TEST_P(Codes, AreTheValuesTheyStandFor) {
  const std::int64_t cols = groups_ * kBlock;
  const std::string codes = pack(cols, [&](auto row, auto col) { return code(row, col); });
  const std::string zeros = pack(groups_, [&](auto row, auto group) { return zero(row, group); });
  std::vector<float> scales;
  for (std::int64_t i = 0; i < kRows * groups_; ++i)
    scales.push_back(transposed_ ? scale(i % kRows, i / kRows) : scale(i / groups_, i % groups_));
  add("codes", DType::kU8, {static_cast<std::int64_t>(codes.size())}, codes);
  add("scales", DType::kF32, {kRows * groups_}, bytes_of(scales));
  add("zeros", DType::kU8, {static_cast<std::int64_t>(zeros.size())}, zeros);
  close();
  const Binding::ZeroPointCodes form{id("codes"), id("scales"), id("zeros"), bits_,
                                     kBlock,      kRows,        cols,        transposed_};
  const std::int64_t step = bits_ == 4 && transposed_ ? 2 : 1;  // tiles hold whole bytes of a column
  for (std::int64_t begin = 0; begin < kRows; begin += step) {
    for (std::int64_t count = step; begin + count <= kRows; count += step) {
      const std::vector<float> got = dequantised(form, begin, count);
      for (std::int64_t i = 0; i < count * cols; ++i) {
        const std::int64_t row = begin + i / cols, col = i % cols, group = col / kBlock;
        ASSERT_EQ(got[static_cast<std::size_t>(i)],
                  static_cast<float>(code(row, col) - zero(row, group)) * scale(row, group))
            << row << ", " << col;
      }
    }
  }
}

// One group a row and an odd number of them: zero points of 4 bits end in half a byte.
INSTANTIATE_TEST_SUITE_P(Forms, Codes,
                         ::testing::Combine(::testing::Values(4, 8), ::testing::Bool(),
                                            ::testing::Values<std::int64_t>(1, 2, 3, 5)));

TEST_F(ColumnSource, RefusesScalesThatAreNotFinite) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), 3e38F}) {
    content_.clear();
    tensors_.clear();
    add("codes", DType::kU8, {64}, std::string(64, '\1'));
    add("scales", DType::kF32, {4}, bytes_of(std::vector<float>{1, 1, bad, 1}));
    add("zeros", DType::kU8, {4}, std::string(4, '\0'));
    close();
    const Binding::ZeroPointCodes form{id("codes"), id("scales"), id("zeros"), 8, 16, 4, 16, false};
    EXPECT_EQ(dequantised(form, 0, 2), std::vector<float>(32, 1.0F));
    const std::string message = message_of([&] { dequantised(form, 1, 2); });
    EXPECT_NE(message.find("'scales': a scale of row 2"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace llm2mnn
