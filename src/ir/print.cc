#include <fmt/format.h>
#include <iterator>

#include "ir/graph.h"

namespace llm2mnn::ir {
namespace {

std::string_view unary_name(UnaryKind kind) {
  switch (kind) {
    case UnaryKind::kSilu:
      return "silu";
    case UnaryKind::kGeluTanh:
      return "gelu_tanh";
    case UnaryKind::kGeluErf:
      return "gelu_erf";
    case UnaryKind::kRelu:
      return "relu";
    case UnaryKind::kRelu2:
      return "relu2";
    case UnaryKind::kQuickGelu:
      return "quick_gelu";
    case UnaryKind::kTanh:
      return "tanh";
    case UnaryKind::kSigmoid:
      return "sigmoid";
    case UnaryKind::kSoftplus:
      return "softplus";
  }
  return "?";
}

std::string_view router_name(RouterKind kind) {
  switch (kind) {
    case RouterKind::kSoftmax:
      return "softmax";
    case RouterKind::kSigmoid:
      return "sigmoid";
    case RouterKind::kSparsemixer:
      return "sparsemixer";
  }
  return "?";
}

/// The attributes of an op: ", name=value" each.
struct Attributes {
  const Graph& graph;

  std::string weight(std::string_view key, WeightId id) const {
    const Weight& w = graph.weights[id];
    return fmt::format(", {}={}{}", key, w.address, shape_text(w.shape));
  }
  std::string operator()(const Linear& op) const {
    return weight("weight", op.weight) + (op.bias ? weight("bias", *op.bias) : "");
  }
  std::string operator()(const Norm& op) const {
    return fmt::format("{}{}, {}, eps={}, heads={}", weight("gamma", op.gamma),
                       op.beta ? weight("beta", *op.beta) : "", op.rms ? "rms" : "layer", op.eps, op.heads);
  }
  std::string operator()(const Add&) const { return {}; }
  std::string operator()(const Multiply&) const { return {}; }
  std::string operator()(const Scale& op) const { return fmt::format(", factor={}", op.factor); }
  std::string operator()(const ChannelScale& op) const { return weight("weight", op.weight); }
  std::string operator()(const Clamp& op) const { return fmt::format(", limit={}", op.limit); }
  std::string operator()(const Xielu& op) const {
    return weight("a", op.a) + weight("b", op.b) + weight("n", op.n);
  }
  std::string operator()(const Unary& op) const { return fmt::format(", {}", unary_name(op.kind)); }
  static std::string text(const std::optional<GluLimits>& limits) {
    if (!limits) return {};
    return fmt::format(", gate<={}, up={}..{}", limits->gate_max, limits->up_min, limits->up_max);
  }
  std::string operator()(const GatedUnit& op) const {
    return fmt::format(", {}{}", unary_name(op.kind), text(op.limits));
  }
  std::string operator()(const JoinHeads& op) const {
    return fmt::format(", heads={}, shared={}, own={}", op.heads, op.shared_size, op.own_size);
  }
  std::string operator()(const ResizeHeads& op) const {
    return fmt::format(", heads={}, from={}, to={}", op.heads, op.from, op.to);
  }
  std::string operator()(const ShortConv& op) const {
    return fmt::format("{}, taps={}, layer={}", weight("kernel", op.kernel), op.taps, op.layer_idx);
  }
  std::string operator()(const GatedDelta& op) const {
    return fmt::format("{}, heads={}/{}, key_dim={}, value_dim={}, taps={}, layer={}",
                       weight("kernel", op.kernel), op.num_value_heads, op.num_key_heads, op.key_dim,
                       op.value_dim, op.taps, op.layer_idx);
  }
  std::string operator()(const RopeTable& op) const {
    return fmt::format(", rotary_dim={}, factor={}, positions={}", 2 * op.inv_freq.size(),
                       op.attention_factor, op.num_positions);
  }
  std::string operator()(const PositionEmbedding& op) const {
    if (op.stride == 1 && op.offset == 0) return weight("table", op.table);
    return fmt::format("{}, row=(position + {}) / {}", weight("table", op.table), op.offset, op.stride);
  }
  std::string operator()(const TokenEmbedding& op) const { return weight("table", op.table); }
  std::string operator()(const SliceChannels& op) const {
    return fmt::format(", channels={}..{}", op.begin, op.begin + op.size);
  }
  std::string operator()(const MixHeads& op) const {
    return fmt::format(", heads={}/{}, size={}", op.to, op.from, op.size);
  }
  std::string operator()(const RootMeanSquare& op) const {
    return fmt::format(", {}least={}", op.inverse ? "inverse, " : "", op.least);
  }
  std::string operator()(const Sparsify& op) const { return fmt::format(", deviations={}", op.deviations); }
  std::string operator()(const Rope& op) const {
    return fmt::format(", heads={}/{}, head_dim={}, rotary_dim={}", op.num_attention_heads,
                       op.num_key_value_heads, op.head_dim, op.rotary_dim);
  }
  std::string operator()(const Attention& op) const {
    return fmt::format("{}{}, heads={}/{}, head_dim={}, layer={}, mask={}",
                       op.softcap != 0 ? fmt::format(", softcap={}", op.softcap) : "",
                       op.sinks ? weight("sinks", *op.sinks) : "", op.num_attention_heads,
                       op.num_key_value_heads, op.head_dim, op.layer_idx,
                       op.mask == MaskKind::kSliding ? "sliding" : "full");
  }
  std::string operator()(const Route& op) const {
    std::string text = fmt::format(", {}, experts={}/{}", router_name(op.kind), op.top_k, op.num_experts);
    if (op.selection_bias) text += weight("selection_bias", *op.selection_bias);
    if (op.num_groups > 1)
      text +=
          fmt::format(", groups={}/{} by {}", op.top_groups, op.num_groups, op.group_top2 ? "top2" : "max");
    if (op.renormalise) text += fmt::format(", renormalised, eps={}", op.renormalise_eps);
    if (op.kind == RouterKind::kSparsemixer) text += fmt::format(", jitter={}", op.jitter);
    return text + fmt::format(", scale={}", op.scale);
  }
  // The experts of a layer differ in their weights only: the first one stands for all.
  std::string operator()(const Experts& op) const {
    const auto linear = [this](std::string_view key, const ExpertLinear& part) {
      return weight(key, part.weight) + (part.bias ? weight("bias", *part.bias) : "");
    };
    const Expert& first = op.experts.front();
    return fmt::format(", layer={}, experts={}/{}, {}{}{}{}", op.layer_idx, op.top_k, op.experts.size(),
                       unary_name(op.kind), linear("gate", first.gate), linear("up", first.up),
                       linear("down", first.down));
  }
  std::string operator()(const SelectTokens&) const { return {}; }
};

std::string names(const Graph& graph, const std::vector<ValueId>& ids) {
  std::string text;
  for (const ValueId id : ids) {
    if (!text.empty()) text += ", ";
    text += graph.values[id].name;
  }
  return text;
}

}  // namespace

std::string print(const Graph& graph) {
  std::string text =
      fmt::format("input {} hidden_size={} vocab_size={}{}\n", graph.values[graph.input].name,
                  graph.hidden_size, graph.vocab_size, graph.has_sliding_layers ? " sliding" : "");
  for (const Node& node : graph.nodes) {
    std::string arguments = names(graph, inputs_of(node.op)) + std::visit(Attributes{graph}, node.op);
    if (arguments.starts_with(", ")) arguments.erase(0, 2);
    fmt::format_to(std::back_inserter(text), "{}: {} = {}({})\n", node.name,
                   names(graph, outputs_of(node.op)), op_name(node.op), arguments);
  }
  fmt::format_to(std::back_inserter(text), "output {} {}\n", graph.values[graph.logits].name,
                 graph.values[graph.hidden_states].name);
  return text;
}

}  // namespace llm2mnn::ir
