#include "kernels/search.h"

#include <gtest/gtest.h>

#include "quant/method.h"
#include "quant/test_groups.h"

namespace llm2mnn {
namespace {

using testing::Distribution;
using testing::quantise;
using testing::random_weights;
using testing::snr;

const QuantMethod& named(std::string_view name) { return *find_method(name); }

constexpr Distribution kAll[] = {Distribution::kGaussian, Distribution::kLaplace, Distribution::kStudentT};

TEST(Search, ReachesItsMarksOnGaussianGroups) {
  const std::vector<float> w = random_weights(Distribution::kGaussian, 64 * 4000);
  const auto reached = [&](int bits) { return snr(w, quantise(named("search"), w, 64, {bits}).values); };
  EXPECT_GT(reached(4), 21.75);
  EXPECT_GT(reached(3), 15.6);
  EXPECT_GT(reached(2), 9.85);
}

TEST(Search, IsNowhereWorseThanTheOthers) {
  for (const Distribution distribution : kAll) {
    for (const std::size_t group_len : {16u, 32u, 64u, 128u, 1024u}) {
      const std::vector<float> w = random_weights(distribution, 64 * 1024);
      for (const GridRule& rule : {GridRule{2}, GridRule{3}, GridRule{4}, GridRule{6}, GridRule{8},
                                   GridRule{4, true}, GridRule{8, true}}) {
        const double searched = snr(w, quantise(named("search"), w, group_len, rule).values);
        for (const QuantMethod* method : quant_methods()) {
          if (rule.symmetric && !method->is_symmetric_too()) continue;
          EXPECT_GE(searched, snr(w, quantise(*method, w, group_len, rule).values))
              << method->name() << ", " << rule.bits << " bits, block " << group_len;
        }
      }
    }
  }
}

TEST(Search, IsInNoGroupWorseThanPlainRounding) {
  for (const Distribution distribution : kAll) {
    const std::vector<float> w = random_weights(distribution, 64 * 1000);
    for (const GridRule& rule :
         {GridRule{2}, GridRule{4}, GridRule{8}, GridRule{3, true}, GridRule{8, true}}) {
      const auto searched = quantise(named("search"), w, 64, rule);
      const auto plain = quantise(named("rtn"), w, 64, rule);
      for (std::size_t i = 0; i < w.size(); i += 64)
        EXPECT_LE(testing::squared_error(w, searched.values, i, i + 64),
                  testing::squared_error(w, plain.values, i, i + 64) * (1 + 1e-4));
    }
  }
}

// Every step and offset of a fine grid: the least squared error that there is, nearly.
double exhaustive_error(const std::vector<float>& w, std::size_t begin, std::size_t len, int bits) {
  const auto [low, high] = std::minmax_element(w.begin() + static_cast<std::ptrdiff_t>(begin),
                                               w.begin() + static_cast<std::ptrdiff_t>(begin + len));
  const int levels = 1 << bits;
  const double step = (static_cast<double>(*high) - *low) / (levels - 1);
  double least = 1e9;
  for (double factor = 0.7; factor < 1.25; factor += 0.004) {
    const double scale = step * factor;
    for (double shift = -3; shift <= 3; shift += 0.04) {
      const double first = *low + shift * step;
      double error = 0, rest = 0;
      for (std::size_t i = begin; i < begin + len; ++i) {
        const double code = std::clamp(std::nearbyint((w[i] - first) / scale), 0.0, levels - 1.0);
        const double e = w[i] - first - code * scale;
        error += e * e;
        rest += e;
      }
      least = std::min(least, error - rest * rest / static_cast<double>(len));
    }
  }
  return least;
}

TEST(Search, ComesNearTheOptimumOfSmallGroups) {
  for (const std::size_t group_len : {16u, 32u}) {
    for (const Distribution distribution : kAll) {
      const std::vector<float> w = random_weights(distribution, 40 * group_len, 11);
      const auto searched = quantise(named("search"), w, group_len, {4, false, false});
      double best = 0;
      for (std::size_t i = 0; i < w.size(); i += group_len)
        best += exhaustive_error(w, i, group_len, 4);
      const double gap = 10 * std::log10(testing::squared_error(w, searched.values, 0, w.size()) / best);
      EXPECT_LT(gap, 0.05) << "group of " << group_len;
    }
  }
}

TEST(Search, WeighsErrorsByImportance) {
  constexpr std::size_t kLen = 64, kGroups = 200;
  const std::vector<float> w = random_weights(Distribution::kGaussian, kLen * kGroups);
  std::vector<float> importance(w.size(), 1);
  for (std::size_t i = 0; i < w.size(); i += 4)
    importance[i] = 50;
  std::vector<float> min(kGroups), max(kGroups), scale(kGroups), offset(kGroups);
  std::vector<float> scratch(search_scratch(kLen, true));
  std::vector<std::byte> alpha(kGroups * 4);
  const auto* data = reinterpret_cast<const std::byte*>(w.data());
  ASSERT_TRUE(group_min_max(data, DType::kF32, kLen, kGroups, min.data(), max.data()));
  const auto weighted_error = [&](const float* factors) {
    EXPECT_TRUE(search_grids(data, DType::kF32, kLen, kGroups, {4}, min.data(), max.data(), factors,
                             scratch.data(), scale.data(), offset.data(), alpha.data()));
    std::vector<std::uint8_t> codes(w.size());
    group_codes(data, DType::kF32, kLen, kGroups, scale.data(), offset.data(), 4, codes.data());
    double error = 0;
    for (std::size_t i = 0; i < w.size(); ++i) {
      const double e = w[i] - (codes[i] - 8) * static_cast<double>(scale[i / kLen]) - offset[i / kLen];
      error += importance[i] * e * e;
    }
    return error;
  };
  const double plain = weighted_error(nullptr);
  EXPECT_LT(weighted_error(importance.data()), 0.85 * plain);
  const std::vector<float> ones(w.size(), 1);
  const std::vector<float> unweighted = (weighted_error(nullptr), scale);
  weighted_error(ones.data());
  EXPECT_EQ(scale, unweighted);
}

}  // namespace
}  // namespace llm2mnn
