// Slopes of ALiBi (AttentionSpec::has_alibi and rounded_slopes).
#include <cmath>

#include "arch/attention_describer.h"
#include "kernels/convert.h"

namespace llm2mnn {

// The slopes of `count` heads: powers of 2 ^ -(bias_max / n), n the power of two from `count` on; the even
// powers first when there are fewer heads than powers. arXiv:2108.12409, and its code for other counts.
std::vector<double> AttentionDescriber::alibi_slopes(std::int64_t count) {
  const double bias_max = parts_.positive("attention.alibi_bias_max");
  std::int64_t powers = 1;
  while (powers < count)
    powers *= 2;
  std::vector<double> slopes;
  const auto add = [&](std::int64_t first, std::int64_t step) {
    for (std::int64_t m = first; m <= powers && std::ssize(slopes) < count; m += step)
      slopes.push_back(std::exp2(-bias_max * static_cast<double>(m) / static_cast<double>(powers)));
  };
  if (powers == count) {
    add(1, 1);
  } else {
    add(2, 2);
    add(1, 2);
  }
  return slopes;
}

namespace {

// Rows of zeros in front of the rows of each head.
Binding with_zero_rows(const Binding& matrix, std::int64_t heads, std::int64_t head_dim, std::int64_t count) {
  const Binding zeros =
      matrix.gather_rows({{0, 1, 1}})
          .scale(0)
          .gather_rows(std::vector<RowRun>(static_cast<std::size_t>(count), RowRun{0, 1, 1}));
  std::vector<Binding> rows;
  for (std::int64_t head = 0; head < heads; ++head)
    rows.insert(rows.end(), {zeros, matrix.gather_rows({{head * head_dim, head_dim, 1}})});
  return Binding::concat_rows(std::move(rows));
}

// The biases of a head, zeros where there are none.
Binding head_bias(const Binding& bias, std::int64_t head, std::int64_t head_dim) {
  return bias.is_empty() ? Binding::constant(head_dim, 0)
                         : bias.gather_rows({{head * head_dim, head_dim, 1}});
}

float as_bf16(float value) { return bf16_to_f32(f32_to_bf16(value)); }

}  // namespace

Binding rounded_alibi(const std::vector<float>& slopes, std::int64_t positions) {
  std::vector<float> products;
  products.reserve(slopes.size() * static_cast<std::size_t>(positions));
  for (std::int64_t position = 0; position < positions; ++position)
    for (const float slope : slopes)
      products.push_back(as_bf16(slope * as_bf16(static_cast<float>(position))));
  return Binding::values(std::ssize(slopes), std::move(products));
}

void AttentionDescriber::add_alibi(AttentionSpec& attention) {
  if (attention.rope_idx >= 0 || attention.q_norm.has_value() || !attention.sinks.is_empty() ||
      attention.logit_softcap != 0)
    fail(ErrorKind::kUnsupported,
         "config.json: attention.alibi together with a rotary embedding, norms of q and k, sinks or "
         "attention.logit_softcap");
  if (parts_.is_on("attention.alibi_rounded"))
    add_rounded_slopes(attention);
  else
    add_slopes(attention);
}

// slope * position = (slope * split) * (position / split) + slope * (position % split): a constant of q
// times a channel of k, twice. Another multiple for each row of scores changes no probability.
void AttentionDescriber::add_slopes(AttentionSpec& attention) {
  attention.has_alibi = true;
  LinearSpec& q = attention.q_proj;
  const bool is_clipped = attention.clip_qkv != 0;
  const std::vector<double> slopes = alibi_slopes(num_heads_);
  const double root = std::sqrt(static_cast<double>(head_dim_));
  std::vector<Binding> constants, biases;
  for (std::int64_t head = 0; head < num_heads_; ++head) {
    const double factor = slopes.at(static_cast<std::size_t>(head)) * root;
    const Binding high = Binding::constant(1, static_cast<float>(factor * static_cast<double>(kAlibiSplit)));
    const Binding low = Binding::constant(1, static_cast<float>(factor));
    constants.insert(constants.end(), {high, low, Binding::constant(head_dim_, 0)});
    if (is_clipped)
      biases.push_back(Binding::constant(kAlibiChannels, 0));
    else
      biases.insert(biases.end(), {high, low});
    biases.push_back(head_bias(q.bias, head, head_dim_));
  }
  q.weight = with_zero_rows(q.weight, num_heads_, head_dim_, kAlibiChannels);
  if (!is_clipped || !q.bias.is_empty()) q.bias = Binding::concat_rows(std::move(biases));
  if (is_clipped) attention.alibi_query = Binding::concat_rows(std::move(constants));
}

// A rounded product is no constant of q times a channel of k: each head of k has its own channel, and q a 1.
void AttentionDescriber::add_rounded_slopes(AttentionSpec& attention) {
  if (num_kv_heads_ != num_heads_ || attention.clip_qkv != 0)
    fail(ErrorKind::kUnsupported,
         "config.json: attention.alibi_rounded needs keys of each head's own, and no attention.clip_qkv");
  for (const double slope : alibi_slopes(num_heads_))
    attention.rounded_slopes.push_back(as_bf16(static_cast<float>(slope)));
  LinearSpec &q = attention.q_proj, &k = attention.k_proj;
  std::vector<Binding> q_biases, k_biases;
  for (std::int64_t head = 0; head < num_heads_; ++head) {
    q_biases.insert(q_biases.end(), {Binding::constant(1, 1), head_bias(q.bias, head, head_dim_)});
    k_biases.insert(k_biases.end(), {Binding::constant(1, 0), head_bias(k.bias, head, head_dim_)});
  }
  q.weight = with_zero_rows(q.weight, num_heads_, head_dim_, 1);
  k.weight = with_zero_rows(k.weight, num_heads_, head_dim_, 1);
  q.bias = Binding::concat_rows(std::move(q_biases));
  if (!k.bias.is_empty()) k.bias = Binding::concat_rows(std::move(k_biases));
}

}  // namespace llm2mnn
