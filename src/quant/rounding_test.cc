#include "quant/rounding.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "kernels/test_levels.h"

namespace llm2mnn {
namespace {

// ---- An independent reading of the format: no code of the product below this line uses its helpers. ----

/// IEEE half by its definition.
double half_value(unsigned bits) {
  const double sign = (bits >> 15) != 0 ? -1 : 1;
  const int exponent = static_cast<int>((bits >> 10) & 31u);
  const double fraction = static_cast<double>(bits & 1023u);
  if (exponent == 31) return fraction == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

/// The half nearest to `value`, ties to the even pattern, by search over all positive halves.
unsigned nearest_half(double value) {
  if (std::isnan(value)) return 0x7e00;
  const double magnitude = std::fabs(value);
  unsigned low = 0;
  unsigned high = 0x7c00;  // stands for 65536 here, the value that the rounding rule gives it
  while (high - low > 1) {
    const unsigned middle = (low + high) / 2;
    (half_value(middle) <= magnitude ? low : high) = middle;
  }
  const double above = high == 0x7c00 ? 65536 : half_value(high);
  const double to_low = magnitude - half_value(low);
  const double to_high = above - magnitude;
  const bool take_low = to_low < to_high || (to_low == to_high && low % 2 == 0);
  return (take_low ? low : high) | (std::signbit(value) ? 0x8000u : 0u);
}

unsigned read_u16(const std::vector<std::byte>& bytes, std::size_t index) {
  return static_cast<unsigned>(bytes.at(2 * index)) | static_cast<unsigned>(bytes.at(2 * index + 1)) << 8;
}

float read_f32(const std::vector<std::byte>& bytes, std::size_t index) {
  float value = 0;
  std::memcpy(&value, &bytes.at(4 * index), 4);
  return value;
}

/// Bit by bit, most significant bit first.
unsigned read_code(const std::vector<std::byte>& stream, std::size_t index, int bits) {
  unsigned code = 0;
  for (std::size_t bit = index * static_cast<std::size_t>(bits);
       bit < (index + 1) * static_cast<std::size_t>(bits); ++bit) {
    code = code << 1 | ((static_cast<unsigned>(stream.at(bit / 8)) >> (7 - bit % 8)) & 1u);
  }
  return code;
}

struct Stored {
  double scale = 0;
  double offset = 0;
};

Stored read_stored(const std::vector<std::byte>& alpha, const QuantScheme& scheme, std::size_t group) {
  const auto read = [&](std::size_t index) {
    return scheme.scale_type == ScaleType::kF16 ? half_value(read_u16(alpha, index))
                                                : double{read_f32(alpha, index)};
  };
  if (scheme.symmetric) return {read(group), 0};
  return {read(2 * group + 1), read(2 * group)};
}

// ---- Inputs ----

/// A matrix in a source dtype, and its values as the source holds them.
struct Source {
  std::vector<std::byte> bytes;
  std::vector<double> values;
  WeightRows rows;
};

Source make_source(const std::vector<float>& values, DType dtype, std::int64_t rows, std::int64_t cols) {
  Source source;
  const auto width = static_cast<std::size_t>(dtype_bytes(dtype));
  source.bytes.resize(values.size() * width + 1);
  std::byte* data = source.bytes.data() + 1;  // unaligned on purpose
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (dtype == DType::kF32) {
      std::memcpy(data + 4 * i, &values[i], 4);
      source.values.push_back(values[i]);
      continue;
    }
    // BF16 by truncation: any 16-bit pattern is a valid source.
    const auto bits = static_cast<std::uint16_t>(
        dtype == DType::kF16 ? nearest_half(values[i]) : std::bit_cast<std::uint32_t>(values[i]) >> 16);
    std::memcpy(data + 2 * i, &bits, 2);
    source.values.push_back(dtype == DType::kF16 ? half_value(bits)
                                                 : double{std::bit_cast<float>(std::uint32_t{bits} << 16)});
  }
  source.rows = {data, dtype, rows, cols};
  return source;
}

std::vector<float> normal_values(std::size_t n, double spread, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0, spread);
  std::vector<float> values(n);
  for (float& value : values)
    value = static_cast<float>(normal(random));
  return values;
}

struct Result {
  std::vector<std::byte> codes;
  std::vector<std::byte> alpha;
  friend bool operator==(const Result&, const Result&) = default;
};

Result quantize(const Source& source, const QuantScheme& scheme) {
  Result result;
  result.codes.resize(static_cast<std::size_t>(codes_bytes(scheme, source.rows.rows, source.rows.cols)));
  result.alpha.resize(static_cast<std::size_t>(alpha_bytes(scheme, source.rows.rows, source.rows.cols)));
  quantize_rows(source.rows, scheme, default_method(), 0, result.codes, result.alpha);
  return result;
}

std::string message_of(const Source& source, const QuantScheme& scheme, std::int64_t first_row = 0) {
  Result result;
  result.codes.resize(static_cast<std::size_t>(codes_bytes(scheme, source.rows.rows, source.rows.cols)));
  result.alpha.resize(static_cast<std::size_t>(alpha_bytes(scheme, source.rows.rows, source.rows.cols)));
  try {
    quantize_rows(source.rows, scheme, default_method(), first_row, result.codes, result.alpha);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kFormat);
    return error.message();
  }
  return "no error";
}

