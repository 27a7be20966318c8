#include "lower/lower.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <tuple>
#include <utility>

#include "base/error.h"

namespace llm2mnn {
namespace {

ir::UnaryKind unary_of(Activation activation) {
  switch (activation) {
    case Activation::kSilu:
      return ir::UnaryKind::kSilu;
    case Activation::kGeluTanh:
      return ir::UnaryKind::kGeluTanh;
    case Activation::kGeluErf:
      return ir::UnaryKind::kGeluErf;
    case Activation::kRelu:
      return ir::UnaryKind::kRelu;
    case Activation::kQuickGelu:
      return ir::UnaryKind::kQuickGelu;
    case Activation::kRelu2:
      return ir::UnaryKind::kRelu2;
    case Activation::kXielu:
      break;
  }
  fail(ErrorKind::kInternal, "activation {} has no op", static_cast<int>(activation));
}

ir::RouterKind router_of(RouterKind kind) {
  switch (kind) {
    case RouterKind::kSoftmax:
      return ir::RouterKind::kSoftmax;
    case RouterKind::kSigmoid:
      return ir::RouterKind::kSigmoid;
    case RouterKind::kSparsemixer:
      return ir::RouterKind::kSparsemixer;
  }
  fail(ErrorKind::kInternal, "router {} has no op", static_cast<int>(kind));
}

std::optional<ir::GluLimits> limits_of(const MlpSpec& mlp) {
  if (!mlp.limits) return std::nullopt;
  return ir::GluLimits{mlp.limits->gate_max, mlp.limits->up_min, mlp.limits->up_max};
}

/// "layers.3.self_attn.q_proj" to "/layers.3/self_attn/q_proj".
std::string node_name(std::string_view address) {
  std::string name = "/";
  for (std::size_t i = 0; i < address.size(); ++i) {
    const bool before_index = i + 1 < address.size() && address[i + 1] >= '0' && address[i + 1] <= '9';
    name += address[i] == '.' && !before_index ? '/' : address[i];
  }
  return name;
}

/// Values of the rotary tables of one rope.
struct RopeValues {
  ir::ValueId cos, sin;
};

class Lowering {
 public:
  explicit Lowering(const DecoderSpec& spec) : spec_(spec) {}

  Lowered run() {
    ir::Graph& graph = out_.graph;
    graph.hidden_size = spec_.hidden_size;
    graph.vocab_size = spec_.lm_head.weight.rows();
    graph.input = graph.add_value("/embed_tokens/output");
    ir::ValueId x = graph.input;
    if (spec_.embed_scale != 1) x = scale("/embed_scale", x, spec_.embed_scale);
    if (!spec_.position_embedding.is_empty()) x = add("/position_sum", x, position_embedding());
    if (spec_.embed_norm) x = norm(*spec_.embed_norm, x, 1);
    if (std::any_of(spec_.layers.begin(), spec_.layers.end(),
                    [](const LayerSpec& layer) { return layer.attention.has_alibi; }))
      add_alibi_positions();
    for (std::size_t i = 0; i < spec_.ropes.size(); ++i)
      ropes_.push_back(rope_table(i));
    for (std::size_t i = 0; i < spec_.layers.size(); ++i)
      x = layer(i, x);
    x = select_tokens(x);
    x = norm(spec_.norm, x, 1);
    graph.hidden_states = x;
    graph.logits = head(x);
    verify(graph);
    LLM2MNN_CHECK(graph.weights.size() == out_.weights.size());
    return std::move(out_);
  }

 private:
  ir::ValueId value_of(const std::string& node) { return out_.graph.add_value(node + "/output"); }

  ir::WeightId weight(std::string address, const Binding& binding, WeightRole role, bool is_matrix) {
    Shape shape{binding.rows()};
    if (is_matrix) shape.push_back(binding.cols());
    out_.weights.push_back({binding, role, is_matrix});
    return out_.graph.add_weight(std::move(address), std::move(shape));
  }

  ir::ValueId linear(const LinearSpec& spec, ir::ValueId x) {
    const std::string node = node_name(spec.address);
    const ir::WeightId matrix = weight(spec.address + ".weight", spec.weight, spec.role, true);
    std::optional<ir::WeightId> bias;
    if (!spec.bias.is_empty()) bias = weight(spec.address + ".bias", spec.bias, spec.role, false);
    const ir::ValueId y = value_of(node);
    out_.graph.add_node(node, ir::Linear{x, y, matrix, bias, spec.weight.cols(), spec.weight.rows()});
    return y;
  }

