#include "kernels/simd_level.h"

#include <cstdlib>
#include <gtest/gtest.h>
#include <set>

#include "base/error.h"
#include "kernels/test_levels.h"

namespace llm2mnn {
namespace {

/// Sets LLM2MNN_SIMD for a scope; afterwards the best level is back.
class ForcedVariable {
 public:
  explicit ForcedVariable(const char* value) { setenv(kSimdLevelVariable, value, 1); }
  ~ForcedVariable() {
    unsetenv(kSimdLevelVariable);
    select_simd_level();
  }
};

TEST(SimdLevel, ListsDistinctLevelsAndEndsWithScalar) {
  const std::vector<std::string> levels = available_simd_levels();
  ASSERT_FALSE(levels.empty());
  EXPECT_EQ(levels.back(), "scalar");
  EXPECT_EQ(std::set<std::string>(levels.begin(), levels.end()).size(), levels.size());
#if defined(__x86_64__)
  EXPECT_GE(levels.size(), 2u) << "no vector code on a 64-bit x86?";
#endif
}

TEST(SimdLevel, TheBestOneIsTheDefault) {
  unsetenv(kSimdLevelVariable);
  select_simd_level();
  EXPECT_EQ(active_simd_level(), available_simd_levels().front());
}

TEST(SimdLevel, TheVariableForcesEveryAvailableLevel) {
  for (const std::string& level : available_simd_levels()) {
    const ForcedVariable forced(level.c_str());
    select_simd_level();
    EXPECT_EQ(active_simd_level(), level);
  }
}

TEST(SimdLevel, AnEmptyVariableMeansTheBest) {
  force_simd_level("scalar");
  const ForcedVariable forced("");
  select_simd_level();
  EXPECT_EQ(active_simd_level(), available_simd_levels().front());
}

TEST(SimdLevel, AnUnknownWordIsAnErrorThatNamesItAndTheChoices) {
  for (const char* word : {"fast", "AVX2", "avx2 ", "-1", "scalar,avx2"}) {
    const ForcedVariable forced(word);
    try {
      select_simd_level();
      FAIL() << word;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
      EXPECT_EQ(error.message().find("LLM2MNN_SIMD: "), 0u) << error.message();
      EXPECT_NE(error.message().find(word), std::string::npos) << error.message();
      EXPECT_NE(error.message().find("scalar"), std::string::npos) << error.message();
    }
  }
}

}  // namespace
}  // namespace llm2mnn
