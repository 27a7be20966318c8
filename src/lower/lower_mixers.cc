#include "lower/lower_mixers.h"

#include <fmt/format.h>

namespace llm2mnn {

//  x -- in_proj -- short_conv -- out_proj
ir::ValueId lower_short_conv(GraphParts& parts, std::size_t layer_idx, const ShortConvSpec& spec,
                             ir::ValueId x) {
  const std::string node = fmt::format("/layers.{}/conv/short_conv", layer_idx);
  const ir::ValueId projected = parts.linear(spec.in_proj, x);
  const ir::WeightId kernel = parts.weight(fmt::format("layers.{}.conv.kernel", layer_idx), spec.kernel,
                                           WeightRole::kConvKernel, false);
  const ir::ValueId y = parts.value_of(node);
  parts.graph().add_node(node, ir::ShortConv{projected, y, kernel, spec.out_proj.weight.cols(), spec.taps,
                                             static_cast<std::int64_t>(layer_idx)});
  return parts.linear(spec.out_proj, y);
}

//  x -- qkv_proj ----------------------------.
//  x -- a_proj -- softplus -- * decay -- gate -- rule -- norm of heads -- * silu(z) -- out_proj
//  x -- b_proj -- sigmoid ------------- beta -'                             |
//  x -- z_proj -------------------------------------------------------------'
ir::ValueId lower_gated_delta(GraphParts& parts, std::size_t layer_idx, const GatedDeltaSpec& spec,
                              ir::ValueId x) {
  const std::string prefix = fmt::format("/layers.{}/linear_attn", layer_idx);
  const std::string address = fmt::format("layers.{}.linear_attn", layer_idx);
  const ir::ValueId qkv = parts.linear(spec.qkv_proj, x);
  const ir::ValueId step = parts.unary(parts.linear(spec.a_proj, x), ir::UnaryKind::kSoftplus, "softplus");
  const ir::ValueId gate = parts.value_of(prefix + "/decay");
  const ir::WeightId decay = parts.weight(address + ".decay", spec.decay, WeightRole::kLinearDecay, false);
  parts.graph().add_node(prefix + "/decay", ir::ChannelScale{step, gate, decay});
  const ir::ValueId beta = parts.sigmoid(parts.linear(spec.b_proj, x));
  const ir::WeightId kernel =
      parts.weight(address + ".kernel", spec.kernel, WeightRole::kLinearKernel, false);
  ir::ValueId y = parts.value_of(prefix + "/rule");
  parts.graph().add_node(prefix + "/rule", ir::GatedDelta{qkv, gate, beta, y, kernel, spec.num_key_heads,
                                                          spec.num_value_heads, spec.key_dim, spec.value_dim,
                                                          spec.taps, static_cast<std::int64_t>(layer_idx)});
  y = parts.norm(spec.norm, y, spec.num_value_heads);
  const ir::ValueId z = parts.linear(spec.z_proj, x);
  const ir::ValueId gated = parts.value_of(prefix + "/output_gate");
  parts.graph().add_node(prefix + "/output_gate", ir::GatedUnit{z, y, gated, ir::UnaryKind::kSilu});
  return parts.linear(spec.out_proj, gated);
}

}  // namespace llm2mnn