  /// `heads` > 1: the norm of each head of [T, heads * n].
  ir::ValueId norm(const NormSpec& spec, ir::ValueId x, std::int64_t heads) {
    const std::string node = node_name(spec.address);
    const ir::WeightId gamma = weight(spec.address + ".weight", spec.weight, spec.role, false);
    std::optional<ir::WeightId> beta;
    if (!spec.bias.is_empty()) beta = weight(spec.address + ".bias", spec.bias, spec.role, false);
    const ir::ValueId y = value_of(node);
    out_.graph.add_node(
        node, ir::Norm{x, y, gamma, beta, spec.kind == NormKind::kRms, spec.eps, spec.weight.rows(), heads});
    return y;
  }
  ir::ValueId optional_norm(const std::optional<NormSpec>& spec, ir::ValueId x) {
    return spec ? norm(*spec, x, 1) : x;
  }

  ir::ValueId scale(const std::string& node, ir::ValueId x, double factor) {
    const ir::ValueId y = value_of(node);
    out_.graph.add_node(node, ir::Scale{x, y, factor});
    return y;
  }

  ir::ValueId add(const std::string& node, ir::ValueId a, ir::ValueId b) {
    const ir::ValueId y = value_of(node);
    out_.graph.add_node(node, ir::Add{a, b, y});
    return y;
  }

  ir::ValueId position_embedding() { return positions_of("embed_positions", spec_.position_embedding); }

  ir::ValueId positions_of(const std::string& address, const Binding& table) {
    const ir::WeightId id = out_.graph.add_weight(address + ".weight", {table.rows(), table.cols()});
    out_.weights.push_back({table, WeightRole::kPositionEmbedding, false});
    const std::string node = "/" + address;
    const ir::ValueId y = value_of(node);
    out_.graph.add_node(node, ir::PositionEmbedding{y, id, table.rows(), table.cols()});
    return y;
  }

  /// [T, 1] each: the position over kAlibiSplit, and the remainder.
  void add_alibi_positions() {
    const std::int64_t positions = rope_table_positions(spec_.max_position_embeddings);
    std::vector<Binding> high, low;
    for (std::int64_t begin = 0; begin < positions; begin += kAlibiSplit)
      high.push_back(Binding::constant(std::min(kAlibiSplit, positions - begin),
                                       static_cast<float>(begin / kAlibiSplit)));
    for (std::int64_t i = 0; i < kAlibiSplit; ++i)
      low.push_back(Binding::constant(1, static_cast<float>(i)));
    std::vector<RowRun> repeats;
    for (std::int64_t begin = 0; begin < positions; begin += kAlibiSplit)
      repeats.push_back({0, std::min(kAlibiSplit, positions - begin), 1});
    alibi_high_ = positions_of("alibi_high", Binding::concat_rows(std::move(high)));
    alibi_low_ =
        positions_of("alibi_low", Binding::concat_rows(std::move(low)).gather_rows(std::move(repeats)));
  }

  //  q -- * ((Dh + 2) / Dh)^0.5 -- q'       low -- join -- join -- k'
  //  v -- zeros behind each head -- v'      k ------'       '-- high
  void widen_for_alibi(const std::string& prefix, const AttentionSpec& spec, ir::ValueId& q, ir::ValueId& k,
                       ir::ValueId& v) {
    const std::int64_t dim = spec.head_dim, heads = spec.num_key_value_heads;
    q = scale(prefix + "/query_scale", q,
              std::sqrt(static_cast<double>(dim + kAlibiChannels) / static_cast<double>(dim)));
    const auto join = [&](std::string_view name, ir::ValueId shared, ir::ValueId own, std::int64_t size) {
      const std::string node = fmt::format("{}/{}", prefix, name);
      const ir::ValueId y = value_of(node);
      out_.graph.add_node(node, ir::JoinHeads{shared, own, y, heads, 1, size});
      return y;
    };
    k = join("key_low", alibi_low_, k, dim);
    k = join("key", alibi_high_, k, dim + 1);
    v = resize_heads(prefix + "/value", v, heads, dim, dim + kAlibiChannels);
  }

