#include "arch/attention_describer.h"

namespace llm2mnn {
namespace {

// Rows of heads of `rest` channels and `rotary_dim` behind them: the rotary ones to the front, as halves.
void reorder_rotary(Binding& binding, std::int64_t num_heads, std::int64_t rest, std::int64_t rotary_dim,
                    bool is_pair) {
  if (binding.is_empty() || (rest == 0 && !is_pair)) return;
  std::vector<RowRun> runs;
  for (std::int64_t head = 0; head < num_heads; ++head) {
    const std::int64_t begin = head * (rest + rotary_dim);
    if (is_pair) {
      runs.push_back({begin + rest, rotary_dim / 2, 2});
      runs.push_back({begin + rest + 1, rotary_dim / 2, 2});
    } else {
      runs.push_back({begin + rest, rotary_dim, 1});
    }
    if (rest > 0) runs.push_back({begin, rest, 1});
  }
  binding = binding.gather_rows(std::move(runs));
}

}  // namespace

// Latent attention. In the checkpoint the rotary channels are the last ones of a head; the runtime's op
// wants them in front.
AttentionSpec AttentionDescriber::describe_latent(AttentionSpec attention, std::int64_t i) {
  const auto address = [i](std::string_view role) { return fmt::format("layers.{}.self_attn.{}", i, role); };
  const auto linear = [&](std::string_view role, std::string_view name, std::string_view bias) {
    return parts_.linear(address(name), role, i, !bias.empty() && parts_.is_on(bias));
  };
  const auto norm = [&](std::string_view role) {
    NormSpec spec = parts_.norm(address(role), role, i);
    spec.kind = NormKind::kRms;
    spec.eps = parts_.positive("attention.latent_norm_eps");
    return spec;
  };
  LatentSpec latent;
  latent.rope_dim = config_.size("qk_rope_head_dim", i);
  latent.value_dim = config_.size("v_head_dim", i);
  const std::int64_t rest = config_.size("qk_nope_head_dim", i);
  check_latent_sizes(latent, rest);
  if (config_.number("q_lora_rank", i) != 0) {
    latent.q_a_proj = linear("q_a_proj", "q_a_proj", "attention.latent_bias");
    latent.q_a_norm = norm("q_a_norm");
    attention.q_proj = linear("q_b_proj", "q_b_proj", "");
  } else {
    attention.q_proj = linear("q_proj", "q_proj", "attention.q_bias");
  }
  latent.kv_a_proj = linear("kv_a_proj", "kv_a_proj", "attention.latent_bias");
  latent.k_rope_proj = linear("k_rope_proj", "k_rope_proj", "attention.latent_bias");
  latent.kv_a_norm = norm("kv_a_norm");
  attention.k_proj = linear("k_b_proj", "k_b_proj", "");
  attention.v_proj = linear("v_b_proj", "v_b_proj", "");
  attention.o_proj = linear("o_proj", "o_proj", "attention.o_bias");
  claims_.fail_if_missing(i);
  const RopeUse rope = ropes_.use(attention.mask, i);
  attention.rope_idx = rope.idx;
  const bool is_pair = rope.idx >= 0 && rope.is_pair;
  for (Binding* binding : {&attention.q_proj.weight, &attention.q_proj.bias})
    reorder_rotary(*binding, num_heads_, rest, latent.rope_dim, is_pair);
  for (Binding* binding : {&latent.k_rope_proj.weight, &latent.k_rope_proj.bias})
    reorder_rotary(*binding, 1, 0, latent.rope_dim, is_pair);
  attention.latent = std::move(latent);
  scale_queries(attention, i);
  return attention;
}

void AttentionDescriber::check_latent_sizes(const LatentSpec& latent, std::int64_t rest) {
  if (num_kv_heads_ != num_heads_ || latent.rope_dim + rest != head_dim_)
    fail(ErrorKind::kFormat,
         "config.json: latent attention has {} heads of {} + {} channels, not {} key heads and {} channels",
         num_heads_, rest, latent.rope_dim, num_kv_heads_, head_dim_);
  if (latent.value_dim > head_dim_)
    fail(ErrorKind::kUnsupported,
         "config.json: a head of v has {} channels and one of k {}; the runtime's attention needs at most "
         "as many",
         latent.value_dim, head_dim_);
  if (has_qk_norm_)
    fail(ErrorKind::kUnsupported, "config.json: attention.kind = latent goes with attention.qk_norm = none");
  for (const char* path : {"attention.alibi", "attention.clip_qkv", "attention.logit_softcap",
                           "attention.sinks", "attention.sub_norm"})
    if (parts_.is_on(path))
      fail(ErrorKind::kUnsupported, "config.json: attention.kind = latent goes without {}", path);
}

}  // namespace llm2mnn
