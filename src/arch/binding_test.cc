#include "arch/binding.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <limits>
#include <optional>
#include <unistd.h>

#include "arch/arch_test_util.h"

namespace llm2mnn {
namespace {

namespace fs = std::filesystem;

// A checkpoint with "m" F32 [6, 4] (value 10 * row + column), "b" BF16 [6, 4] (the same), "v" F16 [6]
// (value 1..6), "big" F32 [4, 3000] (value row), "bad" F32 [3, 2] with a NaN in row 2, column 1.
class BindingTest : public ::testing::Test {
 protected:
  BindingTest() {
    std::string pattern = (fs::temp_directory_path() / "llm2mnn_binding_XXXXXX").string();
    dir_ = mkdtemp(pattern.data());
    std::string header, data;
    const auto add = [&](const std::string& name, const std::string& dtype, const std::string& shape,
                         const std::string& bytes) {
      header += fmt::format("{}\"{}\":{{\"dtype\":\"{}\",\"shape\":{},\"data_offsets\":[{},{}]}}",
                            header.empty() ? "{" : ",", name, dtype, shape, data.size(),
                            data.size() + bytes.size());
      data += bytes;
    };
    std::vector<float> matrix, big(12000), bad = {0, 1, 2, 3, 4, std::numeric_limits<float>::quiet_NaN()};
    for (int i = 0; i < 24; ++i)
      matrix.push_back(static_cast<float>(10 * (i / 4) + i % 4));
    for (std::size_t i = 0; i < big.size(); ++i)
      big[i] = static_cast<float>(i / 3000);
    std::string halves;
    for (const float value : matrix)
      append(halves, static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16));
    std::string vector;
    for (const int half : {0x3C00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600})
      append(vector, static_cast<std::uint16_t>(half));
    add("m", "F32", "[6,4]", bytes_of(matrix));
    add("b", "BF16", "[6,4]", halves);
    add("v", "F16", "[6]", vector);
    add("big", "F32", "[4,3000]", bytes_of(big));
    add("bad", "F32", "[3,2]", bytes_of(bad));
    // "e" F8_E4M3 [5, 7] holds 1, 2, 4 or 8 in each row's columns; its scales are 3x2 blocks.
    std::string eighths;
    for (int i = 0; i < 35; ++i)
      eighths += static_cast<char>(0x38 + 8 * (i % 7 % 4));
    add("e", "F8_E4M3", "[5,7]", eighths);
    add("e_scale_inv", "F32", "[2,4]", bytes_of({1, 10, 100, 1000, -1, -10, -100, -1000}));
    // "stack" F8_E4M3 [2, 3, 4] holds 1, 2, 4, 8 in each row, scales [2, 2, 2]; "columns" [2, 4, 3] is each
    // matrix of it turned.
    std::string rows, columns;
    for (int i = 0; i < 24; ++i)
      rows += static_cast<char>(0x38 + 8 * (i % 4));
    for (int i = 0; i < 24; ++i)
      columns += static_cast<char>(0x38 + 8 * (i / 3 % 4));
    add("stack", "F8_E4M3", "[2,3,4]", rows);
    add("stack_scale", "F32", "[2,2,2]", bytes_of({1, 10, 100, 1000, -1, -10, -100, -1000}));
    add("columns", "F8_E4M3", "[2,4,3]", columns);
    add("columns_scale", "F32", "[2,2,2]", bytes_of({1, 100, 10, 1000, -1, -100, -10, -1000}));
    add("nan", "F8_E5M2", "[2,2]", std::string("\x3c\x3c\x3c\x7e", 4));
    add("nan_scale", "BF16", "[]", std::string("\x80\x3f", 2));
    add("bad_scales", "F32", "[2]", bytes_of({1, std::numeric_limits<float>::infinity()}));
    // "x" MXFP4 [3, 5, 64]: the codes of a row are its number and 7 in turn; the scales of its two groups are
    // 1 and 1/8.
    std::string codes;
    for (int i = 0; i < 15 * 32; ++i)
      codes += static_cast<char>(i / 32 | 0x70);
    std::string powers;
    for (int i = 0; i < 30; ++i)
      powers += static_cast<char>(i % 2 == 0 ? 127 : 124);
    add("x_blocks", "U8", "[3,5,2,16]", codes);
    add("x_scales", "U8", "[3,5,2]", powers);
    add("x_nan", "U8", "[3,5,2]", std::string(30, '\xff'));
    // "t" ternary [8, 3] in two rows: quarter j of the rows begins with the code j % 3.
    add("t", "U8", "[2,3]", std::string("\x24\x24\x24\x49\x49\x24", 6));
    add("t_scale", "BF16", "[1]", std::string("\x00\x40", 2));
    add("t_zero", "F32", "[]", bytes_of({0}));
    add("t_bad", "U8", "[2,3]", std::string("\x24\x24\x24\x24\x24\x34", 6));
    header += "}";
    std::string file;
    append(file, static_cast<std::uint64_t>(header.size()));
    std::ofstream(dir_ / "model.safetensors", std::ios::binary) << file << header << data;
    std::ofstream(dir_ / "config.json") << "{}";
    checkpoint_.emplace(Checkpoint::open(dir_));
  }
  ~BindingTest() override { fs::remove_all(dir_); }

