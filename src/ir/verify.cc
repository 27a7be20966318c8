#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unordered_set>

#include "base/checked.h"
#include "base/error.h"
#include "ir/graph.h"

namespace llm2mnn::ir {
namespace {

/// Checks one graph; every failure names the node and the rule.
class Verifier {
 public:
  explicit Verifier(const Graph& graph)
      : graph_(graph),
        channels_(graph.values.size(), kUnknown),
        produced_(graph.values.size(), false),
        is_index_(graph.values.size(), false) {}

  void run() {
    check_names();
    require_graph(graph_.input < graph_.values.size(), "the input value does not exist");
    require_graph(graph_.hidden_size > 0 && graph_.vocab_size > 0, "hidden and vocabulary sizes are not set");
    produced_[graph_.input] = true;
    channels_[graph_.input] = graph_.hidden_size;
    for (const Node& node : graph_.nodes)
      check_node(node);
    require_graph(graph_.logits < graph_.values.size() && produced_[graph_.logits],
                  "nobody makes the logits");
    require_graph(channels_[graph_.logits] == graph_.vocab_size, "the logits have not vocab_size channels");
    require_graph(graph_.hidden_states < graph_.values.size() && produced_[graph_.hidden_states],
                  "nobody makes hidden_states");
  }

 private:
  static constexpr std::int64_t kUnknown = -1;

  static void require_graph(bool ok, std::string_view rule) {
    if (!ok) fail(ErrorKind::kInternal, "graph: {}", rule);
  }
  void require(bool ok, std::string_view rule) const {
    if (!ok) fail(ErrorKind::kInternal, "graph node {}: {}", shown(node_->name), rule);
  }

  void check_names() const {
    std::unordered_set<std::string_view> nodes, values, weights;
    for (const Node& node : graph_.nodes)
      require_graph(!node.name.empty() && nodes.insert(node.name).second, "node names are not unique");
    for (const Value& value : graph_.values)
      require_graph(!value.name.empty() && values.insert(value.name).second, "value names are not unique");
    for (const Weight& weight : graph_.weights)
      require_graph(!weight.address.empty() && weights.insert(weight.address).second,
                    "weight addresses are not unique");
  }

  void check_node(const Node& node) {
    node_ = &node;
    for (const ValueId id : inputs_of(node.op)) {
      require(id < graph_.values.size(), "an input id is out of range");
      require(produced_[id], fmt::format("reads {} before it is made", shown(graph_.values[id].name)));
      const auto* experts = std::get_if<Experts>(&node.op);
      require(is_index_[id] == (experts != nullptr && id == experts->indices),
              fmt::format("{} is the wrong one of numbers of experts and other numbers",
                          shown(graph_.values[id].name)));
    }
    for (const ValueId id : outputs_of(node.op)) {
      require(id < graph_.values.size(), "an output id is out of range");
      require(!produced_[id], fmt::format("{} is made twice", shown(graph_.values[id].name)));
      produced_[id] = true;
    }
    std::visit([this](const auto& op) { check_op(op); }, node.op);
  }

  void require_weight(WeightId id, const Shape& shape) const {
    require(id < graph_.weights.size(), "a weight id is out of range");
    require(graph_.weights[id].shape == shape,
            fmt::format("{} is {}, the op needs {}", shown(graph_.weights[id].address),
                        shape_text(graph_.weights[id].shape), shape_text(shape)));
  }
  void require_channels(ValueId id, std::int64_t channels) const {
    require(channels_[id] == channels, fmt::format("{} has {} channels, the op needs {}",
                                                   shown(graph_.values[id].name), channels_[id], channels));
  }