  bool is_rope_used(std::size_t idx) const {
    return std::any_of(spec_.layers.begin(), spec_.layers.end(), [idx](const LayerSpec& layer) {
      return !layer.short_conv && !layer.gated_delta && layer.attention.rope_idx >= 0 &&
             static_cast<std::size_t>(layer.attention.rope_idx) == idx;
    });
  }

  /// The tables of rope `idx`; two ropes with the same numbers share one table, an unused one has none.
  RopeValues rope_table(std::size_t idx) {
    if (!is_rope_used(idx)) return {ir::kNoValue, ir::kNoValue};
    const RopeSpec& rope = spec_.ropes[idx];
    for (std::size_t i = 0; i < idx; ++i)
      if (ropes_[i].cos != ir::kNoValue && spec_.ropes[i].inv_freq == rope.inv_freq &&
          spec_.ropes[i].attention_factor == rope.attention_factor)
        return ropes_[i];
    const std::string node = fmt::format("/rotary.{}", idx);
    const RopeValues values{out_.graph.add_value(node + "/cos"), out_.graph.add_value(node + "/sin")};
    out_.graph.add_node(node, ir::RopeTable{values.cos, values.sin, rope.inv_freq, rope.attention_factor,
                                            rope_table_positions(spec_.max_position_embeddings)});
    return values;
  }

  //        x -- q_proj -- [clip] -- [q_norm] --.
  //        x -- k_proj -- [clip] -- [k_norm] -- [rope] -- attention -- o_proj
  //        x -- v_proj -- [clip] ------------------------'
  // The norms may stand behind the rotation.
  ir::ValueId attention(std::size_t layer_idx, const AttentionSpec& spec, ir::ValueId x) {
    const std::string prefix = fmt::format("/layers.{}/self_attn", layer_idx);
    ir::ValueId q, k, v;
    if (spec.latent) {
      q = latent_query(*spec.latent, spec.q_proj, x);
      std::tie(k, v) = latent_key_value(prefix, spec, x);
    } else {
      q = linear(spec.q_proj, x);
      k = linear(spec.k_proj, x);
      v = linear(spec.v_proj, x);
    }
    q = clip(q, spec, prefix + "/q_clip");
    k = clip(k, spec, prefix + "/k_clip");
    v = clip(v, spec, prefix + "/v_clip");
    if (!spec.qk_norm_after_rope) head_norms(spec, q, k);
    if (spec.rope_idx >= 0) rotate(spec, prefix + "/rotary", q, k);
    if (spec.qk_norm_after_rope) head_norms(spec, q, k);
    if (spec.has_alibi) widen_for_alibi(prefix, spec, q, k, v);
    const std::int64_t op_dim = spec.head_dim + (spec.has_alibi ? kAlibiChannels : 0);
    const bool slides = spec.mask == MaskKind::kSliding;
    out_.graph.has_sliding_layers |= slides;
    const std::string node = prefix + "/attention";
    ir::ValueId y = value_of(node);
    std::optional<ir::WeightId> sinks;
    if (!spec.sinks.is_empty())
      sinks =
          weight(fmt::format("layers.{}.self_attn.sinks", layer_idx), spec.sinks, WeightRole::kSinks, false);
    out_.graph.add_node(node, ir::Attention{q, k, v, y, spec.num_attention_heads, spec.num_key_value_heads,
                                            op_dim, static_cast<std::int64_t>(layer_idx),
                                            slides ? ir::MaskKind::kSliding : ir::MaskKind::kFull, sinks,
                                            spec.logit_softcap});
    if (spec.has_alibi)
      y = resize_heads(prefix + "/value_part", y, spec.num_attention_heads, op_dim, spec.head_dim);
    if (spec.latent)
      y = resize_heads(prefix + "/value_part", y, spec.num_attention_heads, spec.head_dim,
                       spec.latent->value_dim);
    if (spec.gate_proj) y = multiply(prefix + "/output_gate", y, sigmoid(linear(*spec.gate_proj, x)));
    return linear(spec.o_proj, optional_norm(spec.sub_norm, y));
  }

  ir::ValueId multiply(const std::string& node, ir::ValueId a, ir::ValueId b) {
    const ir::ValueId y = value_of(node);
    out_.graph.add_node(node, ir::Multiply{a, b, y});
    return y;
  }