  template <typename T>
  static void append(std::string& bytes, T value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  static std::string bytes_of(const std::vector<float>& values) {
    return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  }

  Binding source(const std::string& name) const {
    return Binding::source(*checkpoint_, *checkpoint_->find(name));
  }

  std::vector<float> read(const Binding& binding, std::int64_t begin, std::int64_t count) {
    std::vector<float> out(static_cast<std::size_t>(count * binding.cols()));
    binding.read_rows(*checkpoint_, begin, count, out.data(), scratch_);
    return out;
  }
  std::vector<float> read(const Binding& binding) { return read(binding, 0, binding.rows()); }

  // Any range gives what the whole gives there.
  void expect_ranges_agree(const Binding& binding) {
    const std::vector<float> whole = read(binding);
    const auto cols = static_cast<std::size_t>(binding.cols());
    for (std::int64_t begin = 0; begin <= binding.rows(); ++begin) {
      for (std::int64_t count = 0; begin + count <= binding.rows(); ++count) {
        const auto from = whole.begin() + begin * static_cast<std::int64_t>(cols);
        EXPECT_EQ(read(binding, begin, count),
                  std::vector<float>(from, from + count * static_cast<std::int64_t>(cols)))
            << begin << " + " << count;
      }
    }
  }

  fs::path dir_;
  std::optional<Checkpoint> checkpoint_;
  std::vector<std::byte> scratch_;
};

using Values = std::vector<float>;

TEST_F(BindingTest, PartsStandSideBySide) {
  const Binding m = source("m");
  const Binding both =
      Binding::concat_cols({m.gather_rows({{1, 2, 1}}), m.gather_rows({{0, 1, 1}, {5, 1, 1}})});
  EXPECT_EQ(both.rows(), 2);
  EXPECT_EQ(both.cols(), 8);
  EXPECT_EQ(read(both, 0, 2),
            (std::vector<float>{10, 11, 12, 13, 0, 1, 2, 3, 20, 21, 22, 23, 50, 51, 52, 53}));
  EXPECT_EQ(read(both, 1, 1), (std::vector<float>{20, 21, 22, 23, 50, 51, 52, 53}));
}

TEST_F(BindingTest, AClampLimitsBothSides) {
  EXPECT_EQ(read(source("m").scale(-1).add(2).clamp(1.5F), 0, 1), (std::vector<float>{1.5F, 1, 0, -1}));
}

TEST_F(BindingTest, BlocksAreScaledAndCutAtTheEdges) {
  const auto id = [&](const char* name) { return *checkpoint_->find(name); };
  const Binding blocks = Binding::dequantised(Binding::ScaledBlocks{.values = id("e"),
                                                                    .scales = id("e_scale_inv"),
                                                                    .rows = 5,
                                                                    .cols = 7,
                                                                    .block_rows = 3,
                                                                    .block_cols = 2});
  const Values first = {1, 2, 40, 80, 100, 200, 4000};
  const Values last = {-1, -2, -40, -80, -100, -200, -4000};
  for (std::int64_t row = 0; row < 5; ++row)
    EXPECT_EQ(read(blocks, row, 1), row < 3 ? first : last) << row;
  expect_ranges_agree(blocks);
  expect_ranges_agree(blocks.gather_rows({{1, 2, 2}, {0, 3, 2}, {3, 2, 1}}));
  EXPECT_EQ(read(blocks.gather_rows({{0, 2, 4}})),
            (Values{1, 2, 40, 80, 100, 200, 4000, -1, -2, -40, -80, -100, -200, -4000}));
  EXPECT_FALSE(blocks.plain_source().has_value());
  std::vector<TensorId> sources;
  blocks.collect_sources(sources);
  EXPECT_EQ(sources, (std::vector<TensorId>{id("e"), id("e_scale_inv")}));
}

TEST_F(BindingTest, BlocksOfSeveralMatricesAreScaledOnTheirOwn) {
  const auto id = [&](const char* name) { return *checkpoint_->find(name); };
  Binding::ScaledBlocks form{.values = id("stack"),
                             .scales = id("stack_scale"),
                             .rows = 6,
                             .cols = 4,
                             .block_rows = 2,
                             .block_cols = 3,
                             .matrices = 2};
  const Binding stack = Binding::dequantised(form);
  const Values want = {1,  2,  4,  80,  1,  2,  4,  80,  100,  200,  400,  8000,
                       -1, -2, -4, -80, -1, -2, -4, -80, -100, -200, -400, -8000};
  EXPECT_EQ(read(stack), want);
  expect_ranges_agree(stack);
  // As [4, 3] each: column i of a stored row is its value i; blocks are 3 x 2 of what is stored.
  form.transposed = true;
  form.values = id("columns");
  form.scales = id("columns_scale");
  const Binding columns = Binding::dequantised(form);
  EXPECT_TRUE(columns.reads_columns());
  EXPECT_EQ(read(columns), want);
  expect_ranges_agree(columns);
  expect_ranges_agree(columns.gather_rows({{1, 3, 2}, {0, 2, 5}}));
}

TEST_F(BindingTest, Mxfp4GroupsAreReadInAnyOrderOfRows) {
  const auto id = [&](const char* name) { return *checkpoint_->find(name); };
  const Binding whole = Binding::dequantised(Binding::Mxfp4Groups{id("x_blocks"), id("x_scales"), 15, 64});
  const float values[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0F, -0.5, -1, -1.5, -2, -3, -4};
  for (std::int64_t row = 0; row < 15; ++row) {
    const Values got = read(whole, row, 1);
    for (std::size_t i = 0; i < 64; ++i)
      EXPECT_EQ(got[i], (i % 2 == 0 ? values[row] : 6) * (i < 32 ? 1.0F : 0.125F)) << row << ", " << i;
  }
  expect_ranges_agree(whole.gather_rows({{1, 7, 2}, {0, 2, 13}}));
  EXPECT_EQ(read(whole.gather_rows({{3, 5, 2}}), 2, 1), read(whole, 7, 1));
  EXPECT_EQ(read(whole.gather_rows({{1, 2, 9}}), 1, 1), read(whole, 10, 1));
  std::vector<TensorId> sources;
  whole.collect_sources(sources);
  EXPECT_EQ(sources, (std::vector<TensorId>{id("x_blocks"), id("x_scales")}));
  const Binding bad = Binding::dequantised(Binding::Mxfp4Groups{id("x_blocks"), id("x_nan"), 15, 64});
  EXPECT_EQ(testing::message_of([&] { read(bad, 3, 1); }),
            "tensor 'x_nan': row 3 has a scale of 2^126 or more, or NaN");
}

TEST_F(BindingTest, TernaryCodesLieInQuartersOfTheRows) {
  const auto id = [&](const char* name) { return *checkpoint_->find(name); };
  const auto coded = [&](const char* codes, const char* scale, bool divides) {
    return Binding::dequantised(Binding::TernaryCodes{id(codes), id(scale), divides, 8, 3});
  };
  const Binding whole = coded("t", "t_scale", false);
  EXPECT_EQ(read(whole), (Values{-2, -2, -2, 0,  0,  -2, 0,  0,  0,  2, 2, 0,  //
                                 2,  2,  2,  -2, -2, 2,  -2, -2, -2, 0, 0, -2}));
  EXPECT_EQ(read(coded("t", "t_scale", true), 1, 2), (Values{0, 0, -0.5, 0, 0, 0}));
  expect_ranges_agree(whole);
  expect_ranges_agree(whole.gather_rows({{1, 3, 2}, {0, 7, 1}}));
  std::vector<TensorId> sources;
  whole.collect_sources(sources);
  EXPECT_EQ(sources, (std::vector<TensorId>{id("t"), id("t_scale")}));
  EXPECT_EQ(testing::message_of([&] { read(coded("t", "t_zero", true)); }),
            "tensor 't_zero': the scale is 0; it must be finite and not 0");
  EXPECT_EQ(testing::message_of([&] { read(coded("t_bad", "t_scale", false)); }),
            "tensor 't_bad': row 5, column 2 has the code 3; ternary codes are 0, 1 and 2");
}

TEST_F(BindingTest, AScaledValueThatIsNotFiniteIsNamed) {
  const auto id = [&](const char* name) { return *checkpoint_->find(name); };
  const Binding one = Binding::dequantised(Binding::ScaledBlocks{.values = id("nan"),
                                                                 .scales = id("nan_scale"),
                                                                 .rows = 2,
                                                                 .cols = 2,
                                                                 .block_rows = 2,
                                                                 .block_cols = 2});
  EXPECT_EQ(read(one, 0, 1), (Values{1, 1}));
  EXPECT_EQ(testing::message_of([&] { read(one); }),
            "tensor 'nan': row 1, column 1 is nan; weights must be finite");
  const Binding rows = Binding::dequantised(Binding::ScaledBlocks{.values = id("nan"),
                                                                  .scales = id("bad_scales"),
                                                                  .rows = 2,
                                                                  .cols = 2,
                                                                  .block_rows = 1,
                                                                  .block_cols = 2});
  EXPECT_EQ(testing::message_of([&] { read(rows, 1, 1); }),
            "tensor 'bad_scales': scale 1 is inf; scales must be finite");
}

TEST_F(BindingTest, SourceGivesItsRowsInEveryDtype) {
  EXPECT_EQ(read(source("m"), 2, 1), (Values{20, 21, 22, 23}));
  EXPECT_EQ(read(source("b")), read(source("m")));
  EXPECT_EQ(read(source("v"), 3, 2), (Values{4, 5}));
  EXPECT_EQ(source("v").cols(), 1);
  expect_ranges_agree(source("b"));
}

TEST_F(BindingTest, GatherFollowsItsRuns) {
  const Binding gathered = source("m").gather_rows({{1, 3, 2}, {0, 2, 1}});
  EXPECT_EQ(gathered.rows(), 5);
  EXPECT_EQ(read(gathered, 0, 5),
            (Values{10, 11, 12, 13, 30, 31, 32, 33, 50, 51, 52, 53, 0, 1, 2, 3, 10, 11, 12, 13}));
  expect_ranges_agree(gathered);
  expect_ranges_agree(source("v").gather_rows({{4, 1, 1}, {0, 3, 2}}));
}

TEST_F(BindingTest, GatherReadsDistantRowsOneByOne) {
  // Two rows of 12,000 bytes are further apart than a page.
  const Binding gathered = source("big").gather_rows({{1, 2, 2}});
  const Values values = read(gathered);
  EXPECT_EQ(values.front(), 1);
  EXPECT_EQ(values.back(), 3);
  EXPECT_LE(scratch_.size(), 12000u);
}

TEST_F(BindingTest, GatherOfAGatherComposes) {
  const Binding twice = source("m").gather_rows({{1, 5, 1}}).gather_rows({{0, 3, 2}});
  EXPECT_EQ(read(twice, 0, 3)[4], 30);
  expect_ranges_agree(twice);
}

TEST_F(BindingTest, ConcatCrossesItsParts) {
  const Binding joined =
      Binding::concat_rows({source("m"), source("b").gather_rows({{5, 1, 1}}), source("m")});
  EXPECT_EQ(joined.rows(), 13);
  EXPECT_EQ(read(joined, 5, 3), (Values{50, 51, 52, 53, 50, 51, 52, 53, 0, 1, 2, 3}));
  expect_ranges_agree(joined);
}

TEST_F(BindingTest, AddComesBeforeAnOuterScale) {
  EXPECT_EQ(read(source("v").add(1).scale(2), 0, 2), (Values{4, 6}));
  EXPECT_EQ(read(source("v").scale(2).add(1), 0, 2), (Values{3, 5}));
}

TEST_F(BindingTest, SoftplusIsPositiveAndLinearFarOut) {
  const Values values = read(source("v").add(-3).scale(40).softplus(), 1, 3);  // of -40, 0 and 40
  EXPECT_NEAR(values.at(0), std::exp(-40.0F), 1e-22);
  EXPECT_FLOAT_EQ(values.at(1), std::log(2.0F));
  EXPECT_FLOAT_EQ(values.at(2), 40);
}

TEST_F(BindingTest, ConstantNeedsNoTensor) {
  const Binding ones = Binding::constant(3, 1.0f);
  EXPECT_EQ(read(ones, 1, 2), (Values{1, 1}));
  std::vector<TensorId> sources;
  ones.collect_sources(sources);
  EXPECT_TRUE(sources.empty());
}

TEST_F(BindingTest, OnlyAWholeTensorIsPlain) {
  EXPECT_EQ(source("m").plain_source(), checkpoint_->find("m"));
  EXPECT_FALSE(source("m").scale(2).plain_source().has_value());
  EXPECT_FALSE(Binding().plain_source().has_value());
}

TEST_F(BindingTest, NanIsNamedWithTensorRowAndColumn) {
  ErrorKind kind{};
  const std::string message = testing::message_of(
      [&] {
        read(source("bad").gather_rows({{2, 1, 1}}));
      },
      &kind);
  EXPECT_EQ(message, "tensor 'bad': row 2, column 1 is NaN; weights must be finite");
  EXPECT_EQ(kind, ErrorKind::kFormat);
  EXPECT_EQ(read(source("bad"), 0, 2), (Values{0, 1, 2, 3}));
}

TEST_F(BindingTest, NormalisedRowsHaveLengthOne) {
  const Values raw = read(source("m"));
  const Binding rows = source("m").normalise_rows();
  const Values got = read(rows);
  const auto cols = static_cast<std::size_t>(rows.cols());
  for (std::size_t row = 0; row < raw.size() / cols; ++row) {
    double square = 0;
    for (std::size_t i = row * cols; i < (row + 1) * cols; ++i)
      square += static_cast<double>(raw[i]) * raw[i];
    for (std::size_t i = row * cols; i < (row + 1) * cols; ++i)
      EXPECT_FLOAT_EQ(got[i], static_cast<float>(raw[i] / std::sqrt(square)));
  }
  EXPECT_FALSE(rows.plain_source().has_value());
  EXPECT_EQ(rows.text(*checkpoint_), "m, rows over their lengths");
}

TEST_F(BindingTest, ExponentialsOfElements) {
  const Values raw = read(source("m"));
  const Binding powers = source("m").exponential().scale(-1);
  const Values got = read(powers);
  for (std::size_t i = 0; i < raw.size(); ++i)
    EXPECT_FLOAT_EQ(got[i], -std::exp(raw[i]));
  EXPECT_EQ(powers.text(*checkpoint_), "exp(m), * -1");
}

TEST_F(BindingTest, OverflowOfATransformIsAnError) {
  const std::string message = testing::message_of([&] { read(source("m").scale(1e38f)); });
  EXPECT_NE(message.find("row 1 overflows float32"), std::string::npos) << message;
}

TEST_F(BindingTest, TextSaysWhatItIs) {
  EXPECT_EQ(source("m").gather_rows({{0, 2, 1}}).scale(2).text(*checkpoint_), "m rows 0..2, * 2");
  EXPECT_EQ(source("m").gather_rows({{1, 3, 2}}).text(*checkpoint_), "m rows 1..6 by 2");
}

TEST_F(BindingTest, GatherOutsideItsSourceIsOurBug) {
  EXPECT_THROW(source("m").gather_rows({{5, 2, 1}}), Error);
  EXPECT_THROW(source("m").gather_rows({{-1, 2, 1}}), Error);
}

}  // namespace
}  // namespace llm2mnn
