#include "convert/graph_json.h"

#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/overloaded.h"
#include "convert/json_fields.h"

namespace llm2mnn {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 9> kUnaryNames = {
    "silu", "gelu_tanh", "gelu_erf", "relu", "relu2", "tanh", "sigmoid", "softplus", "quick_gelu"};
constexpr std::array<std::string_view, 3> kRouterNames = {"softmax", "sigmoid", "sparsemixer"};

// What no model has. Products of two sizes stay far from overflow, and the tables that are made from these
// numbers small.
constexpr std::int64_t kMostSize = 1 << 28;
constexpr std::int64_t kMostPositions = 1 << 24;
constexpr std::size_t kMostFrequencies = 512;
constexpr std::size_t kMostTables = 8;

std::string_view name_of(ir::UnaryKind kind) { return kUnaryNames.at(static_cast<std::size_t>(kind)); }

Json optional_id(const std::optional<ir::WeightId>& id) { return id ? Json(*id) : Json(nullptr); }

Json expert_json(const ir::Expert& expert) {
  Json json = Json::array();
  for (const ir::ExpertLinear* part : {&expert.gate, &expert.up, &expert.down}) {
    json.push_back(part->weight);
    json.push_back(optional_id(part->bias));
  }
  return json;
}

void add_limits(Json& json, const std::optional<ir::GluLimits>& limits) {
  if (limits) json["limits"] = {limits->gate_max, limits->up_min, limits->up_max};
}

Json experts_json(const ir::Experts& n) {
  Json json = {{"x", n.x},
               {"weights", n.weights},
               {"indices", n.indices},
               {"y", n.y},
               {"kind", name_of(n.kind)},
               {"hidden", n.hidden_size},
               {"intermediate", n.intermediate_size},
               {"top_k", n.top_k},
               {"layer", n.layer_idx}};
  add_limits(json, n.limits);
  for (const ir::Expert& expert : n.experts)
    json["experts"].push_back(expert_json(expert));
  return json;
}

Json route_json(const ir::Route& n) {
  return {{"x", n.x},
          {"weights", n.weights},
          {"indices", n.indices},
          {"kind", kRouterNames.at(static_cast<std::size_t>(n.kind))},
          {"experts", n.num_experts},
          {"top_k", n.top_k},
          {"selection_bias", optional_id(n.selection_bias)},
          {"groups", n.num_groups},
          {"top_groups", n.top_groups},
          {"group_top2", n.group_top2},
          {"renormalise", n.renormalise},
          {"renormalise_eps", n.renormalise_eps},
          {"scale", n.scale},
          {"jitter", n.jitter}};
}

// Attributes of an op; values and weights are indexes into the graph's lists.
Json op_json(const ir::Op& op) {
  return std::visit(
      Overloaded{
          [](const ir::Linear& n) -> Json {
            return {{"x", n.x},
                    {"y", n.y},
                    {"weight", n.weight},
                    {"bias", optional_id(n.bias)},
                    {"in", n.in_features},
                    {"out", n.out_features}};
          },
          [](const ir::Norm& n) -> Json {
            return {{"x", n.x},     {"y", n.y},     {"gamma", n.gamma}, {"beta", optional_id(n.beta)},
                    {"rms", n.rms}, {"eps", n.eps}, {"size", n.size},   {"heads", n.heads}};
          },
          [](const ir::Add& n) -> Json {
            return {{"a", n.a}, {"b", n.b}, {"y", n.y}};
          },
          [](const ir::Multiply& n) -> Json {
            return {{"a", n.a}, {"b", n.b}, {"y", n.y}};
          },
          [](const ir::Scale& n) -> Json {
            return {{"x", n.x}, {"y", n.y}, {"factor", n.factor}};
          },
          [](const ir::ChannelScale& n) -> Json {
            return {{"x", n.x}, {"y", n.y}, {"weight", n.weight}};
          },
          [](const ir::Clamp& n) -> Json {
            return {{"x", n.x}, {"y", n.y}, {"limit", n.limit}};
          },
          [](const ir::Xielu& n) -> Json {
            return {{"x", n.x}, {"y", n.y}, {"a", n.a}, {"b", n.b}, {"n", n.n}};
          },
          [](const ir::Unary& n) -> Json {
            return {{"x", n.x}, {"y", n.y}, {"kind", name_of(n.kind)}};
          },
          [](const ir::GatedUnit& n) -> Json {
            Json json = {{"gate", n.gate}, {"up", n.up}, {"y", n.y}, {"kind", name_of(n.kind)}};
            add_limits(json, n.limits);
            return json;
          },
          // What ONNX files have no form for is refused before it comes here.
          [](const ir::ShortConv&) -> Json {
            fail(ErrorKind::kInternal, "a short convolution in an ONNX file");
          },
          [](const ir::GatedDelta&) -> Json {
            fail(ErrorKind::kInternal, "linear attention in an ONNX file");
          },
          [](const ir::JoinHeads& n) -> Json {
            return {{"shared", n.shared},           {"own", n.own},          {"y", n.y}, {"heads", n.heads},
                    {"shared_size", n.shared_size}, {"own_size", n.own_size}};
          },
          [](const ir::ResizeHeads& n) -> Json {
            return {{"x", n.x}, {"y", n.y}, {"heads", n.heads}, {"from", n.from}, {"to", n.to}};
          },
          [](const ir::RopeTable& n) -> Json {
            return {{"cos", n.cos},
                    {"sin", n.sin},
                    {"inv_freq", n.inv_freq},
                    {"factor", n.attention_factor},
                    {"positions", n.num_positions}};
          },
          [](const ir::PositionEmbedding& n) -> Json {
            Json json = {{"y", n.y}, {"table", n.table}, {"positions", n.num_rows}, {"size", n.size}};
            if (n.stride != 1) json["stride"] = n.stride;
            if (n.offset != 0) json["offset"] = n.offset;
            return json;
          },
          [](const ir::TokenEmbedding& n) -> Json {
            return {{"y", n.y}, {"table", n.table}, {"rows", n.num_rows}, {"size", n.size}};
          },
          [](const ir::SliceChannels& n) -> Json {
            return {{"x", n.x}, {"y", n.y}, {"begin", n.begin}, {"size", n.size}};
          },
          [](const ir::MixHeads& n) -> Json {
            return {{"x", n.x},       {"coefs", n.coefs}, {"y", n.y},
                    {"from", n.from}, {"to", n.to},       {"size", n.size}};
          },
          [](const ir::RootMeanSquare& n) -> Json {
            return {{"x", n.x}, {"y", n.y}, {"least", n.least}, {"inverse", n.inverse}};
          },
          [](const ir::Sparsify& n) -> Json {
            return {{"x", n.x}, {"y", n.y}, {"deviations", n.deviations}};
          },
          [](const ir::Rope& n) -> Json {
            return {{"q", n.q},
                    {"k", n.k},
                    {"cos", n.cos},
                    {"sin", n.sin},
                    {"q_out", n.q_out},
                    {"k_out", n.k_out},
                    {"heads", n.num_attention_heads},
                    {"kv_heads", n.num_key_value_heads},
                    {"head_dim", n.head_dim},
                    {"rotary_dim", n.rotary_dim}};
          },
          [](const ir::Attention& n) -> Json {
            Json json = {{"q", n.q},
                         {"k", n.k},
                         {"v", n.v},
                         {"y", n.y},
                         {"heads", n.num_attention_heads},
                         {"kv_heads", n.num_key_value_heads},
                         {"head_dim", n.head_dim},
                         {"layer", n.layer_idx},
                         {"sliding", n.mask == ir::MaskKind::kSliding}};
            if (n.sinks) json["sinks"] = *n.sinks;
            if (n.softcap != 0) json["softcap"] = n.softcap;
            return json;
          },
          [](const ir::Route& n) -> Json { return route_json(n); },
          [](const ir::Experts& n) -> Json { return experts_json(n); },
          [](const ir::SelectTokens& n) -> Json {
            return {{"x", n.x}, {"y", n.y}};
          },
      },
      op);
}

ir::UnaryKind unary_kind(const Fields& fields) {
  const std::string name = fields.text("kind");
  for (std::size_t i = 0; i < kUnaryNames.size(); ++i)
    if (kUnaryNames[i] == name) return static_cast<ir::UnaryKind>(i);
  fail(ErrorKind::kFormat, "unknown activation {}", shown(name));
}

std::optional<ir::WeightId> weight_or_none(const Fields& fields, std::string_view key) {
  if (fields.at(key).is_null()) return std::nullopt;
  return fields.id(key);
}

std::int64_t size_of(const Fields& fields, std::string_view key) {
  const std::int64_t size = fields.size(key);
  if (size > kMostSize)
    fail(ErrorKind::kFormat, "{} is {}; expected {} at most", shown(key), size, kMostSize);
  return size;
}

// The graph's files hold float32.
double number_of(const Fields& fields, std::string_view key) {
  const double number = fields.number(key);
  if (std::abs(number) > std::numeric_limits<float>::max())
    fail(ErrorKind::kFormat, "{} is {}", shown(key), number);
  return number;
}

ir::RouterKind router_kind(const Fields& fields) {
  const std::string name = fields.text("kind");
  for (std::size_t i = 0; i < kRouterNames.size(); ++i)
    if (kRouterNames[i] == name) return static_cast<ir::RouterKind>(i);
  fail(ErrorKind::kFormat, "unknown router {}", shown(name));
}

ir::Route parse_route(const Fields& f) {
  ir::Route route{};
  route.x = f.id("x");
  route.weights = f.id("weights");
  route.indices = f.id("indices");
  route.kind = router_kind(f);
  route.num_experts = size_of(f, "experts");
  route.top_k = size_of(f, "top_k");
  route.selection_bias = weight_or_none(f, "selection_bias");
  route.num_groups = size_of(f, "groups");
  route.top_groups = size_of(f, "top_groups");
  route.group_top2 = f.flag("group_top2");
  route.renormalise = f.flag("renormalise");
  route.renormalise_eps = number_of(f, "renormalise_eps");
  route.scale = number_of(f, "scale");
  route.jitter = number_of(f, "jitter");
  return route;
}

ir::ExpertLinear parse_expert_linear(const JsonValue& weight, const JsonValue& bias) {
  const auto id_of = [](const JsonValue& value) {
    const std::int64_t id = value.as_int64();
    if (id < 0 || id > std::numeric_limits<std::int32_t>::max())
      fail(ErrorKind::kFormat, "there is no weight {}", id);
    return static_cast<ir::WeightId>(id);
  };
  ir::ExpertLinear part{id_of(weight), {}};
  if (!bias.is_null()) part.bias = id_of(bias);
  return part;
}

std::optional<ir::GluLimits> limits_of(const Fields& f) {
  if (!f.has("limits")) return std::nullopt;
  const JsonValue::Array& parts = tuple(f.at("limits"), 3);
  const auto number = [&](std::size_t i) {
    const double value = parts[i].as_double();
    if (std::abs(value) > std::numeric_limits<float>::max()) fail(ErrorKind::kFormat, "a limit is {}", value);
    return value;
  };
  return ir::GluLimits{number(0), number(1), number(2)};
}

ir::Experts parse_experts(const Fields& f) {
  ir::Experts experts{f.id("x"),
                      f.id("weights"),
                      f.id("indices"),
                      f.id("y"),
                      unary_kind(f),
                      size_of(f, "hidden"),
                      size_of(f, "intermediate"),
                      size_of(f, "top_k"),
                      size_of(f, "layer"),
                      {},
                      limits_of(f)};
  for (const JsonValue& entry : f.list("experts")) {
    const JsonValue::Array& parts = tuple(entry, 6);
    experts.experts.push_back({parse_expert_linear(parts[0], parts[1]),
                               parse_expert_linear(parts[2], parts[3]),
                               parse_expert_linear(parts[4], parts[5])});
  }
  return experts;
}

ir::Op parse_op(std::string_view kind, const Fields& f) {
  if (kind == "Linear")
    return ir::Linear{f.id("x"),        f.id("y"),        f.id("weight"), weight_or_none(f, "bias"),
                      size_of(f, "in"), size_of(f, "out")};
  if (kind == "Norm") {
    return ir::Norm{f.id("x"),     f.id("y"),           f.id("gamma"),      weight_or_none(f, "beta"),
                    f.flag("rms"), number_of(f, "eps"), size_of(f, "size"), size_of(f, "heads")};
  }
  if (kind == "Add") return ir::Add{f.id("a"), f.id("b"), f.id("y")};
  if (kind == "Multiply") return ir::Multiply{f.id("a"), f.id("b"), f.id("y")};
  if (kind == "Route") return parse_route(f);
  if (kind == "Experts") return parse_experts(f);
  if (kind == "Scale") return ir::Scale{f.id("x"), f.id("y"), number_of(f, "factor")};
  if (kind == "ChannelScale") return ir::ChannelScale{f.id("x"), f.id("y"), f.id("weight")};
  if (kind == "Clamp") return ir::Clamp{f.id("x"), f.id("y"), number_of(f, "limit")};
  if (kind == "Xielu") return ir::Xielu{f.id("x"), f.id("y"), f.id("a"), f.id("b"), f.id("n")};
  if (kind == "Unary") return ir::Unary{f.id("x"), f.id("y"), unary_kind(f)};
  if (kind == "GatedUnit")
    return ir::GatedUnit{f.id("gate"), f.id("up"), f.id("y"), unary_kind(f), limits_of(f)};
  if (kind == "JoinHeads")
    return ir::JoinHeads{
        f.id("shared"),        f.id("own"), f.id("y"), size_of(f, "heads"), size_of(f, "shared_size"),
        size_of(f, "own_size")};
  if (kind == "ResizeHeads")
    return ir::ResizeHeads{f.id("x"), f.id("y"), size_of(f, "heads"), size_of(f, "from"), size_of(f, "to")};
  if (kind == "RopeTable") {
    ir::RopeTable table{f.id("cos"), f.id("sin"), {}, number_of(f, "factor"), size_of(f, "positions")};
    if (table.num_positions > kMostPositions || f.list("inv_freq").size() > kMostFrequencies)
      fail(ErrorKind::kFormat, "a table of {} positions and {} frequencies", table.num_positions,
           f.list("inv_freq").size());
    for (const JsonValue& value : f.list("inv_freq")) {
      const double frequency = value.as_double();
      if (std::abs(frequency) > std::numeric_limits<float>::max())
        fail(ErrorKind::kFormat, "a frequency is {}", frequency);
      table.inv_freq.push_back(static_cast<float>(frequency));
    }
    return table;
  }
  if (kind == "PositionEmbedding") {
    ir::PositionEmbedding table{f.id("y"), f.id("table"), size_of(f, "positions"), size_of(f, "size")};
    if (f.has("stride")) table.stride = size_of(f, "stride");
    if (f.has("offset")) table.offset = size_of(f, "offset");
    return table;
  }
  if (kind == "TokenEmbedding")
    return ir::TokenEmbedding{f.id("y"), f.id("table"), size_of(f, "rows"), size_of(f, "size")};
  if (kind == "SliceChannels")
    return ir::SliceChannels{f.id("x"), f.id("y"), size_of(f, "begin"), size_of(f, "size")};
  if (kind == "MixHeads")
    return ir::MixHeads{f.id("x"),          f.id("coefs"),    f.id("y"),
                        size_of(f, "from"), size_of(f, "to"), size_of(f, "size")};
  if (kind == "RootMeanSquare")
    return ir::RootMeanSquare{f.id("x"), f.id("y"), number_of(f, "least"), f.flag("inverse")};
  if (kind == "Sparsify") return ir::Sparsify{f.id("x"), f.id("y"), number_of(f, "deviations")};
  if (kind == "Rope") {
    return ir::Rope{f.id("q"),
                    f.id("k"),
                    f.id("cos"),
                    f.id("sin"),
                    f.id("q_out"),
                    f.id("k_out"),
                    size_of(f, "heads"),
                    size_of(f, "kv_heads"),
                    size_of(f, "head_dim"),
                    size_of(f, "rotary_dim")};
  }
  if (kind == "Attention") {
    return ir::Attention{f.id("q"),
                         f.id("k"),
                         f.id("v"),
                         f.id("y"),
                         size_of(f, "heads"),
                         size_of(f, "kv_heads"),
                         size_of(f, "head_dim"),
                         size_of(f, "layer"),
                         f.flag("sliding") ? ir::MaskKind::kSliding : ir::MaskKind::kFull,
                         f.has("sinks") ? std::optional(f.id("sinks")) : std::nullopt,
                         f.has("softcap") ? number_of(f, "softcap") : 0};
  }
  if (kind == "SelectTokens") return ir::SelectTokens{f.id("x"), f.id("y")};
  fail(ErrorKind::kFormat, "unknown op {}", shown(kind));
}

// An export reads each weight once.
void check_uses(const ir::Graph& graph) {
  std::vector<int> uses(graph.weights.size());
  std::size_t tables = 0;
  for (const ir::Node& node : graph.nodes) {
    for (const ir::WeightId id : ir::weights_of(node.op)) {
      if (id >= uses.size()) fail(ErrorKind::kFormat, "there is no weight {}", id);
      ++uses[id];
    }
    if (std::holds_alternative<ir::RopeTable>(node.op)) ++tables;
  }
  for (std::size_t i = 0; i < uses.size(); ++i)
    if (uses[i] != 1)
      fail(ErrorKind::kFormat, "weight {}: {} nodes read it; expected 1", shown(graph.weights[i].address),
           uses[i]);
  if (tables > kMostTables)
    fail(ErrorKind::kFormat, "{} rotary tables; expected {} at most", tables, kMostTables);
}

}  // namespace

