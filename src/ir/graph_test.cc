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
  Graph limited = small_graph();
  const ValueId act = limited.add_value("/act");
  limited.add_node(
      "/gate", GatedUnit{limited.logits, limited.logits, act, UnaryKind::kQuickGelu, GluLimits{7, -6, 8}});
  EXPECT_NE(print(limited).find("GatedUnit(/logits, /logits, quick_gelu, gate<=7, up=-6..8)"),
            std::string::npos)
      << print(limited);
  EXPECT_NO_THROW(verify(limited));
  std::get<GatedUnit>(limited.nodes.back().op).limits->up_max = -6;
  EXPECT_THROW(verify(limited), Error);
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

/// Experts of one layer between the input and the norm: 4 experts of width 6, 2 for each token.
Graph graph_with_experts() {
  Graph graph = small_graph();
  const WeightId router = graph.add_weight("router", {4, 4});
  const ValueId logits = graph.add_value("/moe/logits"), weights = graph.add_value("/moe/weights");
  const ValueId indices = graph.add_value("/moe/indices"), y = graph.add_value("/moe/experts");
  Experts experts{graph.input, weights, indices, y, UnaryKind::kSilu, 4, 6, 2, 0, {}};
  for (int e = 0; e < 4; ++e) {
    const auto add = [&](const char* name, Shape shape) {
      return ExpertLinear{graph.add_weight(name + std::to_string(e), std::move(shape)), {}};
    };
    const ExpertLinear gate = add("gate", {6, 4}), up = add("up", {6, 4});
    experts.experts.push_back({gate, up, add("down", {4, 6})});
  }
  Route route{};
  route.x = logits;
  route.weights = weights;
  route.indices = indices;
  route.num_experts = 4;
  route.top_k = 2;
  route.num_groups = route.top_groups = 1;
  route.scale = 1;
  graph.nodes.insert(
      graph.nodes.begin(),
      {{"/router", Linear{graph.input, logits, router, {}, 4, 4}}, {"/route", route}, {"/experts", experts}});
  return graph;
}

Route& route_of(Graph& graph) { return std::get<Route>(graph.nodes[1].op); }
Experts& experts_of(Graph& graph) { return std::get<Experts>(graph.nodes[2].op); }

TEST(Graph, AGraphWithExpertsVerifiesAndPrintsTheFirst) {
  const Graph graph = graph_with_experts();
  EXPECT_NO_THROW(verify(graph));
  const std::string text = print(graph);
  EXPECT_NE(
      text.find("/route: /moe/weights, /moe/indices = Route(/moe/logits, softmax, experts=2/4, scale=1)\n"),
      std::string::npos)
      << text;
  EXPECT_NE(
      text.find("/experts: /moe/experts = Experts(" + graph.values[graph.input].name +
                ", /moe/weights, /moe/indices, layer=0, experts=2/4, silu, gate=gate0[6, 4], up=up0[6, 4], "
                "down=down0[4, 6])\n"),
      std::string::npos)
      << text;
  EXPECT_EQ(weights_of(graph.nodes[2].op).size(), 12u);
}

class ExpertFault : public ::testing::TestWithParam<Fault> {};

TEST_P(ExpertFault, IsRefusedByRule) {
  Graph graph = graph_with_experts();
  GetParam().make(graph);
  try {
    verify(graph);
    FAIL() << "the broken graph verified";
  } catch (const Error& error) {
    EXPECT_NE(error.message().find(GetParam().message), std::string::npos) << error.message();
  }
}

