#include "formats/onnx/emitter.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <set>

#include "base/error.h"

namespace llm2mnn::onnx {
namespace {

/// A decoder of one layer: attention on rotated queries and keys, a residual, a head.
struct Tiny {
  std::int64_t head_dim = 16;
  std::int64_t num_key_value_heads = 2;
  ir::MaskKind mask = ir::MaskKind::kFull;
  bool tied = false;
  std::optional<ir::RouterKind> router = {};  ///< of 4 experts between the residual and the head
  bool has_positions = false;
};

// With every option that the kind of router takes.
ir::ValueId add_experts(ir::Graph& graph, ir::RouterKind kind, ir::ValueId x, std::int64_t hidden) {
  const bool is_plain = kind == ir::RouterKind::kSparsemixer;
  const ir::ValueId logits = graph.add_value("/router/output"), weights = graph.add_value("/route/weights");
  const ir::ValueId indices = graph.add_value("/route/indices"), y = graph.add_value("/experts/output");
  graph.add_node(
      "/router",
      ir::Linear{x, logits, graph.add_weight("layers.0.router.weight", {4, hidden}), {}, hidden, 4});
  std::optional<ir::WeightId> bias;
  if (!is_plain) bias = graph.add_weight("layers.0.selection_bias", {4});
  graph.add_node("/route", ir::Route{logits, weights, indices, kind, 4, 2, bias, is_plain ? 1 : 2, 1,
                                     !is_plain, !is_plain, 1e-20, 2.5, 0.01});
  ir::Experts experts{x, weights, indices, y, ir::UnaryKind::kSilu, hidden, 32, 2, 0, {}};
  for (int e = 0; e < 4; ++e) {
    const auto part = [&](const char* name, std::int64_t out, std::int64_t in) {
      return ir::ExpertLinear{graph.add_weight("layers.0.experts." + std::to_string(e) + name, {out, in}),
                              {}};
    };
    const ir::ExpertLinear gate = part(".gate", 32, hidden), up = part(".up", 32, hidden);
    experts.experts.push_back({gate, up, part(".down", hidden, 32)});
  }
  graph.add_node("/experts", std::move(experts));
  return y;
}

ir::Graph graph_of(const Tiny& tiny) {
  constexpr std::int64_t kHidden = 64;
  constexpr std::int64_t kVocab = 20;
  constexpr std::int64_t kHeads = 4;
  const std::int64_t q_size = kHeads * tiny.head_dim;
  const std::int64_t kv_size = tiny.num_key_value_heads * tiny.head_dim;
  ir::Graph graph;
  graph.hidden_size = kHidden;
  graph.vocab_size = kVocab;
  graph.has_sliding_layers = tiny.mask == ir::MaskKind::kSliding;
  graph.input = graph.add_value("/x");
  const ir::ValueId cos = graph.add_value("/rotary/cos");
  const ir::ValueId sin = graph.add_value("/rotary/sin");
  graph.add_node(
      "/rotary",
      ir::RopeTable{cos, sin, std::vector<float>(static_cast<std::size_t>(tiny.head_dim / 2), 0.5F), 1, 32});
  const auto linear = [&](const std::string& name, ir::ValueId x, std::int64_t in, std::int64_t out) {
    const ir::ValueId y = graph.add_value("/layers.0/" + name + "/output");
    const ir::WeightId weight = graph.add_weight("layers.0." + name + ".weight", {out, in});
    graph.add_node("/layers.0/" + name, ir::Linear{x, y, weight, {}, in, out});
    return y;
  };
  const ir::ValueId q = linear("q_proj", graph.input, kHidden, q_size);
  const ir::ValueId k = linear("k_proj", graph.input, kHidden, kv_size);
  const ir::ValueId v = linear("v_proj", graph.input, kHidden, kv_size);
  const ir::ValueId q_out = graph.add_value("/q");
  const ir::ValueId k_out = graph.add_value("/k");
  graph.add_node("/rope", ir::Rope{q, k, cos, sin, q_out, k_out, kHeads, tiny.num_key_value_heads,
                                   tiny.head_dim, tiny.head_dim});
  const ir::ValueId context = graph.add_value("/context");
  graph.add_node("/attention", ir::Attention{q_out, k_out, v, context, kHeads, tiny.num_key_value_heads,
                                             tiny.head_dim, 0, tiny.mask});
  const ir::ValueId o = linear("o_proj", context, q_size, kHidden);
  graph.hidden_states = graph.add_value("/sum");
  graph.add_node("/residual", ir::Add{graph.input, o, graph.hidden_states});
  if (tiny.router) graph.hidden_states = add_experts(graph, *tiny.router, graph.hidden_states, kHidden);
  ir::ValueId x = graph.hidden_states;
  if (tiny.has_positions) {
    const ir::ValueId position = graph.add_value("/position"), sum = graph.add_value("/placed");
    const ir::WeightId positions = graph.add_weight("embed_positions.weight", {12, kHidden});
    graph.add_node("/embed_positions", ir::PositionEmbedding{position, positions, 12, kHidden});
    graph.add_node("/position_sum", ir::Add{x, position, sum});
    x = sum;
  }
  const ir::ValueId last = graph.add_value("/last");
  graph.add_node("/select", ir::SelectTokens{x, last});
  graph.logits = graph.add_value("/lm_head/output");
  const ir::WeightId head = graph.add_weight("lm_head.weight", {kVocab, kHidden});
  graph.add_node("/lm_head", ir::Linear{last, graph.logits, head, {}, kHidden, kVocab});
  ir::verify(graph);
  return graph;
}

constexpr const char* kTable = "table";

/// A built model, parsed.
struct Built {
  OnnxModel model;
  proto::Model file;