  /// A unary op named behind what it reads: "/layers.0/mlp/gate/sigmoid".
  ir::ValueId unary(ir::ValueId x, ir::UnaryKind kind, std::string_view name) {
    const std::string& source = out_.graph.values[x].name;  // ".../output"
    const std::string node = fmt::format("{}/{}", source.substr(0, source.rfind('/')), name);
    const ir::ValueId y = value_of(node);
    out_.graph.add_node(node, ir::Unary{x, y, kind});
    return y;
  }
  ir::ValueId sigmoid(ir::ValueId x) { return unary(x, ir::UnaryKind::kSigmoid, "sigmoid"); }

  //  x -- in_proj -- short_conv -- out_proj
  ir::ValueId short_conv(std::size_t layer_idx, const ShortConvSpec& spec, ir::ValueId x) {
    const std::string node = fmt::format("/layers.{}/conv/short_conv", layer_idx);
    const ir::ValueId parts = linear(spec.in_proj, x);
    const ir::WeightId kernel =
        weight(fmt::format("layers.{}.conv.kernel", layer_idx), spec.kernel, WeightRole::kConvKernel, false);
    const ir::ValueId y = value_of(node);
    out_.graph.add_node(node, ir::ShortConv{parts, y, kernel, spec.out_proj.weight.cols(), spec.taps,
                                            static_cast<std::int64_t>(layer_idx)});
    return linear(spec.out_proj, y);
  }

  //  x -- qkv_proj ----------------------------.
  //  x -- a_proj -- softplus -- * decay -- gate -- rule -- norm of heads -- * silu(z) -- out_proj
  //  x -- b_proj -- sigmoid ------------- beta -'                             |
  //  x -- z_proj -------------------------------------------------------------'
  ir::ValueId gated_delta(std::size_t layer_idx, const GatedDeltaSpec& spec, ir::ValueId x) {
    const std::string prefix = fmt::format("/layers.{}/linear_attn", layer_idx);
    const std::string address = fmt::format("layers.{}.linear_attn", layer_idx);
    const ir::ValueId qkv = linear(spec.qkv_proj, x);
    const ir::ValueId step = unary(linear(spec.a_proj, x), ir::UnaryKind::kSoftplus, "softplus");
    const ir::ValueId gate = value_of(prefix + "/decay");
    const ir::WeightId decay = weight(address + ".decay", spec.decay, WeightRole::kLinearDecay, false);
    out_.graph.add_node(prefix + "/decay", ir::ChannelScale{step, gate, decay});
    const ir::ValueId beta = sigmoid(linear(spec.b_proj, x));
    const ir::WeightId kernel = weight(address + ".kernel", spec.kernel, WeightRole::kLinearKernel, false);
    ir::ValueId y = value_of(prefix + "/rule");
    out_.graph.add_node(prefix + "/rule", ir::GatedDelta{qkv, gate, beta, y, kernel, spec.num_key_heads,
                                                         spec.num_value_heads, spec.key_dim, spec.value_dim,
                                                         spec.taps, static_cast<std::int64_t>(layer_idx)});
    y = norm(spec.norm, y, spec.num_value_heads);
    const ir::ValueId z = linear(spec.z_proj, x);
    const ir::ValueId gated = value_of(prefix + "/output_gate");
    out_.graph.add_node(prefix + "/output_gate", ir::GatedUnit{z, y, gated, ir::UnaryKind::kSilu});
    return linear(spec.out_proj, gated);
  }

  ir::ValueId clip(ir::ValueId x, const AttentionSpec& spec, const std::string& node) {
    if (spec.clip_qkv == 0) return x;
    const ir::ValueId y = value_of(node);
    out_.graph.add_node(node, ir::Clamp{x, y, spec.clip_qkv});
    return y;
  }

  void rotate(const AttentionSpec& spec, const std::string& node, ir::ValueId& q, ir::ValueId& k) {
    const auto idx = static_cast<std::size_t>(spec.rope_idx);
    LLM2MNN_CHECK(idx < ropes_.size());
    const ir::ValueId q_out = out_.graph.add_value(node + "/q");
    const ir::ValueId k_out = out_.graph.add_value(node + "/k");
    out_.graph.add_node(
        node, ir::Rope{q, k, ropes_[idx].cos, ropes_[idx].sin, q_out, k_out, spec.num_attention_heads,
                       spec.num_key_value_heads, spec.head_dim, spec_.ropes[idx].rotary_dim});
    q = q_out;
    k = k_out;
  }

