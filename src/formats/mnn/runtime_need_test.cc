#include <gtest/gtest.h>

#include "formats/mnn/test_graph.h"

namespace llm2mnn::mnn {
namespace {

using testing::schemes_of;
using testing::tiny_graph;

RuntimeNeed need_of(const ir::Graph& graph, const std::vector<QuantScheme>& schemes, GraphForm form) {
  return minimum_runtime(graph, lay_out(graph, schemes, form), form);
}

TEST(MinimumRuntime, FloatCompatGraphRunsFrom310) {
  const ir::Graph graph = tiny_graph();
  const RuntimeNeed need = need_of(graph, schemes_of(graph, 16), GraphForm::kCompat);
  EXPECT_EQ(need.version.text(), "3.1.0");
  EXPECT_NE(need.because.find("logits_index"), std::string::npos);
}

TEST(MinimumRuntime, NewestFeatureDecides) {
  testing::TinyOptions options;
  const ir::Graph full = tiny_graph(options);
  options.mask = ir::MaskKind::kSliding;
  const ir::Graph sliding = tiny_graph(options);
  EXPECT_EQ(need_of(full, schemes_of(full, 4), GraphForm::kCompat).version.text(), "3.1.1");
  EXPECT_EQ(need_of(sliding, schemes_of(sliding, 4), GraphForm::kCompat).version.text(), "3.2.3");
  const auto half_scales = schemes_of(sliding, 4, 0, false, ScaleType::kF16);
  const RuntimeNeed need = need_of(sliding, half_scales, GraphForm::kCompat);
  EXPECT_EQ(need.version.text(), "3.6.0");
  EXPECT_NE(need.because.find("fp16 scales"), std::string::npos);
  EXPECT_EQ(need_of(full, schemes_of(full, 16), GraphForm::kPacked).version.text(), "3.6.1");
}

TEST(MinimumRuntime, SinksNeed323) {
  testing::TinyOptions options;
  options.has_sinks = true;
  const ir::Graph graph = tiny_graph(options);
  const RuntimeNeed need = need_of(graph, schemes_of(graph, 16), GraphForm::kCompat);
  EXPECT_EQ(need.version.text(), "3.2.3");
  EXPECT_EQ(need.because, "attention sinks");
}

TEST(MinimumRuntime, HalfScalesOfAFloatMatrixDoNotCount) {
  const ir::Graph graph = tiny_graph();
  const auto schemes = schemes_of(graph, 16, 0, false, ScaleType::kF16);
  EXPECT_EQ(need_of(graph, schemes, GraphForm::kCompat).version.text(), "3.1.0");
}

TEST(MinimumRuntime, ExpertsNeed320) {
  const ir::Graph graph = tiny_graph({.num_experts = 4});
  const RuntimeNeed need = need_of(graph, schemes_of(graph, 4), GraphForm::kCompat);
  EXPECT_EQ(need.version.text(), "3.2.0");
  EXPECT_NE(need.because.find("experts"), std::string::npos);
}

TEST(RuntimeVersion, ComparesNumerically) {
  EXPECT_LT((RuntimeVersion{3, 6, 9}), (RuntimeVersion{3, 10, 0}));
  EXPECT_LT((RuntimeVersion{2, 9, 9}), (RuntimeVersion{3, 0, 0}));
}

}  // namespace
}  // namespace llm2mnn::mnn
