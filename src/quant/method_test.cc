#include "quant/method.h"

#include <gtest/gtest.h>

#include "kernels/convert.h"
#include "kernels/test_levels.h"
#include "quant/test_groups.h"

namespace llm2mnn {
namespace {

using testing::Distribution;
using testing::quantise;
using testing::Quantised;
using testing::random_weights;

// Rules that every method keeps; a new sub-folder of methods joins by existing.
class Method : public ::testing::TestWithParam<const QuantMethod*> {
 protected:
  const QuantMethod& method() const { return *GetParam(); }
  std::vector<GridRule> rules() const {
    std::vector<GridRule> rules;
    for (const int bits : {2, 3, 4, 5, 8})
      for (const bool f16 : {true, false})
        for (const bool symmetric : {false, true})
          if (!symmetric || method().is_symmetric_too()) rules.push_back({bits, symmetric, f16});
    return rules;
  }
};

TEST_P(Method, IsFoundByItsName) {
  EXPECT_EQ(find_method(method().name()), &method());
  EXPECT_FALSE(method().summary().empty());
}

TEST_P(Method, GivesTheSameGridsAtEveryLevelAndInEveryCompany) {
  for (const std::size_t group_len : {16u, 48u, 64u, 272u}) {
    const std::vector<float> w = random_weights(Distribution::kStudentT, 37 * group_len);
    for (const GridRule& rule : rules()) {
      std::optional<Quantised> first;
      for_each_level([&](const std::string&) {
        const Quantised all = quantise(method(), w, group_len, rule);
        ASSERT_TRUE(all.is_stored);
        if (!first) first = all;
        EXPECT_EQ(all.alpha, first->alpha) << rule.bits << " bits";
      });
      const std::vector<float> alone(w.begin() + static_cast<std::ptrdiff_t>(36 * group_len), w.end());
      const Quantised one = quantise(method(), alone, group_len, rule);
      EXPECT_EQ(one.scale[0], first->scale[36]);
      EXPECT_EQ(one.offset[0], first->offset[36]);
    }
  }
}

TEST_P(Method, StoresTheGridsThatItReports) {
  const std::vector<float> w = random_weights(Distribution::kGaussian, 20 * 32);
  for (const GridRule& rule : rules()) {
    const Quantised result = quantise(method(), w, 32, rule);
    const std::byte* alpha = result.alpha.data();
    const auto next = [&] {
      const float value = load_value(alpha, rule.f16 ? DType::kF16 : DType::kF32, 0);
      alpha += rule.f16 ? 2 : 4;
      return value;
    };
    for (std::size_t g = 0; g < 20; ++g) {
      if (rule.symmetric)
        EXPECT_EQ(result.offset[g], 0);
      else
        EXPECT_EQ(next(), result.offset[g]);
      EXPECT_EQ(next(), result.scale[g]);
      EXPECT_GT(result.scale[g], 0);
    }
  }
}

TEST_P(Method, KeepsConstantGroupsExactly) {
  for (const GridRule& rule : rules()) {
    for (const float value : {0.0f, 0.5f, -3.0f}) {
      if (rule.symmetric && value != 0) continue;
      const Quantised result = quantise(method(), std::vector<float>(64, value), 16, rule);
      ASSERT_TRUE(result.is_stored);
      EXPECT_EQ(result.values, std::vector<float>(64, value)) << rule.bits << " bits";
    }
  }
}

TEST_P(Method, RefusesWhatItsTypesCannotHold) {
  std::vector<float> w = random_weights(Distribution::kGaussian, 16 * 20);
  w[5] = 3e6f;
  EXPECT_FALSE(quantise(method(), w, 16, {4, false, true}).is_stored);
  EXPECT_TRUE(quantise(method(), w, 16, {4, false, false}).is_stored);
}

TEST_P(Method, KeepsExtremeButFiniteGroups) {
  for (const float size : {1e-32f, 1e-20f, 1e-7f, 1e4f, 1e18f}) {
    std::vector<float> w = random_weights(Distribution::kGaussian, 16 * 8);
    for (float& weight : w)
      weight *= size;
    const bool f16 = size > 1e-10f && size < 1e5f;
    const Quantised result = quantise(method(), w, 16, {4, false, f16});
    ASSERT_TRUE(result.is_stored) << size;
    if (size >= 1e-7f && size <= 1e4f && !f16) continue;
    EXPECT_GT(testing::snr(w, result.values), size == 1e-7f ? -1 : 15) << size;
  }
}

// Far from zero an offset in float32 is exact enough.
TEST_P(Method, FollowsGroupsFarFromZero) {
  std::vector<float> w = random_weights(Distribution::kGaussian, 64 * 8);
  const double before = testing::snr(w, quantise(method(), w, 64, {4, false, false}).values);
  std::vector<float> moved = w;
  for (float& weight : moved)
    weight += 2.0f;
  std::vector<float> values = quantise(method(), moved, 64, {4, false, false}).values;
  for (float& value : values)
    value -= 2.0f;
  EXPECT_NEAR(testing::snr(w, values), before, 0.1);
}

INSTANTIATE_TEST_SUITE_P(All, Method, ::testing::ValuesIn(quant_methods().begin(), quant_methods().end()),
                         [](const auto& method) { return std::string(method.param->name()); });

TEST(QuantMethods, HaveADefault) { EXPECT_EQ(default_method().name(), kDefaultMethod); }

TEST(QuantMethods, KnowNoOther) { EXPECT_EQ(find_method("best"), nullptr); }

}  // namespace
}  // namespace llm2mnn
