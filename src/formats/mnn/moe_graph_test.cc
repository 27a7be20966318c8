// Routers and experts in llm.mnn.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <map>
#include <set>

#include "base/error.h"
#include "formats/mnn/test_graph.h"
#include "mnn_generated.h"

namespace llm2mnn::mnn {
namespace {

using testing::TinyOptions;

class MoeGraph : public ::testing::TestWithParam<GraphForm> {
 protected:
  void write(const TinyOptions& options) {
    graph_ = testing::tiny_graph(options);
    layout_ = lay_out(graph_, testing::schemes_of(graph_, 4, 16), GetParam());
    bytes_ = write_graph(graph_, layout_, GetParam(), testing::ones(graph_));
  }
  const fb::Net& net() const { return *flatbuffers::GetRoot<fb::Net>(bytes_.data()); }

  template <typename Ops>
  static std::string op_list(const Ops& ops, std::string_view prefix) {
    std::string text;
    for (const fb::Op* op : ops)
      if (op->type() != fb::OpType::Const && op->name()->string_view().starts_with(prefix))
        text +=
            fmt::format("{} {}\n", fb::EnumNameOpType(op->type()), op->name()->str().substr(prefix.size()));
    return text;
  }
  std::string route_ops() const { return op_list(*net().oplists(), "/layers.0/route/"); }

  ir::Graph graph_;
  WeightFileLayout layout_;
  std::vector<std::byte> bytes_;
};
INSTANTIATE_TEST_SUITE_P(BothForms, MoeGraph, ::testing::Values(GraphForm::kPacked, GraphForm::kCompat),
                         [](const auto& test) {
                           return std::string(test.param == GraphForm::kPacked ? "Packed" : "Compat");
                         });

TEST_P(MoeGraph, EveryExpertIsASubGraphThatTheOpFindsByName) {
  write({.num_layers = 2, .num_experts = 4});
  std::set<std::string> names;
  for (const fb::SubGraphProto* graph : *net().subgraphs())
    EXPECT_TRUE(names.insert(graph->name()->str()).second);
  std::set<std::string> wanted;
  for (const fb::Op* op : *net().oplists()) {
    if (op->type() != fb::OpType::MoE) continue;
    std::map<std::string, int> attributes;
    for (const fb::Attribute* attribute : *op->main_as_Extra()->attr())
      attributes[attribute->key()->str()] = attribute->i();
    ASSERT_EQ(attributes.size(), 3u);
    EXPECT_EQ(attributes["top_k"], 2);
    for (int e = 0; e < attributes["num_experts"]; ++e)
      wanted.insert(fmt::format("/expert/{}_{}", attributes["layer_id"], e));
  }
  EXPECT_EQ(names, wanted);
  EXPECT_EQ(names.size(), 8u);
}

TEST_P(MoeGraph, AnExpertIsANetOfItsOwn) {
  write({.num_layers = 2, .num_experts = 3});
  const fb::SubGraphProto& expert = *net().subgraphs()->Get(4);  // of layer 1
  const std::string act =
      GetParam() == GraphForm::kPacked ? "BinaryOp /act\n" : "UnaryOp /act/gate\nBinaryOp /act\n";
  EXPECT_EQ(op_list(*expert.nodes(), "/layers.1/experts.1"),
            "Input /x\nReshape /rows\nConvertTensor /packed\nConvolution /gate_proj\nConvolution /up_proj\n" +
                act + "Convolution /down_proj\nConvertTensor /unpacked\nReshape /y\n");
  std::set<int> made;
  for (const fb::Op* op : *expert.nodes()) {
    if (op->inputIndexes() != nullptr) {
      for (const int id : *op->inputIndexes()) {
        EXPECT_TRUE(made.contains(id)) << op->name()->str();
      }
    }
    for (const int id : *op->outputIndexes())
      EXPECT_TRUE(made.insert(id).second);
  }
  EXPECT_EQ(made.size(), expert.tensors()->size());
  EXPECT_EQ(expert.inputs()->Get(0), 0);
  EXPECT_EQ(expert.outputs()->Get(0), static_cast<int>(made.size()) - 1);
  const auto* down = expert.nodes()->Get(expert.nodes()->size() - 3)->main_as_Convolution2D();
  const ir::WeightId weight =
      std::get<ir::Experts>(graph_.nodes[graph_.nodes.size() - 5].op).experts[1].down.weight;
  EXPECT_EQ(down->external()->Get(0), static_cast<std::int64_t>(layout_.linear_of(weight).offset));
}

TEST_P(MoeGraph, ASoftmaxRouterIsTwoOps) {
  write({.num_experts = 4});
  EXPECT_EQ(route_ops(), "Softmax scores\nTopKV2 top_k\n");
}

TEST_P(MoeGraph, ASigmoidRouterWithEverything) {
  write({.num_experts = 4, .router = ir::RouterKind::kSigmoid, .has_groups = true});
  EXPECT_EQ(route_ops(),
            "UnaryOp scores\n"
            "BinaryOp choice\n"
            "Reshape grouped\n"
            "TopKV2 best_two\n"
            "Reduction group_scores\n"
            "TopKV2 top_groups\n"
            "Reduction least_group\n"
            "BinaryOp group_is_kept\n"
            "Cast group_mask\n"
            "Reshape group_factor\n"
            "BinaryOp masked_groups\n"
            "Reshape masked\n"
            "TopKV2 top_k\n"
            "GatherElements top_k/scores\n"
            "Reduction sum\n"
            "BinaryOp sum_eps\n"
            "BinaryOp renormalised\n"
            "BinaryOp scaled\n");
}

TEST_P(MoeGraph, PrintsOneExpertForAll) {
  write({.num_layers = 2, .num_experts = 4});
  const std::string text = print_graph(bytes_);
  EXPECT_NE(text.find("MoE("), std::string::npos);
  EXPECT_NE(text.find("layer_id=1, num_experts=4, top_k=2)\n"), std::string::npos) << text;
  EXPECT_NE(text.find("8 sub-graphs; the first one, /expert/0_0:\n  /layers.0/experts.0/x = Input("),
            std::string::npos)
      << text;
  EXPECT_EQ(text.find("experts.1/"), std::string::npos);
}

TEST(MoeLayout, MoreExpertsThanTheContainerHoldsAreRefused) {
  // A million tables, 28 for each expert.
  TinyOptions options{.num_layers = 9, .num_experts = 4000};
  const ir::Graph graph = testing::tiny_graph(options);
  try {
    lay_out(graph, testing::schemes_of(graph, 4, 16), GraphForm::kCompat);
    FAIL() << "36000 experts were laid out";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
    EXPECT_EQ(error.message(), "the graph has 36000 experts in all, more than MNN's container holds");
  }
}

}  // namespace
}  // namespace llm2mnn::mnn
