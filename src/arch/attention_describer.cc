#include "arch/attention_describer.h"

#include <cmath>

namespace llm2mnn {
namespace {

[[noreturn]] void fail_chunks_with(std::string_view other) {
  fail(ErrorKind::kUnsupported, "config.json: chunked attention together with {}", other);
}

}  // namespace

void AttentionDescriber::read_sizes(std::int64_t i) {
  num_heads_ = config_.size("num_attention_heads", i);
  num_kv_heads_ = config_.size("num_key_value_heads", i);
  head_dim_ = config_.size("head_dim", i);
  if (num_heads_ % num_kv_heads_ != 0)
    fail(ErrorKind::kFormat, "config.json: num_attention_heads {} is no multiple of num_key_value_heads {}",
         num_heads_, num_kv_heads_);
}

void AttentionDescriber::read_choices() {
  read_sizes(0);
  logit_softcap_ = config_.evaluate("attention.logit_softcap");
  if (logit_softcap_ < 0)
    fail(ErrorKind::kFormat, "config.json: 'attention.logit_softcap' comes to {}, it must not be negative",
         logit_softcap_);
  read_shared_layers();
  const std::string qk_norm = family_.setting("attention.qk_norm").word;
  has_qk_norm_ = qk_norm != "none" && parts_.is_on("attention.qk_norm_on");
  qk_norm_kind_ = qk_norm == "heads" ? QkNormKind::kHeads
                  : qk_norm == "all" ? QkNormKind::kAll
                                     : QkNormKind::kHead;
  norms_rotary_only_ = family_.setting("attention.qk_norm_layers").word == "rotary";
}

void AttentionDescriber::read_shared_layers() {
  const std::int64_t num_layers = config_.size("num_hidden_layers");
  const double shared = config_.evaluate("attention.kv_shared_layers");
  if (!(shared >= 0) || shared != std::floor(shared) || shared >= static_cast<double>(num_layers))
    fail(ErrorKind::kFormat,
         "config.json: {} of {} layers share keys and values; expected 0 or more, and fewer than all", shared,
         num_layers);
  first_shared_ = num_layers - static_cast<std::int64_t>(shared);
  if (shared == 0) return;
  for (const char* path : {"attention.alibi", "attention.qk_norm_after_rope"})
    if (parts_.is_on(path))
      fail(ErrorKind::kUnsupported, "config.json: attention.kv_shared_layers goes without {}", path);
  if (family_.setting("attention.kind").word == "latent")
    fail(ErrorKind::kUnsupported, "config.json: attention.kv_shared_layers goes with attention.kind = heads");
}

void AttentionDescriber::read_kv(AttentionSpec& attention, std::int64_t i) {
  const auto linear = [&](std::string_view role, std::string_view bias) {
    return parts_.linear(fmt::format("layers.{}.self_attn.{}", i, role), role, i, parts_.is_on(bias));
  };
  if (i >= first_shared_) {
    const auto source = kv_sources_.find(attention.mask);
    if (source == kv_sources_.end())
      fail(
          ErrorKind::kFormat,
          "config.json: layer {} shares keys and values, and no layer of its type before layer {} makes them",
          i, first_shared_);
    attention.kv_source = source->second;
    for (const char* role : {"k_proj", "k_proj_bias", "v_proj", "v_proj_bias", "k_norm", "k_norm_bias"})
      if (const std::optional<TensorId> id = claims_.find(role, i))
        claims_.ignore(*id, "layer shares keys and values");
    return;
  }
  kv_sources_[attention.mask] = static_cast<std::size_t>(i);
  attention.k_proj = linear("k_proj", "attention.k_bias");
  attention.v_proj = linear("v_proj", "attention.v_bias");
  if (parts_.is_on("attention.v_norm"))
    attention.v_norm = NormSpec{.address = fmt::format("layers.{}.self_attn.v_norm", i),
                                .role = WeightRole::kKNorm,
                                .eps = parts_.norm_eps(),
                                .weight = Binding::constant(head_dim_, 1),
                                .bias = {}};
}

AttentionSpec AttentionDescriber::describe(std::int64_t i, MaskKind mask, bool is_chunked) {
  const auto linear = [&](std::string_view role, std::string_view bias) {
    return parts_.linear(fmt::format("layers.{}.self_attn.{}", i, role), role, i, parts_.is_on(bias));
  };
  read_sizes(i);
  AttentionSpec attention;
  attention.num_attention_heads = num_heads_;
  attention.num_key_value_heads = num_kv_heads_;
  attention.head_dim = head_dim_;
  attention.mask = mask;
  if (parts_.is_on("attention.output_gate"))
    attention.gate_proj = parts_.linear(fmt::format("layers.{}.self_attn.o_gate_proj", i), "o_gate_proj", i,
                                        parts_.is_on("attention.q_bias"));
  if (family_.setting("attention.kind").word == "latent") {
    if (is_chunked) fail_chunks_with("attention.kind = latent");
    return describe_latent(std::move(attention), i);
  }
  attention.q_proj = linear("q_proj", "attention.q_bias");
  if (is_chunked && first_shared_ < config_.size("num_hidden_layers"))
    fail_chunks_with("attention.kv_shared_layers");
  read_kv(attention, i);
  attention.o_proj = linear("o_proj", "attention.o_bias");
  attention.qk_norm_kind = qk_norm_kind_;
  attention.qk_norm_after_rope = parts_.is_on("attention.qk_norm_after_rope");
  attention.clip_qkv = config_.evaluate("attention.clip_qkv");
  attention.logit_softcap = logit_softcap_;
  if (parts_.is_on("attention.sub_norm"))
    attention.sub_norm = parts_.norm(fmt::format("layers.{}.self_attn.sub_norm", i), "attention_sub_norm", i);
  if (has_qk_norm_ && (!norms_rotary_only_ || ropes_.use(mask, i).idx >= 0)) {
    attention.q_norm = parts_.norm(fmt::format("layers.{}.self_attn.q_norm", i), "q_norm", i);
    if (!attention.kv_source)
      attention.k_norm = parts_.norm(fmt::format("layers.{}.self_attn.k_norm", i), "k_norm", i);
  }
  if (parts_.is_on("attention.sinks")) attention.sinks = claims_.claim("sinks", i);
  claims_.fail_if_missing(i);
  scale_queries(attention, i);
  const RopeUse rope = ropes_.use(attention.mask, i);
  attention.rope_idx = rope.idx;
  check_kv_rotation(attention, i);
  if (rope.idx >= 0 && rope.is_pair) pair_to_half(attention, rope.rotary_dim);
  if (parts_.is_on("attention.alibi")) add_alibi(attention);
  add_chunks(attention, is_chunked);
  if (rope.idx < 0) add_temperature(attention);
  return attention;
}

std::int64_t AttentionDescriber::whole_number(std::string_view path) {
  const double value = config_.evaluate(path);
  if (!(value >= 1) || value > 0x1p31 || value != std::floor(value))
    fail(ErrorKind::kFormat, "config.json: '{}' comes to {}, it must be a positive whole number", path,
         value);
  return static_cast<std::int64_t>(value);
}

void AttentionDescriber::add_chunks(AttentionSpec& attention, bool is_chunked) {
  if (!is_chunked) return;
  if (attention.has_alibi || !attention.rounded_slopes.empty()) fail_chunks_with("attention.alibi");
  // The mask is a term of the scores, which a cap would flatten.
  if (attention.logit_softcap != 0) fail_chunks_with("attention.logit_softcap");
  attention.chunk_size = whole_number("attention.chunk_size");
}

void AttentionDescriber::add_temperature(AttentionSpec& attention) {
  const double scale = config_.evaluate("attention.temperature_scale");
  if (scale == 0) return;
  attention.temperature = TemperatureSpec{scale, whole_number("attention.temperature_interval")};
}

void AttentionDescriber::check_kv_rotation(const AttentionSpec& attention, std::int64_t i) {
  rope_idx_.resize(static_cast<std::size_t>(i) + 1, -1);
  rope_idx_.back() = attention.rope_idx;
  if (!attention.kv_source) return;
  const auto source = static_cast<std::int64_t>(*attention.kv_source);
  if (rope_idx_.at(*attention.kv_source) != attention.rope_idx ||
      config_.size("num_key_value_heads", source) != num_kv_heads_ ||
      config_.size("head_dim", source) != head_dim_)
    fail(ErrorKind::kUnsupported,
         "config.json: layer {} reads the keys of layer {}, which have other heads or are rotated in another "
         "way",
         i, source);
}

// A norm behind q_proj would undo a factor in its rows, so the norm's gamma takes it then; and so does that
// of a norm in front of it, which no package rounds.
void AttentionDescriber::scale_queries(AttentionSpec& attention, std::int64_t i) {
  const double factor = query_factor(attention, i);
  const bool is_scaled = std::abs(factor - 1) >= 1e-12;
  // A factor in the rows of q would come before the limit.
  if (attention.clip_qkv < 0 || (attention.clip_qkv != 0 && is_scaled))
    fail(ErrorKind::kUnsupported,
         "config.json: 'attention.clip_qkv' comes to {}; it must not be negative, and is supported with "
         "scores scaled by head_dim ^ -0.5 only",
         attention.clip_qkv);
  if (!is_scaled) return;
  const auto scale = [&](Binding& binding) {
    if (!binding.is_empty()) binding = binding.scale(static_cast<float>(factor));
  };
  if (attention.q_norm.has_value()) {
    scale(attention.q_norm->weight);
    scale(attention.q_norm->bias);
    return;
  }
  if (attention.latent.has_value() && attention.latent->q_a_norm.has_value()) {
    scale(attention.latent->q_a_norm->weight);
    return;
  }
  scale(attention.q_proj.weight);
  scale(attention.q_proj.bias);
}

// Scores are scaled by Dh^-0.5 downstream; what differs from that goes into q.
double AttentionDescriber::query_factor(const AttentionSpec& attention, std::int64_t i) {
  const Setting setting = family_.setting("attention.scale");
  const double scale = parts_.positive("attention.scale", config_.layer_value(setting, i));
  return scale * std::sqrt(static_cast<double>(attention.head_dim));
}

// Channel 2j of a head moves to j and 2j+1 to r/2 + j. Scores do not change, since q and k move alike.
void AttentionDescriber::pair_to_half(AttentionSpec& attention, std::int64_t rotary_dim) const {
  const auto permute = [&](Binding& binding, std::int64_t num_heads) {
    if (binding.is_empty()) return;
    std::vector<RowRun> runs;
    for (std::int64_t head = 0; head < num_heads; ++head) {
      const std::int64_t begin = head * head_dim_;
      runs.push_back({begin, rotary_dim / 2, 2});
      runs.push_back({begin + 1, rotary_dim / 2, 2});
      if (rotary_dim < head_dim_) runs.push_back({begin + rotary_dim, head_dim_ - rotary_dim, 1});
    }
    binding = binding.gather_rows(std::move(runs));
  };
  permute(attention.q_proj.weight, num_heads_);
  permute(attention.q_proj.bias, num_heads_);
  permute(attention.k_proj.weight, num_kv_heads_);
  permute(attention.k_proj.bias, num_kv_heads_);
  for (std::optional<NormSpec>* norm : {&attention.q_norm, &attention.k_norm}) {
    if (!norm->has_value()) continue;
    const std::int64_t num_heads = (*norm)->weight.rows() / head_dim_;
    permute((*norm)->weight, num_heads);
    permute((*norm)->bias, num_heads);
  }
}

}  // namespace llm2mnn
