#include "formats/onnx/llmexport_rotary.h"

#include <cmath>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tensor/dtype.h"

namespace llm2mnn::onnx {
namespace {

std::vector<float> frequencies(double theta, std::int64_t half) {
  std::vector<float> out;
  for (std::int64_t j = 0; j < half; ++j)
    out.push_back(1.0F /
                  static_cast<float>(std::pow(theta, static_cast<double>(j) / static_cast<double>(half))));
  return out;
}

AngleTable table_of(const std::vector<float>& inv_freq, std::int64_t rows, std::int64_t step) {
  AngleTable table;
  table.rows = rows;
  table.step = step;
  for (std::int64_t row = 0; row < rows; ++row) {
    for (const float frequency : inv_freq) {
      const double angle = static_cast<double>(row * step) * static_cast<double>(frequency);
      table.cos.push_back(static_cast<float>(std::cos(angle)));
      table.sin.push_back(static_cast<float>(std::sin(angle)));
    }
  }
  return table;
}

constexpr std::int64_t kSplit = 2048;

TEST(RecoverInvFreq, FindsTheVeryFloats) {
  for (const double theta : {1e4, 5e5, 1e6, 1e7}) {
    for (const std::int64_t half : {8, 32, 64}) {
      for (const std::int64_t rows : {1, 2, 18, 66}) {
        const std::vector<float> expected = frequencies(theta, half);
        EXPECT_EQ(recover_inv_freq(table_of(expected, kSplit, 1), table_of(expected, rows, kSplit), half),
                  expected)
            << theta << " " << half << " " << rows;
      }
    }
  }
}

TEST(RecoverInvFreq, RefusesAValueThatIsOff) {
  const std::vector<float> inv_freq = frequencies(1e6, 16);
  const AngleTable low = table_of(inv_freq, kSplit, 1);
  const AngleTable high = table_of(inv_freq, 18, kSplit);
  for (const float off : {2e-6F, -1.0F, static_cast<float>(NAN)}) {
    AngleTable bad = low;
    bad.sin[1234 * 16 + 5] += off;
    EXPECT_THROW(recover_inv_freq(bad, high, 16), Error) << off;
    bad = high;
    bad.cos[17 * 16 + 15] += off;
    EXPECT_THROW(recover_inv_freq(low, bad, 16), Error) << off;
  }
}

TEST(RecoverInvFreq, RefusesTablesOfTwoFrequencies) {
  const AngleTable low = table_of(frequencies(1e6, 16), kSplit, 1);
  const AngleTable high = table_of(frequencies(5e5, 16), 18, kSplit);
  EXPECT_THROW(recover_inv_freq(low, high, 16), Error);
}

}  // namespace
}  // namespace llm2mnn::onnx