  void head_norms(const AttentionSpec& spec, ir::ValueId& q, ir::ValueId& k) {
    if (spec.q_norm) q = head_norm(*spec.q_norm, q, spec.num_attention_heads, spec);
    if (spec.k_norm) k = head_norm(*spec.k_norm, k, spec.num_key_value_heads, spec);
  }

  /// A q or k norm. Weights for each head become a norm without weights and a factor behind it.
  ir::ValueId head_norm(const NormSpec& spec, ir::ValueId x, std::int64_t heads,
                        const AttentionSpec& attention) {
    if (attention.qk_norm_kind != QkNormKind::kHeads)
      return norm(spec, x, attention.qk_norm_kind == QkNormKind::kAll ? 1 : heads);
    NormSpec unit = spec;
    unit.address += ".unit";
    unit.weight = Binding::constant(attention.head_dim, 1);
    const ir::ValueId normed = norm(unit, x, heads);
    const std::string node = node_name(spec.address);
    const ir::WeightId gamma = weight(spec.address + ".weight", spec.weight, spec.role, false);
    const ir::ValueId y = value_of(node);
    out_.graph.add_node(node, ir::ChannelScale{normed, y, gamma});
    return y;
  }

  //  x -- [q_a_proj -- q_a_norm] -- q_b_proj -- q
  ir::ValueId latent_query(const LatentSpec& latent, const LinearSpec& q_proj, ir::ValueId x) {
    if (latent.q_a_proj) x = norm(latent.q_a_norm.value(), linear(*latent.q_a_proj, x), 1);
    return linear(q_proj, x);
  }

  //  x -- k_rope_proj ------------------------ one for all heads --.
  //  x -- kv_a_proj -- kv_a_norm -- k_b_proj -- each head's own --- join -- k
  //                            '--- v_b_proj -- [zeros behind each head] -- v
  std::pair<ir::ValueId, ir::ValueId> latent_key_value(const std::string& prefix, const AttentionSpec& spec,
                                                       ir::ValueId x) {
    const LatentSpec& latent = *spec.latent;
    const ir::ValueId shared = linear(latent.k_rope_proj, x);
    const ir::ValueId normed = norm(latent.kv_a_norm, linear(latent.kv_a_proj, x), 1);
    const ir::ValueId own = linear(spec.k_proj, normed);
    const ir::ValueId k = value_of(prefix + "/key");
    out_.graph.add_node(prefix + "/key", ir::JoinHeads{shared, own, k, spec.num_key_value_heads,
                                                       latent.rope_dim, spec.head_dim - latent.rope_dim});
    // The runtime's attention wants v as wide as k.
    const ir::ValueId v = linear(spec.v_proj, normed);
    return {k, resize_heads(prefix + "/value", v, spec.num_key_value_heads, latent.value_dim, spec.head_dim)};
  }

  ir::ValueId resize_heads(const std::string& node, ir::ValueId x, std::int64_t heads, std::int64_t from,
                           std::int64_t to) {
    if (from == to) return x;
    const ir::ValueId y = value_of(node);
    out_.graph.add_node(node, ir::ResizeHeads{x, y, heads, from, to});
    return y;
  }

  ir::ValueId mlp(const std::string& prefix, const MlpSpec& spec, ir::ValueId x) {
    return linear(spec.down_proj, optional_norm(spec.sub_norm, activated(prefix, spec, x)));
  }

  /// "layers.3.mlp" of "layers.3.mlp.up_proj".
  static std::string mlp_address(const MlpSpec& spec) {
    return spec.up_proj.address.substr(0, spec.up_proj.address.rfind('.'));
  }

