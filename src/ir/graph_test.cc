#include "ir/graph.h"

#include <functional>
#include <gtest/gtest.h>

#include "base/error.h"

namespace llm2mnn::ir {
namespace {

/// x -- norm -- proj -- + -- select -- norm -- lm_head;  4 hidden channels, 6 words.
///  '------------------'
Graph small_graph() {
  Graph graph;
  graph.hidden_size = 4;
  graph.vocab_size = 6;
  graph.input = graph.add_value("/input");
  const WeightId gamma = graph.add_weight("layers.0.norm.weight", {4});
  const WeightId proj = graph.add_weight("layers.0.proj.weight", {4, 4});
  const WeightId bias = graph.add_weight("layers.0.proj.bias", {4});
  const WeightId last = graph.add_weight("norm.weight", {4});
  const WeightId head = graph.add_weight("lm_head.weight", {6, 4});
  const ValueId n = graph.add_value("/n");
  const ValueId p = graph.add_value("/p");
  const ValueId h = graph.add_value("/h");
  const ValueId s = graph.add_value("/s");
  graph.hidden_states = graph.add_value("/hidden");
  graph.logits = graph.add_value("/logits");
  graph.add_node("/norm", Norm{graph.input, n, gamma, {}, true, 1e-6, 4, 1});
  graph.add_node("/proj", Linear{n, p, proj, bias, 4, 4});
  graph.add_node("/add", Add{graph.input, p, h});
  graph.add_node("/select", SelectTokens{h, s});
  graph.add_node("/last", Norm{s, graph.hidden_states, last, {}, true, 1e-5, 4, 1});
  graph.add_node("/lm_head", Linear{graph.hidden_states, graph.logits, head, {}, 4, 6});
  return graph;
}

TEST(Graph, WellFormedGraphVerifies) { EXPECT_NO_THROW(verify(small_graph())); }

TEST(Graph, PrintsOneNodePerLine) {
  EXPECT_EQ(print(small_graph()),
            "input /input hidden_size=4 vocab_size=6\n"
            "/norm: /n = Norm(/input, gamma=layers.0.norm.weight[4], rms, eps=1e-06, heads=1)\n"
            "/proj: /p = Linear(/n, weight=layers.0.proj.weight[4, 4], bias=layers.0.proj.bias[4])\n"
            "/add: /h = Add(/input, /p)\n"
            "/select: /s = SelectTokens(/h)\n"
            "/last: /hidden = Norm(/s, gamma=norm.weight[4], rms, eps=1e-05, heads=1)\n"
            "/lm_head: /logits = Linear(/hidden, weight=lm_head.weight[6, 4])\n"
            "output /logits /hidden\n");
}

TEST(Graph, InputsAndOutputsKeepTheirOrder) {
  const Op rope = Rope{1, 2, 3, 4, 5, 6, 1, 1, 4, 4};
  EXPECT_EQ(inputs_of(rope), (std::vector<ValueId>{1, 2, 3, 4}));
  EXPECT_EQ(outputs_of(rope), (std::vector<ValueId>{5, 6}));
  const Op attention = Attention{1, 2, 3, 4, 1, 1, 4, 0, MaskKind::kFull};
  EXPECT_EQ(inputs_of(attention), (std::vector<ValueId>{1, 2, 3}));
  EXPECT_EQ(op_name(attention), "Attention");
  Op with_sinks = attention;
  std::get<Attention>(with_sinks).sinks = 0;
  EXPECT_EQ(inputs_of(with_sinks), inputs_of(attention));  // a weight is no input
  const Op join = JoinHeads{7, 8, 9, 2, 4, 4};
  EXPECT_EQ(inputs_of(join), (std::vector<ValueId>{7, 8}));
  const Op gated = GatedUnit{7, 8, 9, UnaryKind::kSilu};
  EXPECT_EQ(inputs_of(gated), (std::vector<ValueId>{7, 8}));
}

/// A way to break the small graph and a part of the message that must name the broken rule.
struct Fault {
  const char* name;
  const char* message;
  std::function<void(Graph&)> make;
};

class GraphFault : public ::testing::TestWithParam<Fault> {};

TEST_P(GraphFault, IsRefusedByRule) {
  Graph graph = small_graph();
  GetParam().make(graph);
  try {
    verify(graph);
    FAIL() << "the broken graph verified";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInternal);
    EXPECT_NE(error.message().find(GetParam().message), std::string::npos) << error.message();
  }
}

INSTANTIATE_TEST_SUITE_P(
    AllRules, GraphFault,
    ::testing::Values(
        Fault{"EqualNodeNames", "node names", [](Graph& g) { g.nodes[1].name = g.nodes[0].name; }},
        Fault{"EqualValueNames", "value names", [](Graph& g) { g.values[1].name = g.values[2].name; }},
        Fault{"EqualWeights", "addresses", [](Graph& g) { g.weights[0].address = g.weights[1].address; }},
        Fault{"ReadBeforeMade", "before it is made", [](Graph& g) { std::swap(g.nodes[0], g.nodes[1]); }},
        Fault{"MadeTwice", "made twice", [](Graph& g) { std::get<Add>(g.nodes[2].op).y = 1; }},
        Fault{"ValueOutOfRange", "out of range", [](Graph& g) { std::get<Add>(g.nodes[2].op).b = 99; }},
        Fault{"WeightOutOfRange", "out of range", [](Graph& g) { std::get<Norm>(g.nodes[0].op).gamma = 99; }},
        Fault{"WeightShape", "the op needs [4, 4]",
              [](Graph& g) {
                g.weights[1].shape = {4, 5};
              }},
        Fault{"BiasShape", "the op needs [4]", [](Graph& g) { g.weights[2].shape = {5}; }},
        Fault{"Channels", "channels", [](Graph& g) { g.hidden_size = 5; }},
        Fault{"Epsilon", "epsilon", [](Graph& g) { std::get<Norm>(g.nodes[0].op).eps = -1; }},
        Fault{"NoLogits", "logits", [](Graph& g) { g.nodes.pop_back(); }},
        Fault{"LogitsWidth", "vocab_size", [](Graph& g) { g.vocab_size = 7; }}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(Graph, RopeAndAttentionCheckTheirHeads) {
  Graph graph = small_graph();
  const ValueId y = graph.add_value("/y");
  Graph bad = graph;
  bad.nodes.insert(bad.nodes.begin(), {"/attention", Attention{bad.input, bad.input, bad.input, y, 2, 3, 2, 0,
                                                               MaskKind::kFull}});
  EXPECT_THROW(verify(bad), Error);
  bad = graph;
  const ValueId cos = bad.add_value("/cos");
  const ValueId sin = bad.add_value("/sin");
  const ValueId k = bad.add_value("/k");
  bad.nodes.insert(bad.nodes.begin(), {"/rope", Rope{bad.input, bad.input, cos, sin, y, k, 1, 1, 4, 3}});
  bad.nodes.insert(bad.nodes.begin(), {"/table", RopeTable{cos, sin, {1.0F}, 1.0, 8}});
  EXPECT_THROW(verify(bad), Error);
}

}  // namespace
}  // namespace llm2mnn::ir