Json graph_json(const ir::Graph& graph) {
  Json json;
  json["hidden_size"] = graph.hidden_size;
  json["vocab_size"] = graph.vocab_size;
  json["has_sliding_layers"] = graph.has_sliding_layers;
  json["input"] = graph.input;
  json["hidden_states"] = graph.hidden_states;
  json["logits"] = graph.logits;
  for (const ir::Weight& weight : graph.weights)
    json["weights"].push_back({weight.address, weight.shape});
  for (const ir::Value& value : graph.values)
    json["values"].push_back(value.name);
  for (const ir::Node& node : graph.nodes)
    json["nodes"].push_back({node.name, ir::op_name(node.op), op_json(node.op)});
  return json;
}

ir::Graph parse_graph(const JsonValue& value) {
  const Fields fields(value);
  ir::Graph graph;
  graph.hidden_size = size_of(fields, "hidden_size");
  graph.vocab_size = size_of(fields, "vocab_size");
  graph.has_sliding_layers = fields.flag("has_sliding_layers");
  graph.input = fields.id("input");
  graph.hidden_states = fields.id("hidden_states");
  graph.logits = fields.id("logits");
  for (const JsonValue& entry : fields.list("weights")) {
    const JsonValue::Array& parts = tuple(entry, 2);
    Shape shape;
    for (const JsonValue& dim : parts[1].as_array())
      shape.push_back(dim.as_int64());
    if (shape.empty() || shape.size() > 2)
      fail(ErrorKind::kFormat, "weight {}: {} dimensions", shown(parts[0].as_string()), shape.size());
    graph.add_weight(std::string(parts[0].as_string()), std::move(shape));
  }
  for (const JsonValue& name : fields.list("values"))
    graph.add_value(std::string(name.as_string()));
  for (const JsonValue& entry : fields.list("nodes")) {
    const JsonValue::Array& parts = tuple(entry, 3);
    const std::string name(parts[0].as_string());
    try {
      graph.add_node(name, parse_op(parts[1].as_string(), Fields(parts[2])));
    } catch (Error& error) {
      error.add_context("node " + shown(name));
      throw;
    }
  }
  check_uses(graph);
  // What is wrong in a file is the file's fault.
  try {
    ir::verify(graph);
  } catch (const Error& error) {
    fail(ErrorKind::kFormat, "{}", error.message());
  }
  return graph;
}

}  // namespace llm2mnn
