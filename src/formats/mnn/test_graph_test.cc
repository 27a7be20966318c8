// The makers behind test_graph.h, and the proof that what they make is well formed.

#include "formats/mnn/test_graph.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace llm2mnn::mnn::testing {
namespace {

class Maker {
 public:
  explicit Maker(const TinyOptions& options) : options_(options) {}

  ir::Graph make() {
    graph_.hidden_size = options_.hidden_size;
    graph_.vocab_size = options_.vocab_size;
    graph_.has_sliding_layers = options_.mask == ir::MaskKind::kSliding;
    graph_.input = graph_.add_value("/embed_tokens");
    if (options_.has_rope) {
      cos_ = graph_.add_value("/rotary/cos");
      sin_ = graph_.add_value("/rotary/sin");
      const std::vector<float> inv_freq(static_cast<std::size_t>(options_.head_dim / 2), 0.5F);
      graph_.add_node("/rotary", ir::RopeTable{cos_, sin_, inv_freq, 1.0, 4096});
    }
    ir::ValueId x = graph_.input;
    if (options_.has_positions) x = add("/position_sum", x, positions());
    for (int i = 0; i < options_.num_layers; ++i)
      x = layer(i, x);
    const ir::ValueId last = graph_.add_value("/last");
    graph_.add_node("/select", ir::SelectTokens{x, last});
    graph_.hidden_states = norm("/norm", last, options_.hidden_size, 1);
    graph_.logits = linear("/lm_head", graph_.hidden_states, options_.hidden_size, options_.vocab_size);
    return std::move(graph_);
  }

 private:
  ir::ValueId linear(const std::string& name, ir::ValueId x, std::int64_t in, std::int64_t out) {
    const ir::WeightId weight = graph_.add_weight(name + ".weight", {out, in});
    std::optional<ir::WeightId> bias;
    if (options_.has_bias) bias = graph_.add_weight(name + ".bias", {out});
    const ir::ValueId y = graph_.add_value(name + "/output");
    graph_.add_node(name, ir::Linear{x, y, weight, bias, in, out});
    return y;
  }
  ir::ValueId norm(const std::string& name, ir::ValueId x, std::int64_t size, std::int64_t heads) {
    const ir::WeightId gamma = graph_.add_weight(name + ".weight", {size});
    const ir::ValueId y = graph_.add_value(name + "/output");
    graph_.add_node(name, ir::Norm{x, y, gamma, {}, options_.rms, 1e-6, size, heads});
    return y;
  }
  ir::ValueId channel_scale(const std::string& name, ir::ValueId x, std::int64_t size) {
    const ir::WeightId weight = graph_.add_weight(name + ".weight", {size});
    const ir::ValueId y = graph_.add_value(name + "/output");
    graph_.add_node(name, ir::ChannelScale{x, y, weight});
    return y;
  }
  ir::ValueId add(const std::string& name, ir::ValueId a, ir::ValueId b) {
    const ir::ValueId y = graph_.add_value(name + "/output");
    graph_.add_node(name, ir::Add{a, b, y});
    return y;
  }

  ir::ValueId positions() {
    const ir::WeightId table = graph_.add_weight("/positions.weight", {12, options_.hidden_size});
    const ir::ValueId y = graph_.add_value("/positions/output");
    graph_.add_node("/positions", ir::PositionEmbedding{y, table, 12, options_.hidden_size});
    return y;
  }

  void head_norms(const std::string& p, ir::ValueId& q, ir::ValueId& k) {
    const std::int64_t dim = options_.head_dim;
    if (options_.has_qk_norm) {
      q = norm(p + "/q_norm", q, dim, kQueryHeads);
      k = norm(p + "/k_norm", k, dim, kKeyHeads);
    }
    if (options_.has_head_weights) {
      q = channel_scale(p + "/q_scale", q, kQueryHeads * dim);
      k = channel_scale(p + "/k_scale", k, kKeyHeads * dim);
    }
  }

