#include <gtest/gtest.h>

#include "quant/method.h"
#include "quant/test_groups.h"

namespace llm2mnn {
namespace {

using testing::Distribution;
using testing::quantise;
using testing::random_weights;
using testing::snr;

double gain(Distribution distribution, int bits) {
  const std::vector<float> w = random_weights(distribution, 64 * 2000);
  const GridRule rule{bits};
  return snr(w, quantise(*find_method("hqq"), w, 64, rule).values) -
         snr(w, quantise(*find_method("rtn"), w, 64, rule).values);
}

// A free step would gain more (search); the offset alone is worth a third of a dB.
TEST(Hqq, GainsWhatABetterOffsetCanGain) {
  for (const int bits : {2, 3, 4}) {
    EXPECT_GT(gain(Distribution::kGaussian, bits), 0.25) << bits;
    EXPECT_GT(gain(Distribution::kStudentT, bits), 0.25) << bits;
  }
}

TEST(Hqq, KeepsTheStepOfTheRange) {
  const std::vector<float> w = random_weights(Distribution::kGaussian, 64 * 100);
  EXPECT_EQ(quantise(*find_method("hqq"), w, 64, {4}).scale, quantise(*find_method("rtn"), w, 64, {4}).scale);
}

// Errors of ordinary weights are below the threshold of the proximal step; those of large ones are not, and
// then the offset minimises their p norm.
TEST(Hqq, MinimisesThePNormOfLargeErrors) {
  std::vector<float> w = random_weights(Distribution::kLaplace, 64 * 500);
  for (float& weight : w)
    weight *= 100;
  const auto norm = [&](std::string_view name) {
    const std::vector<float> values = quantise(*find_method(name), w, 64, {3, false, false}).values;
    double sum = 0;
    for (std::size_t i = 0; i < w.size(); ++i)
      sum += std::pow(std::abs(w[i] - values[i]), 0.7);
    return sum;
  };
  EXPECT_LT(norm("hqq"), 0.99 * norm("rtn"));
}

}  // namespace
}  // namespace llm2mnn