// ---- The law ----

/// Every weight is within half a stored step of its value. A weight that met the end of the code range may
/// miss by the rounding of the offset more. `slack` is float32's share of the quotient: two roundings of at
/// most 2^-24 on a number of at most 2^(bits-1) + 1 steps. Nothing is allowed for the rounding of the scale.
void expect_within_half_step(const Source& source, const QuantScheme& scheme, const Result& result) {
  const auto cols = static_cast<std::size_t>(source.rows.cols);
  const std::size_t group_len = scheme.group_size == 0 ? cols : static_cast<std::size_t>(scheme.group_size);
  const double half = std::ldexp(1, scheme.bits - 1);
  for (std::size_t group = 0; group < source.values.size() / group_len; ++group) {
    const double* w = source.values.data() + group * group_len;
    const auto [low, high] = std::minmax_element(w, w + group_len);
    const Stored stored = read_stored(result.alpha, scheme, group);
    double offset = *low + (*high - *low) / (2 * half - 1) * half;  // before it was rounded
    if (*low == *high) offset = *low;
    if (scheme.symmetric) offset = 0;
    const bool constant = *low == *high;
    const double rounding = std::fabs(stored.offset - offset);
    const double slack = std::ldexp(half + 1, -23) * stored.scale;
    ASSERT_GT(stored.scale, 0) << "group " << group;
    for (std::size_t i = 0; i < group_len; ++i) {
      const double code = read_code(result.codes, group * group_len + i, scheme.bits) - half;
      const bool at_end = code == -half || code == half - 1;
      const double error = std::fabs(w[i] - (code * stored.scale + stored.offset));
      ASSERT_LE(error, stored.scale / 2 + slack + (at_end || constant ? rounding : 0))
          << scheme_text(scheme) << ", group " << group << ", value " << i << " = " << w[i] << ", code "
          << code;
    }
  }
}

std::vector<QuantScheme> all_schemes(std::vector<int> groups) {
  std::vector<QuantScheme> schemes;
  for (int bits = 2; bits <= 8; ++bits) {
    for (const int group : groups) {
      for (const bool symmetric : {false, true}) {
        for (const ScaleType type : {ScaleType::kF16, ScaleType::kF32}) {
          schemes.push_back({bits, group, symmetric, type});
        }
      }
    }
  }
  return schemes;
}

constexpr DType kSourceTypes[] = {DType::kBF16, DType::kF16, DType::kF32};

/// Checks the law and that every level writes the bytes of the last one, the scalar reference.
void expect_law_on_every_level(const Source& source, const QuantScheme& scheme) {
  std::map<std::string, Result> results;
  for_each_level([&](const std::string& level) { results[level] = quantize(source, scheme); });
  expect_within_half_step(source, scheme, results.at("scalar"));
  for (const auto& [level, result] : results) {
    ASSERT_EQ(result, results.at("scalar"))
        << level << ", " << scheme_text(scheme) << ", " << dtype_name(source.rows.dtype);
  }
}