  const proto::Node& node(std::string_view output) const {
    for (const proto::Node& node : file.graph().node())
      for (const std::string& name : node.output())
        if (name == output) return node;
    ADD_FAILURE() << "no node makes " << output;
    return file.graph().node(0);
  }
  int count(std::string_view op_type, std::string_view domain = "") const {
    return static_cast<int>(std::ranges::count_if(file.graph().node(), [&](const proto::Node& node) {
      return node.op_type() == op_type && node.domain() == domain;
    }));
  }
  const proto::Tensor& initializer(std::string_view name) const {
    for (const proto::Tensor& tensor : file.graph().initializer())
      if (tensor.name() == name) return tensor;
    ADD_FAILURE() << "no tensor " << name;
    return file.graph().initializer(0);
  }
};

Built build(const Tiny& tiny, const OnnxForm& form) {
  const ir::Graph graph = graph_of(tiny);
  DecoderFacts facts;
  facts.vocab_rows = 20;
  facts.tied = tiny.tied;
  facts.sliding_window = 3;
  facts.num_positions = 8;
  for (const ir::Weight& weight : graph.weights)
    facts.weight_names.push_back("model." + weight.address);
  facts.embedding_name = kTable;
  Built out;
  out.model = build_model(graph, facts, form, [](ir::WeightId) { return std::vector<float>(); });
  EXPECT_TRUE(out.file.ParseFromString(out.model.bytes));
  return out;
}

std::vector<std::int64_t> dims(const proto::Tensor& tensor) {
  return {tensor.dims().begin(), tensor.dims().end()};
}

// MNN's converter knows attention by the order of arguments; the sum is the same to onnxruntime.
TEST(OnnxEmitter, AttentionHasTheOrderThatMnnsConverterGoesBy) {
  const Built built = build({}, {});
  const proto::Node& scaled = built.node("/context/scaled");
  EXPECT_EQ(scaled.input(0), "/context/scores");
  const proto::Node& masked = built.node("/context/masked");
  EXPECT_EQ(masked.input(0), "/context/scaled");
  EXPECT_EQ(masked.input(1), "attn_bias");
  EXPECT_EQ(built.node("/context/key/all").input(0), "/context/key/past");
  EXPECT_EQ(built.node("/context/value/all").input(0), "/context/value/past");
  EXPECT_EQ(built.node("/context/scores").input(1), "/context/key/repeated");
}

TEST(OnnxEmitter, OneHeadPerQueryNeedsNoCopies) {
  const Built built = build({.num_key_value_heads = 4}, {});
  EXPECT_EQ(built.count("Expand"), 0);
  EXPECT_EQ(built.node("/context/scores").input(1), "/context/key/transposed");
}

TEST(OnnxEmitter, NamesOfTheContractAreThere) {
  for (const Flavour flavour : {Flavour::kOne, Flavour::kOrt, Flavour::kGenai}) {
    const Built built = build({}, {.flavour = flavour});
    std::vector<std::string> inputs, outputs;
    for (const proto::ValueInfo& info : built.file.graph().input())
      inputs.push_back(info.name());
    for (const proto::ValueInfo& info : built.file.graph().output())
      outputs.push_back(info.name());
    EXPECT_EQ(inputs, (std::vector<std::string>{"input_ids", "attention_mask", "position_ids",
                                                "past_key_values.0.key", "past_key_values.0.value"}));
    EXPECT_EQ(outputs, (std::vector<std::string>{"logits", "present.0.key", "present.0.value"}));
    for (const std::string& output : outputs)
      EXPECT_NE(built.node(output).op_type(), "");
  }
}

TEST(OnnxEmitter, EveryExpertSeesEveryTokenTimesItsWeight) {
  const Built built = build({.router = ir::RouterKind::kSoftmax}, {});
  EXPECT_EQ(built.count("TopK"), 1 + 2);  // two for the groups
  EXPECT_EQ(built.count("Equal"), 4);
  EXPECT_EQ(built.node("/experts/output/2/weighted").input(1), "/experts/output/2/expert_weight");
  EXPECT_EQ(built.node("/experts/output/1/sum").input(0), "/experts/output/0/weighted");
  EXPECT_EQ(built.node("hidden_states").input(1), "/experts/output/3/weighted");
  EXPECT_EQ(built.node("/route/weights/chosen_scores").op_type(), "GatherElements");
}

TEST(OnnxEmitter, ARouterIsNotQuantised) {
  const Built built = build({.router = ir::RouterKind::kSigmoid},
                            {.opset = 21, .weights = WeightForm::kDequantizeLinear, .bits = 4, .block = 32});
  EXPECT_EQ(built.initializer("model.layers.0.router.weight_t").data_type(), 1);
  EXPECT_EQ(built.initializer("model.layers.0.experts.3.down_codes_t").data_type(), 21);
}

TEST(OnnxEmitter, EveryInputOfANodeIsMadeBeforeIt) {
  for (const auto router :
       {std::optional<ir::RouterKind>{}, std::optional(ir::RouterKind::kSoftmax),
        std::optional(ir::RouterKind::kSigmoid), std::optional(ir::RouterKind::kSparsemixer)}) {
    for (const Flavour flavour : {Flavour::kOne, Flavour::kOrt, Flavour::kGenai}) {
      const Built built =
          build({.mask = router ? ir::MaskKind::kFull : ir::MaskKind::kSliding, .router = router},
                {.flavour = flavour, .opset = router ? 18 : 17});
      std::set<std::string> known;
      for (const proto::ValueInfo& info : built.file.graph().input())
        known.insert(info.name());
      for (const proto::Tensor& tensor : built.file.graph().initializer())
        EXPECT_TRUE(known.insert(tensor.name()).second) << tensor.name();
      for (const proto::Node& node : built.file.graph().node()) {
        for (const std::string& input : node.input())
          EXPECT_TRUE(known.contains(input)) << node.name() << " reads " << input;
        for (const std::string& output : node.output())
          EXPECT_TRUE(known.insert(output).second) << "twice: " << output;
      }
    }
  }
}

TEST(OnnxEmitter, OnlyFlavourOneHasFunctionsAndEveryDomainIsImported) {
  EXPECT_EQ(build({}, {}).file.functions_size(), 4);
  EXPECT_EQ(build({.mask = ir::MaskKind::kSliding}, {}).file.functions_size(), 5);
  for (const Flavour flavour : {Flavour::kOne, Flavour::kOrt, Flavour::kGenai}) {
    const Built built = build({}, {.flavour = flavour});
    if (flavour != Flavour::kOne) {
      EXPECT_EQ(built.file.functions_size(), 0);
    }
    std::set<std::string> imported;
    for (const proto::OperatorSet& set : built.file.opset_import())
      EXPECT_TRUE(imported.insert(set.domain()).second) << set.domain();
    for (const proto::Node& node : built.file.graph().node())
      EXPECT_TRUE(imported.contains(node.domain())) << node.domain();
    EXPECT_EQ(built.count("GroupQueryAttention", "com.microsoft"), flavour == Flavour::kGenai ? 1 : 0);
  }
}

TEST(OnnxEmitter, MatricesAreTransposedAndDoNotOverlap) {
  const Built built = build({}, {});
  EXPECT_EQ(dims(built.initializer("model.layers.0.q_proj.weight_t")), (std::vector<std::int64_t>{64, 64}));
  EXPECT_EQ(dims(built.initializer("model.layers.0.k_proj.weight_t")), (std::vector<std::int64_t>{64, 32}));
  EXPECT_EQ(dims(built.initializer("model.lm_head.weight_t")), (std::vector<std::int64_t>{64, 20}));
  EXPECT_EQ(dims(built.initializer(kTable)), (std::vector<std::int64_t>{20, 64}));
  std::uint64_t end = 0;
  for (const MatrixBlob& blob : built.model.layout.matrices) {
    EXPECT_GE(blob.offset, end) << blob.name;
    EXPECT_EQ(blob.bytes, static_cast<std::uint64_t>(4 * blob.rows * blob.cols));
    end = blob.offset + blob.bytes;
  }
  EXPECT_GE(built.model.layout.total_bytes, end);
}

TEST(OnnxEmitter, ALearnedTableIsReadInsideItsRows) {
  for (const DType dtype : {DType::kF32, DType::kF16}) {
    const Built built = build({.has_positions = true}, {.dtype = dtype});
    EXPECT_EQ(dims(built.initializer("model.embed_positions.weight")), (std::vector<std::int64_t>{12, 64}));
    const MatrixBlob& blob = built.model.layout.matrices.at(5);
    EXPECT_EQ(blob.name, "model.embed_positions.weight");
    EXPECT_EQ(blob.layout, MatrixLayout::kRows);
    EXPECT_EQ(blob.bytes, dtype == DType::kF16 ? 12u * 64 * 2 : 12u * 64 * 4);
    const proto::Node& rows = built.node(dtype == DType::kF16 ? "/position/half" : "/position");
    EXPECT_EQ(rows.op_type(), "Gather");
    EXPECT_EQ(rows.input(1), "/position/clamped");
    EXPECT_EQ(built.node("/position/clamped").op_type(), "Min");
    EXPECT_EQ(built.node("/position/least").op_type(), "Max");
    EXPECT_EQ(built.node("/placed").input(1), "/position");
  }
}

TEST(OnnxEmitter, ATiedHeadIsTheTransposedTable) {
  const Built built = build({.tied = true}, {});
  const proto::Node& head = built.node("logits");
  EXPECT_EQ(head.op_type(), "MatMul");
  const proto::Node& table = built.node(head.input(1));
  EXPECT_EQ(table.op_type(), "Transpose");
  EXPECT_EQ(table.input(0), kTable);
  for (const MatrixBlob& blob : built.model.layout.matrices)
    EXPECT_FALSE(blob.name.starts_with("model.lm_head")) << blob.name;
}

TEST(OnnxEmitter, TheHeadIsNeverQuantised) {
  const Built built = build({}, {.weights = WeightForm::kMatMulNBits});
  EXPECT_EQ(built.count("MatMulNBits", kMicrosoftDomain), 4);
  EXPECT_EQ(built.node("logits").op_type(), "MatMul");
}

TEST(OnnxEmitter, NibblesOfAnOddNumberOfZeroPointsRoundUp) {
  // Rows of 48 in blocks of 16: o_proj of heads of 12 has three zero points a row.
  const Built built = build({.head_dim = 12}, {.weights = WeightForm::kMatMulNBits, .bits = 4, .block = 16});
  EXPECT_EQ(dims(built.initializer("model.layers.0.o_proj.weight_zero_points")),
            (std::vector<std::int64_t>{64, 2}));
  EXPECT_EQ(dims(built.initializer("model.layers.0.o_proj.weight_codes")),
            (std::vector<std::int64_t>{64, 3, 8}));
  const Built bytes = build({.head_dim = 12}, {.weights = WeightForm::kMatMulNBits, .bits = 8, .block = 16});
  EXPECT_EQ(dims(bytes.initializer("model.layers.0.o_proj.weight_zero_points")),
            (std::vector<std::int64_t>{64, 3}));
}

TEST(OnnxEmitter, GenaiRefusesOtherHeadSizes) {
  for (const std::int64_t head_dim : {8, 12, 24}) {
    try {
      build({.head_dim = head_dim}, {.flavour = Flavour::kGenai});
      FAIL() << head_dim;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
      EXPECT_NE(std::string(error.message()).find("multiple of 16"), std::string::npos);
      EXPECT_NE(std::string(error.message()).find("--onnx_flavour one or ort"), std::string::npos);
    }
  }
}

TEST(OnnxEmitter, ASlidingLayerOfGenaiHasTheWindow) {
  const auto window = [](ir::MaskKind mask) {
    const Built built = build({.mask = mask}, {.flavour = Flavour::kGenai});
    for (const proto::Attribute& attribute : built.node("/context").attribute())
      if (attribute.name() == "local_window_size") return attribute.i();
    return std::int64_t{-2};
  };
  EXPECT_EQ(window(ir::MaskKind::kFull), -1);
  EXPECT_EQ(window(ir::MaskKind::kSliding), 3);
}

}  // namespace
}  // namespace llm2mnn::onnx
