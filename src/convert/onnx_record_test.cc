#include "convert/onnx_record.h"

#include <functional>
#include <gtest/gtest.h>

#include "convert/graph_json.h"

namespace llm2mnn {
namespace {

using Json = nlohmann::ordered_json;

// Four experts behind a router, times themselves.
ir::ValueId add_experts(ir::Graph& g, ir::ValueId x) {
  const auto router = g.add_weight("layers.0.mlp.router.weight", {4, 16});
  const auto bias = g.add_weight("layers.0.mlp.selection_bias", {4});
  const auto logits = g.add_value("/router_logits"), weights = g.add_value("/weights");
  const auto indices = g.add_value("/indices"), y = g.add_value("/experts"),
             product = g.add_value("/product");
  g.add_node("/router", ir::Linear{x, logits, router, std::nullopt, 16, 4});
  g.add_node("/route", ir::Route{logits, weights, indices, ir::RouterKind::kSigmoid, 4, 2, bias, 2, 1, true,
                                 true, 1e-20, 2.5, 0.01});
  ir::Experts experts{x, weights, indices, y, ir::UnaryKind::kGeluTanh, 16, 8, 2, 0, {}};
  for (int e = 0; e < 4; ++e) {
    const auto part = [&](const char* name, std::int64_t out, std::int64_t in, bool has_bias) {
      const std::string address = fmt::format("layers.0.mlp.experts.{}.{}", e, name);
      ir::ExpertLinear linear{g.add_weight(address + ".weight", {out, in}), {}};
      if (has_bias) linear.bias = g.add_weight(address + ".bias", {out});
      return linear;
    };
    const auto gate = part("gate_proj", 8, 16, true), up = part("up_proj", 8, 16, false);
    experts.experts.push_back({gate, up, part("down_proj", 16, 8, e > 0)});
  }
  g.add_node("/experts_node", std::move(experts));
  g.add_node("/product_node", ir::Multiply{y, y, product});
  return product;
}

// A graph with every op, in which every option is on in one place.
ir::Graph every_op() {
  ir::Graph g;
  g.hidden_size = 16;
  g.vocab_size = 24;
  g.has_sliding_layers = true;
  const auto weight = [&g](const char* address, Shape shape) {
    return g.add_weight(address, std::move(shape));
  };
  const auto value = [&g](const char* name) { return g.add_value(name); };
  const auto q_proj = weight("layers.0.self_attn.q_proj.weight", {32, 16});
  const auto q_bias = weight("layers.0.self_attn.q_proj.bias", {32});
  const auto k_proj = weight("layers.0.self_attn.k_proj.weight", {16, 16});
  const auto v_proj = weight("layers.0.self_attn.v_proj.weight", {16, 16});
  const auto o_proj = weight("layers.0.self_attn.o_proj.weight", {16, 32});
  const auto q_norm = weight("layers.0.self_attn.q_norm.weight", {16});
  const auto sinks = weight("layers.0.self_attn.sinks", {2});
  const auto gamma = weight("norm.weight", {16});
  const auto beta = weight("norm.bias", {16});
  const auto head = weight("lm_head.weight", {24, 16});
  g.input = value("/in");
  const auto cos = value("/cos"), sin = value("/sin"), q = value("/q"), qn = value("/qn"), k = value("/k"),
             v = value("/v");
  g.add_node("/rope", ir::RopeTable{cos, sin, {1.0F, 0.1F, 1e-7F}, 1.25, 4096});
  g.add_node("/q_proj", ir::Linear{g.input, q, q_proj, q_bias, 16, 32});
  g.add_node("/q_norm", ir::Norm{q, qn, q_norm, std::nullopt, true, 1e-6, 16, 2});
  g.add_node("/k_proj", ir::Linear{g.input, k, k_proj, std::nullopt, 16, 16});
  g.add_node("/v_proj", ir::Linear{g.input, v, v_proj, std::nullopt, 16, 16});
  const auto qr = value("/qr"), kr = value("/kr"), a = value("/a"), o = value("/o"), sum = value("/sum");
  g.add_node("/rotary", ir::Rope{qn, k, cos, sin, qr, kr, 2, 1, 16, 6});
  g.add_node("/attention", ir::Attention{qr, kr, v, a, 2, 1, 16, 0, ir::MaskKind::kSliding, sinks, 30});
  g.add_node("/o_proj", ir::Linear{a, o, o_proj, std::nullopt, 32, 16});
  g.add_node("/add", ir::Add{g.input, o, sum});
  const auto table = weight("embed_positions.weight", {64, 16});
  const auto position = value("/position"), placed = value("/placed");
  g.add_node("/embed_positions", ir::PositionEmbedding{position, table, 64, 16});
  g.add_node("/position_sum", ir::Add{sum, position, placed});
  ir::ValueId x = placed;
  using ir::UnaryKind;
  for (const UnaryKind kind : {UnaryKind::kSilu, UnaryKind::kGeluTanh, UnaryKind::kGeluErf, UnaryKind::kRelu,
                               UnaryKind::kRelu2, UnaryKind::kTanh, UnaryKind::kSigmoid}) {
    const auto y = g.add_value(fmt::format("/unary{}", static_cast<int>(kind)));
    g.add_node(fmt::format("/unary_node{}", static_cast<int>(kind)), ir::Unary{x, y, kind});
    x = y;
  }
  const auto gated = value("/gated"), selected = value("/selected"), channels = value("/channels");
  auto scaled = value("/scaled");
  const auto clamped = value("/clamped");
  g.hidden_states = value("/norm");
  g.logits = value("/logits");
  g.add_node("/gate", ir::GatedUnit{x, sum, gated, UnaryKind::kGeluErf});
  g.add_node("/scale", ir::Scale{gated, scaled, 0.3});
  g.add_node("/channel_scale", ir::ChannelScale{scaled, channels, weight("factors", {16})});
  g.add_node("/clamp", ir::Clamp{channels, clamped, 0.5});
  const auto bent = value("/bent");
  g.add_node("/xielu",
             ir::Xielu{clamped, bent, weight("act.a", {1}), weight("act.b", {1}), weight("act.n", {1})});
  scaled = add_experts(g, bent);
  g.add_node("/norm_node", ir::Norm{scaled, g.hidden_states, gamma, beta, false, 1e-5, 16, 1});
  g.add_node("/select", ir::SelectTokens{g.hidden_states, selected});
  g.add_node("/lm_head", ir::Linear{selected, g.logits, head, std::nullopt, 16, 24});
  return g;
}

// The record of the graph.
Json record_json() {
  const ir::Graph graph = every_op();
  Json names = Json::array(), roles = Json::array();
  for (const ir::Weight& weight : graph.weights) {
    names.push_back("model." + weight.address);
    roles.push_back(role_name(WeightRole::kQProj));
  }
  return {{"format", 1},
          {"form",
           {{"flavour", "one"},
            {"opset", 17},
            {"dtype", "F32"},
            {"weights", "float"},
            {"bits", 4},
            {"block", 16},
            {"accuracy_level", 0}}},
          {"facts",
           {{"model_type", "llama"},
            {"family", ""},
            {"num_hidden_layers", 1},
            {"hidden_size", 16},
            {"vocab_size", 24},
            {"max_position_embeddings", 64},
            {"sliding_window", 8},
            {"num_attention_heads", 2},
            {"num_key_value_heads", 1},
            {"head_dim", 16},
            {"tie_word_embeddings", false},
            {"ropes", {"default"}},
            {"parameters", 1},
            {"ignored", Json::array({Json::array({"a", "b"})})},
            {"unread_config_keys", Json::array()},
            {"notes", {"a note"}}}},
          {"graph", graph_json(graph)},
          {"roles", roles},
          {"names", {{"weights", names}, {"embedding", "model.embed_tokens.weight"}}},
          {"tokenizer", {{"record", "{}"}, {"notes", Json::array()}, {"txt_limits", ""}, {"vocab_size", 24}}},
          {"options", {{"chat_template", false}, {"allow_tokenizer_mismatch", true}, {"type", ""}}},
          {"xxh128", {{"source", "0123456789abcdef00000000000000ff"}, {"weights", std::string(32, '0')}}}};
}

std::string refusal(const std::function<void(Json&)>& change, ErrorKind kind = ErrorKind::kFormat) {
  Json json = record_json();
  change(json);
  try {
    const OnnxRecord record = parse_onnx_record(json.dump());
    recorded_model(record, [&](ir::WeightId id) {
      return std::vector<float>(static_cast<std::size_t>(record.graph.weights[id].shape.front()));
    });
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.message();
    return error.message();
  }
  return "(no error)";
}

Json& op(Json& json, std::string_view kind) {
  for (Json& node : json["graph"]["nodes"])
    if (node[1] == kind) return node[2];
  throw std::out_of_range(std::string(kind));
}

TEST(GraphJson, KeepsEveryOp) {
  const ir::Graph graph = every_op();
  const Json json = graph_json(graph);
  const ir::Graph again = parse_graph(parse_json(json.dump()));
  EXPECT_EQ(graph_json(again), json);
  EXPECT_EQ(ir::print(again), ir::print(graph));
  const auto& table = std::get<ir::RopeTable>(again.nodes.front().op);
  EXPECT_EQ(table.inv_freq, (std::vector<float>{1.0F, 0.1F, 1e-7F}));
  EXPECT_EQ(table.attention_factor, 1.25);
}

TEST(OnnxRecord, IsRead) {
  const OnnxRecord record = parse_onnx_record(record_json().dump());
  EXPECT_EQ(record.roles.size(), 36U);
  EXPECT_EQ(record.facts.notes, std::vector<std::string>{"a note"});
  EXPECT_EQ(record.facts.ignored.front().rule, "b");
  EXPECT_TRUE(record.allow_tokenizer_mismatch);
  EXPECT_EQ(record.digests.source.hex(), "0123456789abcdef00000000000000ff");
  // Vectors: 32 and four of 16; tables: 2 of 2 high rows and 2 of 2048 low ones, 3 frequencies.
  EXPECT_EQ(constant_bytes(record), 4U * (32 + 4 * 16 + 2 + 3 + 4 + 4 * 8 + 3 * 16 + 2 * 3 * (2 + 2048)));
  EXPECT_EQ(refusal([](Json&) {}), "(no error)");
}

TEST(OnnxRecord, RefusesWhatNoModelHas) {
  const auto refuses = [](const std::function<void(Json&)>& change, const std::string& words) {
    const std::string message = refusal(change);
    EXPECT_NE(message.find(words), std::string::npos) << message << ", expected " << words;
  };
  refuses([](Json& j) { j["graph"]["hidden_size"] = 1LL << 62; }, "'hidden_size' is");
  refuses([](Json& j) { j["facts"]["hidden_size"] = 32; }, "sizes");
  refuses([](Json& j) { j["facts"]["vocab_size"] = 1LL << 40; }, "sizes");
  refuses([](Json& j) { j["facts"]["sliding_window"] = 0; }, "sizes");
  refuses([](Json& j) { j["graph"]["weights"][0][1] = Json::array(); }, "0 dimensions");
  refuses([](Json& j) { op(j, "Norm")["beta"] = 0; }, "2 nodes read it");
  refuses([](Json& j) { op(j, "Linear")["weight"] = 36; }, "no weight 36");
  refuses([](Json& j) { op(j, "Route")["kind"] = "tanh"; }, "unknown router 'tanh'");
  refuses([](Json& j) { op(j, "Route")["top_k"] = 5; }, "more experts are chosen");
  refuses([](Json& j) { op(j, "Route")["scale"] = 1e300; }, "'scale' is");
  refuses([](Json& j) { op(j, "Experts")["experts"][1][0] = -1; }, "no weight -1");
  refuses([](Json& j) { op(j, "Experts")["experts"][1].push_back(1); }, "a list of 7 items; expected 6");
  refuses([](Json& j) { op(j, "Experts")["experts"] = Json::array(); }, "0 nodes read it");
  refuses([](Json& j) { std::swap(op(j, "Experts")["weights"], op(j, "Experts")["indices"]); },
          "the wrong one");
  refuses([](Json& j) { op(j, "Linear")["bias"] = nullptr; }, "0 nodes read it");
  refuses([](Json& j) { op(j, "Scale")["factor"] = 1e300; }, "'factor' is");
  refuses([](Json& j) { op(j, "RopeTable")["inv_freq"][0] = 1e300; }, "a frequency is");
  refuses([](Json& j) { op(j, "RopeTable")["positions"] = (1 << 24) + 1; }, "positions");
  refuses([](Json& j) { op(j, "RopeTable")["inv_freq"] = std::vector<float>(513, 1.0F); }, "513 frequencies");
  refuses([](Json& j) { op(j, "PositionEmbedding")["positions"] = 63; }, "the op needs [63, 16]");
  refuses([](Json& j) { op(j, "Unary")["kind"] = "swish"; }, "unknown activation 'swish'");
  refuses([](Json& j) { j["graph"]["nodes"][0][1] = "Conv"; }, "unknown op 'Conv'");
  refuses([](Json& j) { j["graph"]["nodes"][0].push_back(1); }, "4 items");
  refuses([](Json& j) { j["roles"][0] = "king"; }, "unknown role 'king'");
  refuses([](Json& j) { j["names"]["weights"][1] = "model.embed_tokens.weight"; }, "one name");
  refuses([](Json& j) { j["names"]["weights"][1] = "input_ids"; }, "two ONNX values are called 'input_ids'");
  refuses([](Json& j) { j["xxh128"]["source"] = "0"; }, "no digest");
  refuses([](Json& j) { j["form"].update({{"weights", "matmulnbits"}, {"block", 32}}); }, "blocks of 32");
  refuses([](Json& j) { j["form"]["bits"] = 5, j["form"]["weights"] = "qdq"; }, "opset");
  EXPECT_NE(refusal([](Json& j) { j["format"] = 2; }, ErrorKind::kUnsupported).find("format 2"),
            std::string::npos);
}

}  // namespace
}  // namespace llm2mnn
