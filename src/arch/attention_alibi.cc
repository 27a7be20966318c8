// Slopes of ALiBi (AttentionSpec::has_alibi).
#include <cmath>

#include "arch/attention_describer.h"

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

// slope * position = (slope * split) * (position / split) + slope * (position % split): a constant of q
// times a channel of k, twice. Another multiple for each row of scores changes no probability.
void AttentionDescriber::add_slopes(AttentionSpec& attention) {
  if (attention.rope_idx >= 0 || attention.q_norm.has_value() || !attention.sinks.is_empty() ||
      attention.clip_qkv != 0 || attention.logit_softcap != 0)
    fail(ErrorKind::kUnsupported,
         "config.json: attention.alibi together with a rotary embedding, norms or limits of q and k, sinks "
         "or attention.logit_softcap");
  attention.has_alibi = true;
  LinearSpec& q = attention.q_proj;
  const Binding zeros = q.weight.gather_rows({{0, 1, 1}}).scale(0).gather_rows({{0, 1, 1}, {0, 1, 1}});
  const std::vector<double> slopes = alibi_slopes(num_heads_);
  const double root = std::sqrt(static_cast<double>(head_dim_));
  std::vector<Binding> rows, biases;
  for (std::int64_t head = 0; head < num_heads_; ++head) {
    const double factor = slopes.at(static_cast<std::size_t>(head)) * root;
    const RowRun own{head * head_dim_, head_dim_, 1};
    rows.insert(rows.end(), {zeros, q.weight.gather_rows({own})});
    biases.push_back(Binding::constant(1, static_cast<float>(factor * static_cast<double>(kAlibiSplit))));
    biases.push_back(Binding::constant(1, static_cast<float>(factor)));
    biases.push_back(q.bias.is_empty() ? Binding::constant(head_dim_, 0) : q.bias.gather_rows({own}));
  }
  q.weight = Binding::concat_rows(std::move(rows));
  q.bias = Binding::concat_rows(std::move(biases));
}

}  // namespace llm2mnn