INSTANTIATE_TEST_SUITE_P(
    AllRules, ExpertFault,
    ::testing::Values(
        Fault{"TooMany", "more experts", [](Graph& g) { route_of(g).top_k = 5; }},
        Fault{"Groups", "do not fall into groups", [](Graph& g) { route_of(g).num_groups = 3; }},
        Fault{"GroupsTooFew", "than the chosen groups have", [](Graph& g) { route_of(g).num_groups = 4; }},
        Fault{"SelectionBias", "the op needs [4]",
              [](Graph& g) {
                route_of(g).selection_bias = 0;
                g.weights[0].shape = {5};
              }},
        Fault{"Sparsemixer", "sparsemixer",
              [](Graph& g) {
                route_of(g).kind = RouterKind::kSparsemixer;
                route_of(g).renormalise = true;
              }},
        Fault{"Scale", "not finite", [](Graph& g) { route_of(g).scale = 1 / 0.0; }},
        Fault{"Shape", "the op needs [6, 4]",
              [](Graph& g) {
                g.weights[experts_of(g).experts[3].up.weight].shape = {4, 6};
              }},
        Fault{"NoExperts", "not positive", [](Graph& g) { experts_of(g).experts.clear(); }},
        Fault{"WeightsAsIndices", "the wrong one",
              [](Graph& g) { std::swap(experts_of(g).weights, experts_of(g).indices); }},
        Fault{"IndexAsNumber", "the wrong one",
              [](Graph& g) {
                const ValueId y = g.add_value("/more");
                g.nodes.insert(g.nodes.begin() + 2, {"/more", Scale{route_of(g).indices, y, 2}});
              }},
        Fault{"OneLayerTwice", "another node has the experts",
              [](Graph& g) {
                Experts again = experts_of(g);
                again.y = g.add_value("/again");
                g.nodes.insert(g.nodes.begin() + 3, {"/again", again});
              }}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(Graph, AFactorHasTheSameChannelsOrOne) {
  Graph graph = small_graph();
  const ValueId y = graph.add_value("/y"), gate = graph.add_value("/gate");
  const WeightId weight = graph.add_weight("gate", {1, 4});
  graph.nodes.insert(graph.nodes.begin(), {{"/gate", Linear{graph.input, gate, weight, {}, 4, 1}},
                                           {"/y", Multiply{graph.input, gate, y}}});
  EXPECT_NO_THROW(verify(graph));
  std::get<Multiply>(graph.nodes[1].op) = {gate, graph.input, y};
  EXPECT_THROW(verify(graph), Error);
}

TEST(Graph, APositionTableHasARowForEachPosition) {
  Graph graph = small_graph();
  const ValueId y = graph.add_value("/positions");
  const WeightId table = graph.add_weight("positions.weight", {6, 4});
  graph.nodes.insert(graph.nodes.begin(), {"/embed_positions", PositionEmbedding{y, table, 6, 4}});
  EXPECT_NO_THROW(verify(graph));
  EXPECT_EQ(lookup_tables(graph).at(table), true);
  EXPECT_EQ(lookup_tables(graph).at(0), false);
  PositionEmbedding& op = std::get<PositionEmbedding>(graph.nodes[0].op);
  op.stride = 3;
  op.offset = 17;
  EXPECT_NO_THROW(verify(graph));
  for (const auto& [stride, offset] : {std::pair{3, 18}, {0, 0}, {1, -1}}) {
    op.stride = stride;
    op.offset = offset;
    EXPECT_THROW(verify(graph), Error) << stride << ", " << offset;
  }
  op = {y, table, 7, 4};
  EXPECT_THROW(verify(graph), Error);
}

TEST(Graph, AGraphHasOneTableOfTokens) {
  Graph graph = small_graph();
  EXPECT_EQ(token_embedding(graph), nullptr);
  const ValueId y = graph.add_value("/tokens"), z = graph.add_value("/more");
  const WeightId table = graph.add_weight("tokens.weight", {6, 3}),
                 more = graph.add_weight("more.weight", {6, 3});
  graph.nodes.insert(graph.nodes.begin(), {"/tokens", TokenEmbedding{y, table, 6, 3}});
  EXPECT_NO_THROW(verify(graph));
  EXPECT_EQ(token_embedding(graph)->table, table);
  EXPECT_EQ(lookup_tables(graph).at(table), true);
  graph.nodes.insert(graph.nodes.begin(), {"/more", TokenEmbedding{z, more, 6, 3}});
  EXPECT_THROW(verify(graph), Error);
}

TEST(Graph, SlicesAndMixturesStayInTheirChannels) {
  const auto verified = [](const Op& op, std::int64_t coefs) {
    Graph graph = small_graph();
    const ValueId y = graph.add_value("/y"), matrix = graph.add_value("/coefs");
    const WeightId weight = graph.add_weight("coefs", {coefs, 4});
    Op own = op;
    if (auto* mix = std::get_if<MixHeads>(&own)) mix->x = graph.input, mix->coefs = matrix, mix->y = y;
    if (auto* slice = std::get_if<SliceChannels>(&own)) slice->x = graph.input, slice->y = y;
    graph.nodes.insert(graph.nodes.begin(),
                       {{"/coefs", Linear{graph.input, matrix, weight, {}, 4, coefs}}, {"/y", own}});
    verify(graph);
  };
  EXPECT_NO_THROW(verified(SliceChannels{0, 0, 1, 3}, 1));
  EXPECT_THROW(verified(SliceChannels{0, 0, 2, 3}, 1), Error);
  EXPECT_THROW(verified(SliceChannels{0, 0, -1, 3}, 1), Error);
  EXPECT_NO_THROW(verified(MixHeads{0, 0, 0, 2, 3, 2}, 6));
  EXPECT_THROW(verified(MixHeads{0, 0, 0, 2, 3, 2}, 5), Error);
  EXPECT_THROW(verified(MixHeads{0, 0, 0, 4, 1, 2}, 4), Error);
}

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
