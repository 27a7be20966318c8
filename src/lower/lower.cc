#include "lower/lower.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <utility>

#include "base/error.h"
#include "lower/lower_attention.h"
#include "lower/lower_mixers.h"
#include "lower/lower_mlp.h"
#include "lower/lower_residual.h"

namespace llm2mnn {
namespace {

class Lowering {
 public:
  explicit Lowering(const DecoderSpec& spec)
      : spec_(spec), parts_(out_), attention_(spec, parts_), beside_(spec, parts_) {}

  Lowered run() {
    ir::Graph& graph = parts_.graph();
    graph.hidden_size = spec_.lm_head.weight.cols();
    graph.vocab_size = spec_.lm_head.weight.rows();
    graph.input = graph.add_value("/embed_tokens/output");
    ir::ValueId x = graph.input;
    if (spec_.embed_scale != 1) x = parts_.scale("/embed_scale", x, spec_.embed_scale);
    if (spec_.embed_in_proj) x = parts_.linear(*spec_.embed_in_proj, x);
    if (!spec_.position_embedding.is_empty())
      x = parts_.add("/position_sum", x, parts_.positions_of("embed_positions", spec_.position_embedding));
    if (spec_.embed_norm) x = parts_.norm(*spec_.embed_norm, x, 1);
    attention_.add_tables();
    x = beside_.begin(x);
    for (std::size_t i = 0; i < spec_.layers.size(); ++i)
      x = beside_.layer_output(i, layer(i, beside_.block_input(i, x)));
    x = beside_.end(select_tokens(x));
    x = parts_.optional_norm(spec_.norm, x);
    if (spec_.embed_out_proj) x = parts_.linear(*spec_.embed_out_proj, x);
    graph.hidden_states = x;
    graph.logits = head(x);
    verify(graph);
    LLM2MNN_CHECK(graph.weights.size() == out_.weights.size());
    return std::move(out_);
  }

 private:
  /// One block. Which norms are there is the residual kind's business (decoder_spec.h): an absent one is the
  /// identity, so the first three kinds are one formula: h = x + n2 A(n1 x); y = h + n4 M(n3 h).
  /// In a parallel block M reads x: y = h + M(n3 x), or y = h + M(n1 x).
  ir::ValueId layer(std::size_t idx, ir::ValueId x) {
    const LayerSpec& spec = spec_.layers[idx];
    check_norms(idx, spec);
    const std::string prefix = fmt::format("/layers.{}", idx);
    const bool norms_sums = spec.residual == ResidualKind::kSums;
    const ir::ValueId normed = norms_sums ? x : parts_.optional_norm(spec.input_norm, x);
    ir::ValueId a = spec.short_conv    ? lower_short_conv(parts_, idx, *spec.short_conv, normed)
                    : spec.gated_delta ? lower_gated_delta(parts_, idx, *spec.gated_delta, normed)
                                       : attention_.attention(idx, spec.attention, normed);
    a = parts_.optional_norm(spec.post_attention_norm, a);
    ir::ValueId h = parts_.add(prefix + "/attention_residual", x, a);
    if (norms_sums) h = parts_.optional_norm(spec.input_norm, h);
    if (spec.laurel) {
      const ir::ValueId sum =
          parts_.add(prefix + "/laurel_residual", h, lower_laurel(parts_, prefix, *spec.laurel, normed));
      h = parts_.scale(prefix + "/laurel_scale", sum, std::sqrt(0.5));
    }
    const bool shares_norm = spec.is_parallel && !spec.pre_mlp_norm.has_value();
    const ir::ValueId mlp_input = spec.is_parallel ? x : h;
    const bool has_norm = !shares_norm && !norms_sums;
    const ir::ValueId mlp_x = has_norm      ? parts_.optional_norm(spec.pre_mlp_norm, mlp_input)
                              : shares_norm ? normed
                                            : h;
    ir::ValueId m = spec.moe ? lower_moe(parts_, idx, *spec.moe, mlp_x)
                             : lower_mlp(parts_, prefix + "/mlp", spec.mlp, mlp_x);
    m = parts_.optional_norm(spec.post_mlp_norm, m);
    const ir::ValueId y = parts_.add(prefix + "/mlp_residual", h, m);
    return norms_sums ? parts_.optional_norm(spec.pre_mlp_norm, y) : y;
  }

  static void check_norms(std::size_t idx, const LayerSpec& spec) {
    const bool before = spec.residual != ResidualKind::kPost;
    const bool after = spec.residual == ResidualKind::kSandwich || spec.residual == ResidualKind::kPost;
    const bool may_share = spec.is_parallel && spec.residual == ResidualKind::kPre;
    if (spec.input_norm.has_value() != before || (spec.pre_mlp_norm.has_value() != before && !may_share) ||
        (spec.is_parallel && !may_share) || spec.post_attention_norm.has_value() != after ||
        spec.post_mlp_norm.has_value() != after)
      fail(ErrorKind::kInternal, "layer {}: its norms do not fit its kind of residual", idx);
  }

  ir::ValueId select_tokens(ir::ValueId x) {
    const std::string node = "/select_tokens";
    const ir::ValueId y = parts_.value_of(node);
    parts_.graph().add_node(node, ir::SelectTokens{x, y});
    return y;
  }

  //  x -- lm_head -- [* logit_scale] -- [/ cap -- tanh -- * cap] -- logits
  ir::ValueId head(ir::ValueId x) {
    x = parts_.linear(spec_.lm_head, x);
    const double cap = spec_.logit_softcap;
    // One factor in front of the tanh; both are 1 in most models.
    const double factor = spec_.logit_scale / (cap != 0 ? cap : 1);
    if (factor != 1) x = parts_.scale("/logit_scale", x, factor);
    if (cap == 0) return x;
    const std::string node = "/logit_softcap/tanh";
    const ir::ValueId y = parts_.value_of(node);
    parts_.graph().add_node(node, ir::Unary{x, y, ir::UnaryKind::kTanh});
    return parts_.scale("/logit_softcap", y, cap);
  }

  const DecoderSpec& spec_;
  Lowered out_;
  GraphParts parts_;
  AttentionLowering attention_;
  ResidualLowering beside_;
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
