// Routers and experts. The runtime has an op for a mixture of experts, which calls sub-graphs by name; the
// router in front of it is made of plain ops, in float32.

#include <fmt/format.h>

#include "formats/mnn/emitter.h"

namespace llm2mnn::mnn {

//  scores -- [T, groups, E/groups] -- best of each -- top_k: the least -- >= --.
//                              '------------------------------------------------ * -- scores
TensorId Emitter::keep_groups(const std::string& prefix, const ir::Route& op, TensorId scores) {
  const std::int64_t size = op.num_experts / op.num_groups;
  const TensorId grouped = net_.reshape(prefix + "/grouped", scores, {1, -1, op.num_groups, size});
  TensorId best = grouped;
  if (op.group_top2)
    best = net_.top_k(prefix + "/best_two", prefix + "/best_two/values", prefix + "/best_two/indices",
                      grouped, 2)
               .first;
  const fb::ReductionKind kind = op.group_top2 ? fb::ReductionKind::SUM : fb::ReductionKind::MAXIMUM;
  const TensorId worth = net_.reduce(prefix + "/group_scores", kind, best, false);
  const TensorId chosen = net_.top_k(prefix + "/top_groups", prefix + "/top_groups/values",
                                     prefix + "/top_groups/indices", worth, op.top_groups)
                              .first;
  const TensorId least = net_.reduce(prefix + "/least_group", fb::ReductionKind::MINIMUM, chosen, true);
  const TensorId is_kept =
      net_.binary(prefix + "/group_is_kept", fb::BinaryKind::GREATER_EQUAL, worth, least);
  const TensorId factor =
      net_.reshape(prefix + "/group_factor", net_.int_to_float(prefix + "/group_mask", is_kept),
                   {1, -1, op.num_groups, 1});
  const TensorId masked = net_.binary(prefix + "/masked_groups", fb::BinaryKind::MUL, grouped, factor);
  return net_.reshape(prefix + "/masked", masked, {1, -1, op.num_experts});
}

//  l -- top_k 2: m1, m2;  near(m) = 1 - ((m - l) / max(|l|, m) > 2 jitter)
//  w1 = 1 / sum exp(l - m1) near(m1);  w2 = 1 / (sum exp(min(l, m2) - m2) near(m2) - 1)
// The first choice, not below m2, is near it and adds exactly 1 to the second sum.
void Emitter::emit_sparsemixer(const std::string& prefix, const ir::Route& op, TensorId logits) {
  const auto binary = [&](std::string_view name, fb::BinaryKind kind, TensorId a, TensorId b) {
    return net_.binary(fmt::format("{}/{}", prefix, name), kind, a, b);
  };
  const auto [values, indices] =
      net_.top_k(prefix + "/top_k", prefix + "/top_k/values", plain_name(op.indices), logits, op.top_k);
  const auto [first, second] = net_.halves(prefix + "/largest", values, 2);
  const TensorId size = net_.unary(prefix + "/size", fb::UnaryKind::ABS, logits);
  const TensorId bound = net_.scalar(static_cast<float>(2 * op.jitter));
  const TensorId one = net_.scalar(1.0F);
  const auto sum_near = [&](std::string_view name, TensorId largest, TensorId capped) {
    const auto part = [&](std::string_view what) { return fmt::format("{}/{}", name, what); };
    const TensorId below = binary(part("below"), fb::BinaryKind::SUB, largest, logits);
    const TensorId base = binary(part("base"), fb::BinaryKind::MAXIMUM, size, largest);
    const TensorId ratio = binary(part("ratio"), fb::BinaryKind::REALDIV, below, base);
    const TensorId is_far = binary(part("is_far"), fb::BinaryKind::GREATER, ratio, bound);
    const TensorId far = net_.int_to_float(fmt::format("{}/{}/far", prefix, name), is_far);
    const TensorId near = binary(part("near"), fb::BinaryKind::SUB, one, far);
    const TensorId shifted = binary(part("shifted"), fb::BinaryKind::SUB, capped, largest);
    const TensorId power = net_.unary(fmt::format("{}/{}/power", prefix, name), fb::UnaryKind::EXP, shifted);
    const TensorId kept = binary(part("kept"), fb::BinaryKind::MUL, power, near);
    return net_.reduce(fmt::format("{}/{}/sum", prefix, name), fb::ReductionKind::SUM, kept, true);
  };
  const TensorId first_sum = sum_near("first", first, logits);
  const TensorId capped = binary("capped", fb::BinaryKind::MINIMUM, logits, second);
  const TensorId second_sum =
      binary("second/rest", fb::BinaryKind::SUB, sum_near("second", second, capped), one);
  const TensorId sums = net_.concat(prefix + "/sums", {first_sum, second_sum}, 2);
  const TensorId scale = net_.scalar(static_cast<float>(op.scale));
  set_plain(op.weights, net_.binary(plain_name(op.weights), fb::BinaryKind::REALDIV, scale, sums), op.top_k);
  set_plain(op.indices, indices, op.top_k);
}

//  x -- softmax or sigmoid -- s -- [+ selection_bias] -- [groups] -- top_k -- indices
//                             '---------------------------- [gather] -- [/ sum] -- [* scale] -- weights
void Emitter::emit(std::size_t node, const ir::Route& op) {
  const std::string& prefix = graph_.nodes[node].name;
  const TensorId logits = plain(op.x);
  if (op.kind == ir::RouterKind::kSparsemixer) return emit_sparsemixer(prefix, op, logits);
  const TensorId scores = op.kind == ir::RouterKind::kSoftmax
                              ? net_.softmax(prefix + "/scores", logits)
                              : net_.unary(prefix + "/scores", fb::UnaryKind::SIGMOID, logits);
  TensorId choice = scores;
  if (op.selection_bias) {
    const auto experts = static_cast<std::int32_t>(op.num_experts);
    const TensorId bias =
        net_.float_vector(prefix + "/selection_bias", {1, 1, experts}, read_vector_(*op.selection_bias));
    choice = net_.binary(prefix + "/choice", fb::BinaryKind::ADD, scores, bias);
  }
  if (op.num_groups > 1) choice = keep_groups(prefix, op, choice);
  auto [weights, indices] =
      net_.top_k(prefix + "/top_k", prefix + "/top_k/values", plain_name(op.indices), choice, op.top_k);
  if (op.selection_bias) weights = net_.gather_elements(prefix + "/top_k/scores", scores, indices);
  if (op.renormalise) {
    TensorId sum = net_.reduce(prefix + "/sum", fb::ReductionKind::SUM, weights, true);
    if (op.renormalise_eps != 0)
      sum = net_.binary(prefix + "/sum_eps", fb::BinaryKind::ADD, sum,
                        net_.scalar(static_cast<float>(op.renormalise_eps)));
    weights = net_.binary(prefix + "/renormalised", fb::BinaryKind::REALDIV, weights, sum);
  }
  if (op.scale != 1)
    weights = net_.binary(prefix + "/scaled", fb::BinaryKind::MUL, weights,
                          net_.scalar(static_cast<float>(op.scale)));
  set_plain(op.weights, weights, op.top_k);
  set_plain(op.indices, indices, op.top_k);
}

// The runtime runs an expert on the rows of its tokens: [n, H] to [n, H].
void Emitter::emit_expert(const std::string& prefix, const ir::Experts& op, std::size_t expert) {
  const ir::Expert& parts = op.experts[expert];
  const std::string name = fmt::format("{}.{}", prefix, expert);
  const auto hidden = static_cast<std::int32_t>(op.hidden_size);
  net_.begin_subgraph();
  const TensorId input = net_.input(name + "/x", {1, hidden}, fb::DataType::FLOAT);
  const TensorId rows = net_.reshape(name + "/rows", input, {-1, op.hidden_size, 1, 1});
  const TensorId x = net_.convert(name + "/packed", rows, fb::DataFormat::NCHW, fb::DataFormat::NC4HW4);
  const TensorId all_gate = net_.linear(name + "/gate_proj", x, layout_.linear_of(parts.gate.weight));
  const TensorId all_up = net_.linear(name + "/up_proj", x, layout_.linear_of(parts.up.weight));
  const auto [gate, up] = limited(name + "/act", op.limits, all_gate, all_up);
  const TensorId act = gated(name + "/act", name + "/act/gate", op.kind, gate, up);
  const TensorId down = net_.linear(name + "/down_proj", act, layout_.linear_of(parts.down.weight));
  const TensorId unpacked =
      net_.convert(name + "/unpacked", down, fb::DataFormat::NC4HW4, fb::DataFormat::NCHW);
  const TensorId y = net_.reshape(name + "/y", unpacked, {-1, op.hidden_size});
  net_.end_subgraph(expert_graph_name(op.layer_idx, static_cast<std::int64_t>(expert)), input, y);
}

void Emitter::emit(std::size_t node, const ir::Experts& op) {
  const std::string& prefix = graph_.nodes[node].name;
  for (std::size_t e = 0; e < op.experts.size(); ++e)
    emit_expert(prefix, op, e);
  const TensorId x = net_.reshape(prefix + "/x", plain(op.x), {-1, op.hidden_size});
  const TensorId sum = net_.moe(prefix, x, plain(op.weights), plain(op.indices), op.layer_idx,
                                static_cast<std::int64_t>(op.experts.size()), op.top_k);
  set_plain(op.y, net_.reshape(plain_name(op.y), sum, {1, -1, op.hidden_size}), op.hidden_size);
}

}  // namespace llm2mnn::mnn