TEST(Rounding, EveryWeightIsWithinHalfAStoredStep) {
  constexpr std::int64_t kRows = 5;
  unsigned seed = 1;
  for (const QuantScheme& scheme : all_schemes({0, 16, 32, 48, 64, 96, 128, 144, 256})) {
    for (const DType dtype : kSourceTypes) {
      const std::int64_t cols = scheme.group_size == 0 ? 200 : 3 * scheme.group_size;
      SCOPED_TRACE("seed " + std::to_string(seed));
      const auto n = static_cast<std::size_t>(kRows * cols);
      expect_law_on_every_level(make_source(normal_values(n, 0.02, seed++), dtype, kRows, cols), scheme);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Rounding, WholeRowsOfAnyLengthMakeOneBitStream) {
  unsigned seed = 1000;
  for (const QuantScheme& scheme : all_schemes({0})) {
    for (const std::int64_t cols : {1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 63, 65, 127, 129, 2047, 2049, 9001}) {
      const DType dtype = kSourceTypes[seed % 3];
      const std::int64_t rows = cols > 1000 ? 3 : 11;
      SCOPED_TRACE("seed " + std::to_string(seed) + ", cols " + std::to_string(cols));
      const auto n = static_cast<std::size_t>(rows * cols);
      expect_law_on_every_level(make_source(normal_values(n, 0.5, seed++), dtype, rows, cols), scheme);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Rounding, HoldsForAnySpreadAndCentre) {
  unsigned seed = 2000;
  for (const double spread : {1e-42, 1e-38, 1e-12, 3e-8, 2e-7, 1e-6, 1e-4, 1.0, 300.0}) {
    for (const double centre : {0.0, 1e-7, -0.3, 77.0, -4000.0}) {
      for (const QuantScheme& scheme : all_schemes({32})) {
        const DType dtype = kSourceTypes[seed % 3];
        std::vector<float> values = normal_values(4 * 64, spread, seed);
        for (float& value : values)
          value = static_cast<float>(value + centre);
        SCOPED_TRACE("seed " + std::to_string(seed++) + ", spread " + std::to_string(spread));
        expect_law_on_every_level(make_source(values, dtype, 4, 64), scheme);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(Rounding, ScaleAndOffsetAreThoseOfTheExporterBitForBit) {
  // MNN's exporter: float32 arithmetic, both stored after the unrounded scale made the offset.
  const Source source = make_source(normal_values(64 * 8, 0.03, 7), DType::kBF16, 8, 64);
  for (const QuantScheme& scheme : all_schemes({64})) {
    const Result result = quantize(source, scheme);
    const auto levels = static_cast<float>((1 << scheme.bits) - 1);
    const auto half = static_cast<float>(1 << (scheme.bits - 1));
    for (std::size_t row = 0; row < 8; ++row) {
      const double* w = source.values.data() + 64 * row;
      const auto low = static_cast<float>(*std::min_element(w, w + 64));
      const auto high = static_cast<float>(*std::max_element(w, w + 64));
      float scale = (high - low) / levels;
      const float offset = low + scale * half;
      if (scheme.symmetric) scale = std::max(-low, high) / (half - 1);
      const bool f16 = scheme.scale_type == ScaleType::kF16;
      const Stored stored = read_stored(result.alpha, scheme, row);
      EXPECT_EQ(stored.scale, f16 ? half_value(nearest_half(scale)) : scale) << scheme_text(scheme);
      if (scheme.symmetric) continue;
      EXPECT_EQ(stored.offset, f16 ? half_value(nearest_half(offset)) : offset) << scheme_text(scheme);
    }
  }
}

TEST(Rounding, CodesAreHalfToEvenAgainstTheStoredGrid) {
  // Range 0..15 at 4 bits: scale 1, offset 8. Ties go to the even code: 8.5 is code 0, 9.5 is code 2.
  std::vector<float> values(16, 0.0f);
  values[1] = 15;
  values[2] = 8.5f;
  values[3] = 9.5f;
  values[4] = 7.5f;
  values[5] = 6.5f;
  const Result result = quantize(make_source(values, DType::kF32, 1, 16), {4, 16, false, ScaleType::kF16});
  const unsigned expected[] = {0, 15, 8, 10, 8, 6};
  for (std::size_t i = 0; i < 6; ++i)
    EXPECT_EQ(read_code(result.codes, i, 4), expected[i]) << i;
  EXPECT_EQ(result.codes[0], std::byte{0x0f});  // the first weight is in the high nibble
}

TEST(Rounding, AConstantGroupIsItsOffset) {
  for (const float constant : {0.0f, -0.0f, 0.75f, -3.5f, 0x1p-24f}) {
    for (const QuantScheme& scheme : all_schemes({16})) {
      if (scheme.symmetric) continue;
      const Source source = make_source(std::vector<float>(32, constant), DType::kF32, 2, 16);
      for_each_level([&](const std::string&) {
        const Result result = quantize(source, scheme);
        for (std::size_t group = 0; group < 2; ++group) {
          const Stored stored = read_stored(result.alpha, scheme, group);
          EXPECT_EQ(stored.scale, 1);
          EXPECT_EQ(stored.offset, constant);
          EXPECT_FALSE(std::signbit(stored.offset) && stored.offset == 0);
        }
        for (std::size_t i = 0; i < 32; ++i) {
          EXPECT_EQ(read_code(result.codes, i, scheme.bits), 1u << (scheme.bits - 1));
        }
      });
    }
  }
}

TEST(Rounding, AnAllZeroSymmetricGroupIsScaleOneCodeZero) {
  std::vector<float> values(32, 0.0f);
  for (std::size_t i = 0; i < 32; i += 3)
    values[i] = -0.0f;
  for (const DType dtype : kSourceTypes) {
    const Source source = make_source(values, dtype, 1, 32);
    for_each_level([&](const std::string&) {
      const QuantScheme scheme{4, 32, true, ScaleType::kF16};
      const Result result = quantize(source, scheme);
      EXPECT_EQ(read_stored(result.alpha, scheme, 0).scale, 1);
      for (std::size_t i = 0; i < 32; ++i)
        EXPECT_EQ(read_code(result.codes, i, 4), 8u);
    });
  }
}

TEST(Rounding, TheSignOfAZeroNeverReachesTheBytes) {
  for (const DType dtype : kSourceTypes) {
    for (const QuantScheme& scheme : all_schemes({16})) {
      std::vector<float> values = normal_values(32, 1, 5);
      for (float& value : values)
        value = std::fabs(value) + 0.25f;
      values[3] = 0.0f;
      values[20] = 0.0f;
      const Result plus = quantize(make_source(values, dtype, 1, 32), scheme);
      values[3] = -0.0f;
      values[20] = -0.0f;
      for_each_level([&](const std::string&) {
        EXPECT_EQ(quantize(make_source(values, dtype, 1, 32), scheme), plus) << scheme_text(scheme);
      });
    }
  }
}

TEST(Rounding, AScaleThatWouldRoundToZeroIsTheSmallestOfItsType) {
  std::vector<float> values(16, 0x1p-24f);
  values[5] = 0x1.4p-24f;  // a step of 2^-26 / 15 is nothing in FP16
  const Source source = make_source(values, DType::kF32, 1, 16);
  const Source subnormal = make_source({0, 0x1p-149f, 0, 0, 0, 0, 0, 0}, DType::kF32, 1, 8);
  for_each_level([&](const std::string&) {
    const QuantScheme f16{4, 16, false, ScaleType::kF16};
    EXPECT_EQ(read_stored(quantize(source, f16).alpha, f16, 0).scale, 0x1p-24);
    const QuantScheme f32{4, 0, false, ScaleType::kF32};
    EXPECT_EQ(read_stored(quantize(subnormal, f32).alpha, f32, 0).scale, 0x1p-149);
  });
}

TEST(Rounding, AScaleThatFallsShortOfTheRangeGrowsByOneUnit) {
  // 255 steps of 1.4 * 2^-24: the nearest half, 2^-24, would lose 102 steps.
  std::vector<float> values(16, 0.0f);
  values[3] = 357 * 0x1p-24f;
  for_each_level([&](const std::string&) {
    for (const bool symmetric : {false, true}) {
      const QuantScheme scheme{8, 16, symmetric, ScaleType::kF16};
      const Source source = make_source(values, DType::kF32, 1, 16);
      const Result result = quantize(source, scheme);
      EXPECT_EQ(read_stored(result.alpha, scheme, 0).scale, (symmetric ? 3 : 2) * 0x1p-24);
      expect_within_half_step(source, scheme, result);
    }
  });
}

TEST(Rounding, NamesTheRowOfANaNOrInf) {
  for (const DType dtype : kSourceTypes) {
    for (const QuantScheme& scheme :
         {QuantScheme{4, 16}, QuantScheme{8, 0, true}, QuantScheme{16}, QuantScheme{32}}) {
      for (const std::size_t at : {0u, 17u, 47u, 95u, 191u}) {
        std::vector<float> values = normal_values(4 * 48, 1, 3);
        for (const float bad : {NAN, -NAN, INFINITY, -INFINITY}) {
          values[at] = bad;
          const Source source = make_source(values, dtype, 4, 48);
          for_each_level([&](const std::string&) {
            const std::string message = message_of(source, scheme, 100);
            const std::string row = "row " + std::to_string(100 + at / 48) + ": ";
            EXPECT_EQ(message.find(row + (std::isnan(bad) ? "NaN" : "Inf")), 0u) << message;
            EXPECT_NE(message.find("column " + std::to_string(at % 48)), std::string::npos) << message;
          });
        }
      }
    }
  }
}

TEST(Rounding, RefusesWhatTheStoredTypeCannotHold) {
  std::vector<float> values = normal_values(64, 1, 3);
  values[40] = 1e6f;  // an offset of half a million is not FP16
  EXPECT_EQ(
      message_of(make_source(values, DType::kF32, 2, 32), {4, 32, false, ScaleType::kF16}).find("row 1:"),
      0u);
  EXPECT_EQ(
      message_of(make_source(values, DType::kF32, 2, 32), {2, 32, true, ScaleType::kF16}, 8).find("row 9:"),
      0u);
  EXPECT_EQ(message_of(make_source(values, DType::kF32, 2, 32), {4, 32, false, ScaleType::kF32}), "no error");
  EXPECT_EQ(message_of(make_source(values, DType::kF32, 2, 32), QuantScheme{16}).find("row 1:"), 0u);
  const std::vector<float> constant(16, 70000.0f);
  EXPECT_EQ(
      message_of(make_source(constant, DType::kBF16, 1, 16), {4, 16, false, ScaleType::kF16}).find("row 0:"),
      0u);
  values[40] = 3e38f;
  values[41] = -3e38f;  // the range itself is beyond float32
  EXPECT_EQ(
      message_of(make_source(values, DType::kF32, 2, 32), {4, 32, false, ScaleType::kF32}).find("row 1:"),
      0u);
  EXPECT_EQ(message_of(make_source(values, DType::kF32, 2, 32), {4, 32, true, ScaleType::kF32}), "no error");
}

TEST(Rounding, HugeFiniteValuesKeepTheLaw) {
  std::vector<float> values = normal_values(64, 1e37, 9);
  for (const QuantScheme& scheme : all_schemes({32})) {
    if (scheme.scale_type == ScaleType::kF16) continue;
    expect_law_on_every_level(make_source(values, DType::kF32, 2, 32), scheme);
  }
}

TEST(Rounding, SixteenBitsAreNearestHalves) {
  std::vector<float> values = normal_values(1000, 1, 11);
  for (std::size_t i = 0; i < values.size(); i += 3)
    values[i] *= 1e-6f;
  values[0] = 65519.996f;
  values[1] = -0.0f;
  values[2] = 0x1p-25f;
  values[3] = 0x1.000002p-25f;
  values[4] = 0x1.004p-14f;
  for (const DType dtype : kSourceTypes) {
    const Source source = make_source(values, dtype, 8, 125);
    for_each_level([&](const std::string&) {
      const Result result = quantize(source, QuantScheme{16});
      for (std::size_t i = 0; i < values.size(); ++i) {
        ASSERT_EQ(read_u16(result.codes, i), nearest_half(source.values[i])) << i << ": " << source.values[i];
      }
    });
  }
}

TEST(Rounding, ThirtyTwoBitsKeepEveryValue) {
  const std::vector<float> values = normal_values(333, 1e-3, 12);
  for (const DType dtype : kSourceTypes) {
    const Source source = make_source(values, dtype, 3, 111);
    for_each_level([&](const std::string&) {
      const Result result = quantize(source, QuantScheme{32});
      std::vector<std::byte> converted(4 * values.size());
      convert_rows(source.rows, 0, DType::kF32, converted);
      EXPECT_EQ(converted, result.codes);
      for (std::size_t i = 0; i < values.size(); ++i)
        ASSERT_EQ(read_f32(converted, i), source.values[i]);
    });
  }
}

TEST(Rounding, Bf16RowsAreTheNearestBf16) {
  std::vector<float> values = normal_values(512, 1, 13);
  values[0] = 0x1.01p0f;  // a tie, to even: 1
  values[1] = 0x1.03p0f;  // a tie, to even: 1.015625
  values[2] = 1e-40f;     // subnormal
  const Source f32 = make_source(values, DType::kF32, 2, 256);
  for_each_level([&](const std::string&) {
    std::vector<std::byte> out(1024);
    convert_rows(f32.rows, 0, DType::kBF16, out);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double got = std::bit_cast<float>(static_cast<std::uint32_t>(read_u16(out, i)) << 16);
      const double down = std::bit_cast<float>(std::bit_cast<std::uint32_t>(values[i]) & 0xffff0000u);
      const double up =
          std::bit_cast<float>((std::bit_cast<std::uint32_t>(values[i]) & 0xffff0000u) + 0x10000u);
      const double to_down = std::fabs(values[i] - down);
      const double to_up = std::fabs(values[i] - up);
      const bool even_down = (std::bit_cast<std::uint32_t>(values[i]) >> 16) % 2 == 0;
      ASSERT_EQ(got, to_down < to_up || (to_down == to_up && even_down) ? down : up) << i;
    }
    const Source bf16 = make_source(values, DType::kBF16, 2, 256);
    convert_rows(bf16.rows, 0, DType::kBF16, out);
    EXPECT_TRUE(std::equal(out.begin(), out.end(), bf16.bytes.begin() + 1));
  });
  values[300] = std::numeric_limits<float>::max();
  std::vector<std::byte> out(1024);
  const Source huge = make_source(values, DType::kF32, 2, 256);
  EXPECT_THROW(convert_rows(huge.rows, 0, DType::kBF16, out), Error);
}

TEST(Rounding, TilesOfEightRowsJoinToTheWholeMatrix) {
  for (const QuantScheme& scheme : all_schemes({0})) {
    const std::int64_t cols = 37;
    const Source source = make_source(normal_values(21 * 37, 1, 17), DType::kBF16, 21, cols);
    const Result whole = quantize(source, scheme);
    Result joined;
    for (std::int64_t row = 0; row < 21; row += 8) {
      Source tile;
      tile.rows = {source.rows.data + row * cols * 2, DType::kBF16, std::min<std::int64_t>(8, 21 - row),
                   cols};
      const Result part = quantize(tile, scheme);
      joined.codes.insert(joined.codes.end(), part.codes.begin(), part.codes.end());
      joined.alpha.insert(joined.alpha.end(), part.alpha.begin(), part.alpha.end());
    }
    EXPECT_EQ(joined, whole) << scheme_text(scheme);
  }
}

}  // namespace
}  // namespace llm2mnn