  ir::ValueId layer(int idx, ir::ValueId x) {
    const std::int64_t hidden = options_.hidden_size, dim = options_.head_dim, inner = 2 * hidden;
    const std::string p = fmt::format("/layers.{}", idx);
    const ir::ValueId n = norm(p + "/input_norm", x, hidden, 1);
    ir::ValueId q = linear(p + "/q_proj", n, hidden, kQueryHeads * dim);
    ir::ValueId k = linear(p + "/k_proj", n, hidden, kKeyHeads * dim);
    const ir::ValueId v = linear(p + "/v_proj", n, hidden, kKeyHeads * dim);
    if (options_.has_clip) {
      const ir::ValueId clipped = graph_.add_value(p + "/q_clip/output");
      graph_.add_node(p + "/q_clip", ir::Clamp{q, clipped, 0.5});
      q = clipped;
    }
    if (!options_.norms_after_rope) head_norms(p, q, k);
    if (options_.has_rope) {
      const ir::ValueId q_out = graph_.add_value(p + "/rope/q");
      const ir::ValueId k_out = graph_.add_value(p + "/rope/k");
      graph_.add_node(p + "/rope",
                      ir::Rope{q, k, cos_, sin_, q_out, k_out, kQueryHeads, kKeyHeads, dim, dim});
      q = q_out;
      k = k_out;
    }
    if (options_.norms_after_rope) head_norms(p, q, k);
    const ir::ValueId a = graph_.add_value(p + "/attention/output");
    std::optional<ir::WeightId> sinks;
    if (options_.has_sinks) sinks = graph_.add_weight(fmt::format("layers.{}.sinks", idx), {kQueryHeads});
    graph_.add_node(p + "/attention",
                    ir::Attention{q, k, v, a, kQueryHeads, kKeyHeads, dim, idx, options_.mask, sinks});
    const ir::ValueId h = add(p + "/residual", x, linear(p + "/o_proj", a, kQueryHeads * dim, hidden));
    const ir::ValueId m = norm(p + "/mlp_norm", h, hidden, 1);
    if (options_.num_experts > 0) return add(p + "/mlp_residual", h, experts(idx, p, m));
    const ir::ValueId gate = options_.has_xielu ? ir::kNoValue : linear(p + "/gate_proj", m, hidden, inner);
    const ir::ValueId up = linear(p + "/up_proj", m, hidden, inner);
    const ir::ValueId y = graph_.add_value(p + "/act/output");
    const auto number = [&](const char* name) { return graph_.add_weight(p + name, {1}); };
    if (options_.has_xielu)
      graph_.add_node(p + "/act", ir::Xielu{up, y, number("/a"), number("/b"), number("/n")});
    else
      graph_.add_node(p + "/act", ir::GatedUnit{gate, up, y, options_.activation});
    return add(p + "/mlp_residual", h, linear(p + "/down_proj", y, inner, hidden));
  }

  ir::ValueId experts(int idx, const std::string& p, ir::ValueId x) {
    constexpr std::int64_t kTopK = 2;
    const std::int64_t hidden = options_.hidden_size, inner = 2 * hidden;
    ir::Route route{};
    route.x = linear(p + "/router", x, hidden, options_.num_experts);
    route.weights = graph_.add_value(p + "/route/weights");
    route.indices = graph_.add_value(p + "/route/indices");
    route.kind = options_.router;
    route.num_experts = options_.num_experts;
    route.top_k = kTopK;
    route.num_groups = route.top_groups = 1;
    route.scale = 1;
    route.jitter = 0.01;
    if (options_.has_groups) {
      route.selection_bias = graph_.add_weight(p + "/selection_bias", {options_.num_experts});
      route.num_groups = 2;
      route.group_top2 = route.renormalise = true;
      route.renormalise_eps = 1e-20;
      route.scale = 2.5;
    }
    const ir::ValueId y = graph_.add_value(p + "/experts/output");
    ir::Experts experts{x,      route.weights, route.indices, y,   options_.activation,
                        hidden, inner,         kTopK,         idx, {}};
    const auto part = [&](std::int64_t e, const char* name, std::int64_t in, std::int64_t out) {
      const std::string address = fmt::format("{}/experts.{}/{}", p, e, name);
      ir::ExpertLinear linear{graph_.add_weight(address + ".weight", {out, in}), {}};
      if (options_.has_bias) linear.bias = graph_.add_weight(address + ".bias", {out});
      return linear;
    };
    for (std::int64_t e = 0; e < options_.num_experts; ++e) {
      const ir::ExpertLinear gate = part(e, "gate_proj", hidden, inner),
                             up = part(e, "up_proj", hidden, inner);
      experts.experts.push_back({gate, up, part(e, "down_proj", inner, hidden)});
    }
    graph_.add_node(p + "/route", route);
    graph_.add_node(p + "/experts", std::move(experts));
    return y;
  }

  static constexpr std::int64_t kQueryHeads = 4, kKeyHeads = 2;
  TinyOptions options_;
  ir::Graph graph_;
  ir::ValueId cos_ = ir::kNoValue;
  ir::ValueId sin_ = ir::kNoValue;
};

}  // namespace

ir::Graph tiny_graph(const TinyOptions& options) { return Maker(options).make(); }

std::vector<QuantScheme> schemes_of(const ir::Graph& graph, int bits, std::int64_t group_size, bool symmetric,
                                    ScaleType scale_type) {
  const QuantScheme scheme{bits, static_cast<int>(group_size), symmetric, scale_type};
  return std::vector<QuantScheme>(graph.weights.size(), scheme);
}

VectorReader ones(const ir::Graph& graph) {
  return [&graph](ir::WeightId id) {
    return std::vector<float>(static_cast<std::size_t>(graph.weights[id].shape[0]), 1.0F);
  };
}

TEST(TinyGraph, IsWellFormedWithAnyFeature) {
  TinyOptions bare;
  bare.has_qk_norm = bare.has_rope = bare.rms = false;
  bare.has_bias = true;
  bare.has_sinks = true;
  bare.num_layers = 2;
  EXPECT_NO_THROW(ir::verify(tiny_graph()));
  EXPECT_NO_THROW(ir::verify(tiny_graph(bare)));
}

}  // namespace llm2mnn::mnn::testing