  ir::ValueId activated(const std::string& prefix, const MlpSpec& spec, ir::ValueId x) {
    const std::string node = prefix + "/act";
    if (spec.kind == MlpKind::kGlu) {
      LLM2MNN_CHECK(spec.gate_proj.has_value());
      const ir::ValueId gate = linear(*spec.gate_proj, x);
      const ir::ValueId up = linear(spec.up_proj, x);
      const ir::ValueId y = value_of(node);
      out_.graph.add_node(node, ir::GatedUnit{gate, up, y, unary_of(spec.activation), limits_of(spec)});
      return y;
    }
    const ir::ValueId up = linear(spec.up_proj, x);
    const ir::ValueId y = value_of(node);
    if (!spec.xielu) {
      out_.graph.add_node(node, ir::Unary{up, y, unary_of(spec.activation)});
      return y;
    }
    const auto number = [&](const char* name, const Binding& binding, WeightRole role) {
      return weight(fmt::format("{}.act.{}", mlp_address(spec), name), binding, role, false);
    };
    const ir::WeightId a = number("a", spec.xielu->alpha_p.softplus(), WeightRole::kXieluAlphaP);
    const ir::WeightId b = number("b", spec.xielu->beta, WeightRole::kXieluBeta);
    const ir::WeightId n = number("n", spec.xielu->alpha_n.softplus(), WeightRole::kXieluAlphaN);
    out_.graph.add_node(node, ir::Xielu{up, y, a, b, n});
    return y;
  }

  //        x -- router -- route == experts -- y            routed
  //        x -- shared_expert -- [* sigmoid(gate x)] -- + -- y   and shared
  ir::ValueId moe(std::size_t layer_idx, const MoeSpec& spec, ir::ValueId x) {
    const std::string prefix = fmt::format("/layers.{}/mlp", layer_idx);
    const ir::ValueId y = experts(layer_idx, prefix, spec, x);
    if (!spec.shared) return y;
    ir::ValueId shared = mlp(prefix + "/shared_expert", *spec.shared, x);
    if (spec.shared_gate) {
      const ir::ValueId gate = linear(*spec.shared_gate, x);
      const std::string node = prefix + "/shared_expert_gate/sigmoid";
      const ir::ValueId sigmoid = value_of(node);
      out_.graph.add_node(node, ir::Unary{gate, sigmoid, ir::UnaryKind::kSigmoid});
      const std::string product = prefix + "/shared_expert_gate/product";
      const ir::ValueId gated = value_of(product);
      out_.graph.add_node(product, ir::Multiply{shared, sigmoid, gated});
      shared = gated;
    }
    return add(prefix + "/shared_residual", y, shared);
  }

  ir::ValueId experts(std::size_t layer_idx, const std::string& prefix, const MoeSpec& spec, ir::ValueId x) {
    const RouterSpec& router = spec.router;
    LLM2MNN_CHECK(!spec.experts.empty());
    const auto num_experts = static_cast<std::int64_t>(spec.experts.size());
    ir::Route route{};
    route.x = linear(router.proj, x);
    route.weights = out_.graph.add_value(prefix + "/route/weights");
    route.indices = out_.graph.add_value(prefix + "/route/indices");
    route.kind = router_of(router.kind);
    route.num_experts = num_experts;
    route.top_k = router.experts_per_token;
    if (!router.selection_bias.is_empty())
      route.selection_bias = weight(fmt::format("layers.{}.mlp.selection_bias", layer_idx),
                                    router.selection_bias, WeightRole::kSelectionBias, false);
    route.num_groups = router.num_groups;
    route.top_groups = router.groups_per_token;
    route.group_top2 = router.group_score == GroupScore::kTop2;
    route.renormalise = router.renormalise;
    route.renormalise_eps = router.renormalise_eps;
    route.scale = router.scale;
    route.jitter = router.jitter;
    const std::string node = prefix + "/experts";
    const MlpSpec& first = spec.experts.front();
    ir::Experts experts{x,
                        route.weights,
                        route.indices,
                        ir::kNoValue,
                        unary_of(first.activation),
                        first.up_proj.weight.cols(),
                        first.up_proj.weight.rows(),
                        route.top_k,
                        static_cast<std::int64_t>(layer_idx),
                        {}};
    experts.limits = limits_of(first);
    out_.graph.add_node(prefix + "/route", route);
    for (const MlpSpec& expert : spec.experts) {
      LLM2MNN_CHECK(expert.kind == MlpKind::kGlu && expert.gate_proj &&
                    expert.activation == first.activation && expert.limits == first.limits);
      // One statement each: weights are numbered in this order.
      const ir::ExpertLinear gate = expert_linear(*expert.gate_proj);
      const ir::ExpertLinear up = expert_linear(expert.up_proj);
      experts.experts.push_back({gate, up, expert_linear(expert.down_proj)});
    }
    experts.y = value_of(node);
    const ir::ValueId y = experts.y;
    out_.graph.add_node(node, std::move(experts));
    return y;
  }