  void check_op(const Linear& op) {
    require(op.in_features > 0 && op.out_features > 0, "a size is not positive");
    require_channels(op.x, op.in_features);
    require_weight(op.weight, {op.out_features, op.in_features});
    if (op.bias) require_weight(*op.bias, {op.out_features});
    channels_[op.y] = op.out_features;
  }
  void check_op(const Norm& op) {
    require(op.size > 0 && op.heads > 0, "a size is not positive");
    require(std::isfinite(op.eps) && op.eps >= 0, "epsilon is not a small positive number");
    require_channels(op.x, op.size * op.heads);
    require_weight(op.gamma, {op.size});
    if (op.beta) require_weight(*op.beta, {op.size});
    channels_[op.y] = channels_[op.x];
  }
  void check_op(const Add& op) {
    require_channels(op.b, channels_[op.a]);
    channels_[op.y] = channels_[op.a];
  }
  void check_op(const Multiply& op) {
    require(channels_[op.b] == 1 || channels_[op.b] == channels_[op.a], "its inputs have different channels");
    channels_[op.y] = channels_[op.a];
  }
  void check_op(const Scale& op) {
    require(std::isfinite(op.factor), "the factor is not finite");
    channels_[op.y] = channels_[op.x];
  }
  void check_op(const ChannelScale& op) {
    require_weight(op.weight, {channels_[op.x]});
    channels_[op.y] = channels_[op.x];
  }
  void check_op(const Clamp& op) {
    require(std::isfinite(op.limit) && op.limit > 0, "the limit is not positive");
    channels_[op.y] = channels_[op.x];
  }
  void check_op(const Xielu& op) {
    for (const WeightId id : {op.a, op.b, op.n})
      require_weight(id, {1});
    channels_[op.y] = channels_[op.x];
  }
  void check_op(const Unary& op) { channels_[op.y] = channels_[op.x]; }
  void require_limits(const std::optional<GluLimits>& limits) const {
    require(!limits || (std::isfinite(limits->gate_max) && std::isfinite(limits->up_min) &&
                        std::isfinite(limits->up_max) && limits->up_min < limits->up_max),
            "the limits are no range");
  }
  void check_op(const GatedUnit& op) {
    require_limits(op.limits);
    require_channels(op.up, channels_[op.gate]);
    channels_[op.y] = channels_[op.gate];
  }
  void check_op(const JoinHeads& op) {
    require(op.heads > 0 && op.shared_size > 0 && op.own_size > 0, "a size is not positive");
    require_channels(op.shared, op.shared_size);
    require_channels(op.own, op.heads * op.own_size);
    channels_[op.y] = op.heads * (op.shared_size + op.own_size);
  }
  void check_op(const ResizeHeads& op) {
    require(op.heads > 0 && op.from > 0 && op.to > 0, "a size is not positive");
    require_channels(op.x, op.heads * op.from);
    channels_[op.y] = op.heads * op.to;
  }
  void check_op(const ShortConv& op) {
    require(op.channels > 0 && op.taps > 1, "a size is not positive");
    require_channels(op.x, 3 * op.channels);
    require_weight(op.kernel, {op.channels * op.taps});
    channels_[op.y] = op.channels;
  }
  void check_op(const GatedDelta& op) {
    require(op.num_key_heads > 0 && op.num_value_heads % op.num_key_heads == 0 && op.num_value_heads > 0 &&
                op.key_dim > 0 && op.value_dim > 0 && op.taps > 1,
            "the key heads do not divide the value heads, or a size is not positive");
    const std::int64_t channels = 2 * op.num_key_heads * op.key_dim + op.num_value_heads * op.value_dim;
    require_channels(op.x, channels);
    require_channels(op.gate, op.num_value_heads);
    require_channels(op.beta, op.num_value_heads);
    require_weight(op.kernel, {channels * op.taps});
    channels_[op.y] = op.num_value_heads * op.value_dim;
  }
  void check_op(const RopeTable& op) {
    require(!op.inv_freq.empty() && op.num_positions > 0, "the table is empty");
    require(std::isfinite(op.attention_factor), "the attention factor is not finite");
    channels_[op.cos] = channels_[op.sin] = 2 * static_cast<std::int64_t>(op.inv_freq.size());
  }
  void check_op(const PositionEmbedding& op) {
    require(op.num_rows > 0 && op.size > 0 && op.stride > 0, "a size is not positive");
    std::int64_t positions = 0;  // that have a row
    require(op.offset >= 0 && checked_mul(op.num_rows, op.stride, positions) && op.offset < positions,
            "the table has no row for its positions");
    require_weight(op.table, {op.num_rows, op.size});
    channels_[op.y] = op.size;
  }
  void check_op(const TokenEmbedding& op) {
    require(op.num_rows > 0 && op.size > 0, "a size is not positive");
    require(!has_token_embedding_, "there is a second table of tokens");
    has_token_embedding_ = true;
    require_weight(op.table, {op.num_rows, op.size});
    channels_[op.y] = op.size;
  }
  void check_op(const SliceChannels& op) {
    require(op.begin >= 0 && op.size > 0 && op.begin <= channels_[op.x] - op.size,
            "the channels are not there");
    channels_[op.y] = op.size;
  }
  void check_op(const MixHeads& op) {
    require(op.from > 0 && op.to > 0 && op.size > 0, "a size is not positive");
    require_channels(op.x, op.from * op.size);
    require_channels(op.coefs, op.to * op.from);
    channels_[op.y] = op.to * op.size;
  }
  void check_op(const RootMeanSquare& op) {
    require(std::isfinite(op.least) && op.least >= 0, "the least mean is no number");
    channels_[op.y] = 1;
  }
  void check_op(const Sparsify& op) {
    require(std::isfinite(op.deviations), "the number of deviations is not finite");
    channels_[op.y] = channels_[op.x];
  }
  void check_op(const Rope& op) {
    require(op.rotary_dim > 0 && op.rotary_dim % 2 == 0 && op.rotary_dim <= op.head_dim,
            "rotary_dim is not an even part of the head");
    require_channels(op.q, op.num_attention_heads * op.head_dim);
    require_channels(op.k, op.num_key_value_heads * op.head_dim);
    require_channels(op.cos, op.rotary_dim);
    require_channels(op.sin, op.rotary_dim);
    channels_[op.q_out] = channels_[op.q];
    channels_[op.k_out] = channels_[op.k];
  }
  void check_op(const Attention& op) {
    require(op.num_attention_heads > 0 && op.num_key_value_heads > 0 && op.head_dim > 0 &&
                op.num_attention_heads % op.num_key_value_heads == 0,
            "the key heads do not divide the query heads");
    require_channels(op.q, op.num_attention_heads * op.head_dim);
    require_channels(op.k, op.num_key_value_heads * op.head_dim);
    require_channels(op.v, op.num_key_value_heads * op.head_dim);
    require(std::isfinite(op.softcap) && op.softcap >= 0, "the cap on scores is negative");
    if (op.sinks) require_weight(*op.sinks, {op.num_attention_heads});
    channels_[op.y] = channels_[op.q];
  }
  void check_op(const Route& op) {
    require(op.top_k > 0 && op.top_k <= op.num_experts, "more experts are chosen than there are");
    require(op.num_groups > 0 && op.num_experts % op.num_groups == 0, "the experts do not fall into groups");
    const std::int64_t group = op.num_experts / op.num_groups;
    require(op.top_groups > 0 && op.top_groups <= op.num_groups && op.top_k <= op.top_groups * group,
            "more experts are chosen than the chosen groups have");
    require(!op.group_top2 || op.num_groups == 1 || group > 1, "a group of one has no two best");
    require(op.kind != RouterKind::kSparsemixer ||
                (op.top_k == 2 && !op.selection_bias && op.num_groups == 1 && !op.renormalise),
            "a sparsemixer takes two experts and nothing else");
    require(std::isfinite(op.scale) && std::isfinite(op.renormalise_eps) && std::isfinite(op.jitter),
            "a number is not finite");
    require_channels(op.x, op.num_experts);
    if (op.selection_bias) require_weight(*op.selection_bias, {op.num_experts});
    channels_[op.weights] = channels_[op.indices] = op.top_k;
    is_index_[op.indices] = true;
  }
  void check_op(const Experts& op) {
    require_limits(op.limits);
    require(op.hidden_size > 0 && op.intermediate_size > 0 && !op.experts.empty(), "a size is not positive");
    require(op.top_k <= static_cast<std::int64_t>(op.experts.size()),
            "more experts are chosen than there are");
    require(expert_layers_.insert(op.layer_idx).second, "another node has the experts of this layer");
    require_channels(op.x, op.hidden_size);
    require_channels(op.weights, op.top_k);
    require_channels(op.indices, op.top_k);
    const auto require_linear = [this](const ExpertLinear& part, std::int64_t rows, std::int64_t cols) {
      require_weight(part.weight, {rows, cols});
      if (part.bias) require_weight(*part.bias, {rows});
    };
    for (const Expert& expert : op.experts) {
      require_linear(expert.gate, op.intermediate_size, op.hidden_size);
      require_linear(expert.up, op.intermediate_size, op.hidden_size);
      require_linear(expert.down, op.hidden_size, op.intermediate_size);
    }
    channels_[op.y] = op.hidden_size;
  }
  void check_op(const SelectTokens& op) { channels_[op.y] = channels_[op.x]; }

  const Graph& graph_;
  const Node* node_ = nullptr;
  std::vector<std::int64_t> channels_;  // of each value; kUnknown until it is made
  std::vector<bool> produced_;
  std::vector<bool> is_index_;  // numbers of experts
  std::unordered_set<std::int64_t> expert_layers_;
  bool has_token_embedding_ = false;
};

}  // namespace

void verify(const Graph& graph) { Verifier(graph).run(); }

}  // namespace llm2mnn::ir
