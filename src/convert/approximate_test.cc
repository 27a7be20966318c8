#include "convert/approximate.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace llm2mnn {
namespace {

ir::Graph graph_with_cap(double cap) {
  ir::Graph graph;
  ir::Attention attention{};
  attention.softcap = cap;
  graph.add_node("/attention", attention);
  return graph;
}

TEST(Approximate, ACapOnScoresIsDroppedWhenAllowed) {
  ir::Graph graph = graph_with_cap(50);
  const std::vector<Approximation> dropped = drop_inexpressible(graph, "an MNN package", true);
  ASSERT_EQ(dropped.size(), 1U);
  EXPECT_EQ(dropped.front().feature, "attention.logit_softcap");
  EXPECT_EQ(dropped.front().value, 50);
  EXPECT_EQ(std::get<ir::Attention>(graph.nodes.front().op).softcap, 0);
}

TEST(Approximate, ItIsRefusedByNameOtherwise) {
  ir::Graph graph = graph_with_cap(50);
  try {
    drop_inexpressible(graph, "an MNN package", false);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
    EXPECT_NE(error.message().find("attention.logit_softcap is 50: an MNN package cannot"), std::string::npos)
        << error.message();
  }
}

TEST(Approximate, AGraphWithoutItIsLeftAlone) {
  ir::Graph graph = graph_with_cap(0);
  EXPECT_TRUE(drop_inexpressible(graph, "an MNN package", false).empty());
}

}  // namespace
}  // namespace llm2mnn