  ir::ExpertLinear expert_linear(const LinearSpec& spec) {
    ir::ExpertLinear part{weight(spec.address + ".weight", spec.weight, spec.role, true), {}};
    if (!spec.bias.is_empty()) part.bias = weight(spec.address + ".bias", spec.bias, spec.role, false);
    return part;
  }

  /// One block. Which norms are there is the residual kind's business (decoder_spec.h): an absent one is the
  /// identity, so the three kinds are one formula: h = x + n2 A(n1 x); y = h + n4 M(n3 h).
  /// In a parallel block M reads x: y = h + M(n3 x), or y = h + M(n1 x).
  ir::ValueId layer(std::size_t idx, ir::ValueId x) {
    const LayerSpec& spec = spec_.layers[idx];
    check_norms(idx, spec);
    const std::string prefix = fmt::format("/layers.{}", idx);
    const ir::ValueId normed = optional_norm(spec.input_norm, x);
    ir::ValueId a = spec.short_conv    ? short_conv(idx, *spec.short_conv, normed)
                    : spec.gated_delta ? gated_delta(idx, *spec.gated_delta, normed)
                                       : attention(idx, spec.attention, normed);
    a = optional_norm(spec.post_attention_norm, a);
    const ir::ValueId h = add(prefix + "/attention_residual", x, a);
    const bool shares_norm = spec.is_parallel && !spec.pre_mlp_norm.has_value();
    const ir::ValueId mlp_input = spec.is_parallel ? x : h;
    const ir::ValueId mlp_x = shares_norm ? normed : optional_norm(spec.pre_mlp_norm, mlp_input);
    ir::ValueId m = spec.moe ? moe(idx, *spec.moe, mlp_x) : mlp(prefix + "/mlp", spec.mlp, mlp_x);
    m = optional_norm(spec.post_mlp_norm, m);
    return add(prefix + "/mlp_residual", h, m);
  }

  static void check_norms(std::size_t idx, const LayerSpec& spec) {
    const bool before = spec.residual != ResidualKind::kPost;
    const bool after = spec.residual != ResidualKind::kPre;
    const bool may_share = spec.is_parallel && before && !after;
    if (spec.input_norm.has_value() != before || (spec.pre_mlp_norm.has_value() != before && !may_share) ||
        (spec.is_parallel && !may_share) || spec.post_attention_norm.has_value() != after ||
        spec.post_mlp_norm.has_value() != after)
      fail(ErrorKind::kInternal, "layer {}: its norms do not fit its kind of residual", idx);
  }

  ir::ValueId select_tokens(ir::ValueId x) {
    const std::string node = "/select_tokens";
    const ir::ValueId y = value_of(node);
    out_.graph.add_node(node, ir::SelectTokens{x, y});
    return y;
  }

  //  x -- lm_head -- [* logit_scale] -- [/ cap -- tanh -- * cap] -- logits
  ir::ValueId head(ir::ValueId x) {
    x = linear(spec_.lm_head, x);
    const double cap = spec_.logit_softcap;
    // One factor in front of the tanh; both are 1 in most models.
    const double factor = spec_.logit_scale / (cap != 0 ? cap : 1);
    if (factor != 1) x = scale("/logit_scale", x, factor);
    if (cap == 0) return x;
    const std::string node = "/logit_softcap/tanh";
    const ir::ValueId y = value_of(node);
    out_.graph.add_node(node, ir::Unary{x, y, ir::UnaryKind::kTanh});
    return scale("/logit_softcap", y, cap);
  }

  const DecoderSpec& spec_;
  Lowered out_;
  ir::ValueId alibi_high_ = ir::kNoValue, alibi_low_ = ir::kNoValue;
  std::vector<RopeValues> ropes_;  // parallel to spec_.ropes
};

}  // namespace

std::int64_t rope_table_positions(std::int64_t max_position_embeddings) {
  constexpr std::int64_t kLeast = 32768;
  constexpr std::int64_t kMost = std::int64_t{1} << 24;
  if (max_position_embeddings > kMost / 4) return kMost;
  return std::max(kLeast, 4 * max_position_embeddings);
}

Lowered lower(const DecoderSpec& spec) { return Lowering(spec).run(); }

}  // namespace llm2mnn
