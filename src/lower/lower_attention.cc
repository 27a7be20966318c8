#include "lower/lower_attention.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "base/error.h"

namespace llm2mnn {

void AttentionLowering::add_tables() {
  const auto first_with = [&](auto&& has) {
    return std::find_if(spec_.layers.begin(), spec_.layers.end(),
                        [&](const LayerSpec& layer) { return has(layer.attention); });
  };
  if (first_with([](const AttentionSpec& spec) { return spec.has_alibi; }) != spec_.layers.end())
    add_alibi_positions();
  const auto rounded = first_with([](const AttentionSpec& spec) { return !spec.rounded_slopes.empty(); });
  if (rounded != spec_.layers.end()) add_alibi_products(rounded->attention);
  add_chunk_codes();
  add_temperatures();
  for (std::size_t i = 0; i < spec_.ropes.size(); ++i)
    ropes_.push_back(rope_table(i));
}

/// [T, Hq*(Dh+1)]: in front of the zeros of each head its slope times the position, as bfloat16 does it.
void AttentionLowering::add_alibi_products(const AttentionSpec& spec) {
  const std::int64_t positions = rope_table_positions(spec_.max_position_embeddings);
  const ir::ValueId own =
      parts_.positions_of("alibi_products", rounded_alibi(spec.rounded_slopes, positions));
  alibi_products_ =
      parts_.resize_heads("/alibi_channels", own, spec.num_attention_heads, 1, spec.head_dim + 1);
}

/// [T, 1] each: the position over kAlibiSplit, and the remainder.
void AttentionLowering::add_alibi_positions() {
  const std::int64_t positions = rope_table_positions(spec_.max_position_embeddings);
  std::vector<Binding> high, low;
  for (std::int64_t begin = 0; begin < positions; begin += kAlibiSplit)
    high.push_back(
        Binding::constant(std::min(kAlibiSplit, positions - begin), static_cast<float>(begin / kAlibiSplit)));
  for (std::int64_t i = 0; i < kAlibiSplit; ++i)
    low.push_back(Binding::constant(1, static_cast<float>(i)));
  std::vector<RowRun> repeats;
  for (std::int64_t begin = 0; begin < positions; begin += kAlibiSplit)
    repeats.push_back({0, std::min(kAlibiSplit, positions - begin), 1});
  alibi_high_ = parts_.positions_of("alibi_high", Binding::concat_rows(std::move(high)));
  alibi_low_ =
      parts_.positions_of("alibi_low", Binding::concat_rows(std::move(low)).gather_rows(std::move(repeats)));
}

/// The op divides by the root of the wider head.
ir::ValueId AttentionLowering::widened_query(const std::string& prefix, const AttentionSpec& spec,
                                             ir::ValueId q, std::int64_t channels) {
  return parts_.scale(
      prefix + "/query_scale", q,
      std::sqrt(static_cast<double>(spec.head_dim + channels) / static_cast<double>(spec.head_dim)));
}

//  q -- [+ slopes] -- * ((Dh + 2) / Dh)^0.5 -- q'       low -- join -- join -- k'
//  v -- zeros behind each head -- v'                    k ------'       '-- high
// The slopes are the bias of a norm whose weights are 0: there is no op that adds a constant.
void AttentionLowering::widen_for_alibi(const std::string& prefix, const AttentionSpec& spec, ir::ValueId& q,
                                        ir::ValueId& k, ir::ValueId& v) {
  const std::int64_t dim = spec.head_dim, heads = spec.num_key_value_heads;
  if (!spec.alibi_query.is_empty()) {
    std::string address = prefix.substr(1) + "/query_slopes";
    std::replace(address.begin(), address.end(), '/', '.');
    const NormSpec constant{address,
                            WeightRole::kQNorm,
                            NormKind::kLayer,
                            1,
                            Binding::constant(spec.alibi_query.rows(), 0),
                            spec.alibi_query};
    q = parts_.add(prefix + "/query", q, parts_.norm(constant, q, 1));
  }
  q = widened_query(prefix, spec, q, kAlibiChannels);
  const auto join = [&](std::string_view name, ir::ValueId shared, ir::ValueId own, std::int64_t size) {
    const std::string node = fmt::format("{}/{}", prefix, name);
    const ir::ValueId y = parts_.value_of(node);
    parts_.graph().add_node(node, ir::JoinHeads{shared, own, y, heads, 1, size});
    return y;
  };
  k = join("key_low", alibi_low_, k, dim);
  k = join("key", alibi_high_, k, dim + 1);
  v = parts_.resize_heads(prefix + "/value", v, heads, dim, dim + kAlibiChannels);
}

//  q -- * ((Dh + 1) / Dh)^0.5 -- q'       k -- + products -- k'       v -- zeros behind each head -- v'
void AttentionLowering::widen_for_alibi_products(const std::string& prefix, const AttentionSpec& spec,
                                                 ir::ValueId& q, ir::ValueId& k, ir::ValueId& v) {
  q = widened_query(prefix, spec, q, 1);
  k = parts_.add(prefix + "/key", k, alibi_products_);
  v = parts_.resize_heads(prefix + "/value", v, spec.num_key_value_heads, spec.head_dim, spec.head_dim + 1);
}

bool AttentionLowering::is_rope_used(std::size_t idx) const {
  return std::any_of(spec_.layers.begin(), spec_.layers.end(), [idx](const LayerSpec& layer) {
    return !layer.short_conv && !layer.gated_delta && layer.attention.rope_idx >= 0 &&
           static_cast<std::size_t>(layer.attention.rope_idx) == idx;
  });
}

/// The tables of rope `idx`; two ropes with the same numbers share one table, an unused one has none.
AttentionLowering::RopeValues AttentionLowering::rope_table(std::size_t idx) {
  if (!is_rope_used(idx)) return {ir::kNoValue, ir::kNoValue};
  const RopeSpec& rope = spec_.ropes[idx];
  for (std::size_t i = 0; i < idx; ++i)
    if (ropes_[i].cos != ir::kNoValue && spec_.ropes[i].inv_freq == rope.inv_freq &&
        spec_.ropes[i].attention_factor == rope.attention_factor)
      return ropes_[i];
  const std::string node = fmt::format("/rotary.{}", idx);
  const RopeValues values{parts_.graph().add_value(node + "/cos"), parts_.graph().add_value(node + "/sin")};
  parts_.graph().add_node(node, ir::RopeTable{values.cos, values.sin, rope.inv_freq, rope.attention_factor,
                                              rope_table_positions(spec_.max_position_embeddings)});
  return values;
}

// A layer that shares keys and values rotates the keys of their maker once more: the same numbers, into a
// cache of its own.
AttentionLowering::KeyValue AttentionLowering::key_value(const std::string& prefix, const AttentionSpec& spec,
                                                         ir::ValueId x) {
  if (spec.kv_source) return kv_.at(*spec.kv_source);
  if (spec.latent) {
    const auto [k, v] = latent_key_value(prefix, spec, x);
    return {k, v};
  }
  const ir::ValueId k = parts_.linear(spec.k_proj, x);
  return {k, parts_.linear(spec.v_proj, x)};
}

//        x -- q_proj -- [clip] -- [q_norm] --.
//        x -- k_proj -- [clip] -- [k_norm] -- [rope] -- attention -- o_proj
//        x -- v_proj -- [clip] ------------------------'
// The norms may stand behind the rotation.
ir::ValueId AttentionLowering::attention(std::size_t layer_idx, const AttentionSpec& spec, ir::ValueId x) {
  const std::string prefix = fmt::format("/layers.{}/self_attn", layer_idx);
  ir::ValueId q = spec.latent ? latent_query(*spec.latent, spec.q_proj, x) : parts_.linear(spec.q_proj, x);
  auto [k, v] = key_value(prefix, spec, x);
  q = clip(q, spec, prefix + "/q_clip");
  if (!spec.kv_source) {
    k = clip(k, spec, prefix + "/k_clip");
    v = clip(v, spec, prefix + "/v_clip");
  }
  if (!spec.qk_norm_after_rope) head_norms(spec, q, k);
  if (spec.v_norm) v = parts_.norm(*spec.v_norm, v, spec.num_key_value_heads);
  kv_.resize(layer_idx + 1);
  kv_.back() = {k, v};
  if (spec.rope_idx >= 0) rotate(spec, prefix + "/rotary", q, k);
  if (spec.qk_norm_after_rope) head_norms(spec, q, k);
  if (spec.temperature) q = parts_.multiply(prefix + "/temperature", q, temperature_);
  if (spec.has_alibi) widen_for_alibi(prefix, spec, q, k, v);
  if (!spec.rounded_slopes.empty()) widen_for_alibi_products(prefix, spec, q, k, v);
  if (spec.chunk_size > 0 && chunks_.channels > 0) widen_for_chunks(prefix, spec, q, k, v);
  const std::int64_t op_dim = spec.head_dim + extra_channels(spec);
  const bool slides = spec.mask == MaskKind::kSliding;
  parts_.graph().has_sliding_layers |= slides;
  const std::string node = prefix + "/attention";
  ir::ValueId y = parts_.value_of(node);
  std::optional<ir::WeightId> sinks;
  if (!spec.sinks.is_empty())
    sinks = parts_.weight(fmt::format("layers.{}.self_attn.sinks", layer_idx), spec.sinks, WeightRole::kSinks,
                          false);
  parts_.graph().add_node(
      node, ir::Attention{q, k, v, y, spec.num_attention_heads, spec.num_key_value_heads, op_dim,
                          static_cast<std::int64_t>(layer_idx),
                          slides ? ir::MaskKind::kSliding : ir::MaskKind::kFull, sinks, spec.logit_softcap});
  y = parts_.resize_heads(prefix + "/value_part", y, spec.num_attention_heads, op_dim, spec.head_dim);
  if (spec.latent)
    y = parts_.resize_heads(prefix + "/value_part", y, spec.num_attention_heads, spec.head_dim,
                            spec.latent->value_dim);
  if (spec.gate_proj)
    y = parts_.multiply(prefix + "/output_gate", y, parts_.sigmoid(parts_.linear(*spec.gate_proj, x)));
  return parts_.linear(spec.o_proj, parts_.optional_norm(spec.sub_norm, y));
}

ir::ValueId AttentionLowering::clip(ir::ValueId x, const AttentionSpec& spec, const std::string& node) {
  if (spec.clip_qkv == 0) return x;
  const ir::ValueId y = parts_.value_of(node);
  parts_.graph().add_node(node, ir::Clamp{x, y, spec.clip_qkv});
  return y;
}

void AttentionLowering::rotate(const AttentionSpec& spec, const std::string& node, ir::ValueId& q,
                               ir::ValueId& k) {
  const auto idx = static_cast<std::size_t>(spec.rope_idx);
  LLM2MNN_CHECK(idx < ropes_.size());
  const ir::ValueId q_out = parts_.graph().add_value(node + "/q");
  const ir::ValueId k_out = parts_.graph().add_value(node + "/k");
  parts_.graph().add_node(
      node, ir::Rope{q, k, ropes_[idx].cos, ropes_[idx].sin, q_out, k_out, spec.num_attention_heads,
                     spec.num_key_value_heads, spec.head_dim, spec_.ropes[idx].rotary_dim});
  q = q_out;
  k = k_out;
}

void AttentionLowering::head_norms(const AttentionSpec& spec, ir::ValueId& q, ir::ValueId& k) {
  if (spec.q_norm) q = head_norm(*spec.q_norm, q, spec.num_attention_heads, spec);
  if (spec.k_norm) k = head_norm(*spec.k_norm, k, spec.num_key_value_heads, spec);
}

/// A q or k norm. Weights for each head become a norm without weights and a factor behind it.
ir::ValueId AttentionLowering::head_norm(const NormSpec& spec, ir::ValueId x, std::int64_t heads,
                                         const AttentionSpec& attention) {
  if (attention.qk_norm_kind != QkNormKind::kHeads)
    return parts_.norm(spec, x, attention.qk_norm_kind == QkNormKind::kAll ? 1 : heads);
  NormSpec unit = spec;
  unit.address += ".unit";
  unit.weight = Binding::constant(attention.head_dim, 1);
  const ir::ValueId normed = parts_.norm(unit, x, heads);
  const std::string node = node_name(spec.address);
  const ir::WeightId gamma = parts_.weight(spec.address + ".weight", spec.weight, spec.role, false);
  const ir::ValueId y = parts_.value_of(node);
  parts_.graph().add_node(node, ir::ChannelScale{normed, y, gamma});
  return y;
}

//  x -- [q_a_proj -- q_a_norm] -- q_b_proj -- q
ir::ValueId AttentionLowering::latent_query(const LatentSpec& latent, const LinearSpec& q_proj,
                                            ir::ValueId x) {
  if (latent.q_a_proj) x = parts_.norm(latent.q_a_norm.value(), parts_.linear(*latent.q_a_proj, x), 1);
  return parts_.linear(q_proj, x);
}

//  x -- k_rope_proj ------------------------ one for all heads --.
//  x -- kv_a_proj -- kv_a_norm -- k_b_proj -- each head's own --- join -- k
//                            '--- v_b_proj -- [zeros behind each head] -- v
std::pair<ir::ValueId, ir::ValueId> AttentionLowering::latent_key_value(const std::string& prefix,
                                                                        const AttentionSpec& spec,
                                                                        ir::ValueId x) {
  const LatentSpec& latent = *spec.latent;
  const ir::ValueId shared = parts_.linear(latent.k_rope_proj, x);
  const ir::ValueId normed = parts_.norm(latent.kv_a_norm, parts_.linear(latent.kv_a_proj, x), 1);
  const ir::ValueId own = parts_.linear(spec.k_proj, normed);
  const ir::ValueId k = parts_.value_of(prefix + "/key");
  parts_.graph().add_node(prefix + "/key", ir::JoinHeads{shared, own, k, spec.num_key_value_heads,
                                                         latent.rope_dim, spec.head_dim - latent.rope_dim});
  // The runtime's attention wants v as wide as k.
  const ir::ValueId v = parts_.linear(spec.v_proj, normed);
  return {k, parts_.resize_heads(prefix + "/value", v, spec.num_key_value_heads, latent.value_dim,
                                 spec.head_dim)};
}

}  // namespace llm2mnn
