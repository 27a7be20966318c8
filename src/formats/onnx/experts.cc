// Routers and experts. ONNX has no operator that runs an expert on its tokens only, so every expert sees
// every token and counts by its weight, 0 where it was not chosen: exact, and num_experts / top_k times the
// work.

#include <fmt/format.h>

#include "formats/onnx/emitter.h"

namespace llm2mnn::onnx {

namespace {
const std::vector<Attr> kLastAxis{{"axis", std::int64_t{-1}}};
}

// The axes of ReduceMax and ReduceMin were an attribute before opset 18; ReduceSum's were not.
std::string Emitter::reduce_last(std::string_view op_type, const std::string& x, const std::string& name,
                                 bool keep) {
  std::vector<std::string> inputs{x};
  std::vector<Attr> attributes{{"keepdims", std::int64_t{keep ? 1 : 0}}};
  if (form_.opset < 18 && op_type != "ReduceSum")
    attributes.push_back({"axes", std::vector<std::int64_t>{-1}});
  else
    inputs.push_back(net_.ints({-1}));
  return net_.node(op_type, inputs, name, attributes);
}

std::string Emitter::top_k(const std::string& x, std::int64_t k, const std::string& values,
                           const std::string& indices) {
  return net_.node_of("", "TopK", {x, net_.ints({k})}, {values, indices}, kLastAxis);
}

// `scores` [B, S, E] with 0 outside the best groups.
std::string Emitter::keep_groups(const std::string& prefix, const ir::Route& op, const std::string& scores) {
  const std::int64_t size = op.num_experts / op.num_groups;
  const std::string grouped =
      net_.node("Reshape", {scores, net_.ints({0, 0, op.num_groups, size})}, prefix + "/grouped");
  const std::string best =
      op.group_top2 ? top_k(grouped, 2, prefix + "/best_two", prefix + "/best_two/indices") : grouped;
  const std::string worth =
      reduce_last(op.group_top2 ? "ReduceSum" : "ReduceMax", best, prefix + "/group_scores", false);
  const std::string chosen =
      top_k(worth, op.top_groups, prefix + "/top_groups", prefix + "/top_groups/indices");
  const std::string least = reduce_last("ReduceMin", chosen, prefix + "/least_group", true);
  const std::string is_kept = net_.node("GreaterOrEqual", {worth, least}, prefix + "/group_is_kept");
  const std::string mask = net_.node("Cast", {is_kept}, prefix + "/group_mask",
                                     {{"to", static_cast<std::int64_t>(ElemType::kFloat)}});
  const std::string factor = net_.node("Unsqueeze", {mask, net_.ints({-1})}, prefix + "/group_factor");
  const std::string masked = net_.node("Mul", {grouped, factor}, prefix + "/masked_groups");
  return net_.node("Reshape", {masked, net_.ints({0, 0, op.num_experts})}, prefix + "/masked");
}

// As in formats/mnn/moe_emitter.cc.
void Emitter::emit_sparsemixer(const std::string& prefix, const ir::Route& op, const std::string& logits) {
  const auto node = [&](std::string_view name, const char* op_type, const std::vector<std::string>& inputs) {
    return net_.node(op_type, inputs, fmt::format("{}/{}", prefix, name));
  };
  const std::string indices = value_name(op.indices);
  const std::string values = top_k(logits, op.top_k, prefix + "/top_k", indices);
  const auto largest = [&](const char* name, std::int64_t begin) {
    return net_.node("Slice", {values, net_.ints({begin}), net_.ints({begin + 1}), net_.ints({2})},
                     fmt::format("{}/{}", prefix, name));
  };
  const std::string first = largest("largest", 0);
  const std::string second = largest("second_largest", 1);
  const std::string size = node("size", "Abs", {logits});
  const std::string bound = net_.scalar(static_cast<float>(2 * op.jitter));
  const std::string one = net_.scalar(1.0F);
  const auto sum_near = [&](std::string_view name, const std::string& most, const std::string& capped) {
    const auto part = [&](std::string_view what) { return fmt::format("{}/{}", name, what); };
    const std::string below = node(part("below"), "Sub", {most, logits});
    const std::string base = node(part("base"), "Max", {size, most});
    const std::string ratio = node(part("ratio"), "Div", {below, base});
    const std::string is_far = node(part("is_far"), "Greater", {ratio, bound});
    const std::string far = net_.node("Cast", {is_far}, fmt::format("{}/{}/far", prefix, name),
                                      {{"to", static_cast<std::int64_t>(ElemType::kFloat)}});
    const std::string near = node(part("near"), "Sub", {one, far});
    const std::string power = node(part("power"), "Exp", {node(part("shifted"), "Sub", {capped, most})});
    const std::string kept = node(part("kept"), "Mul", {power, near});
    return reduce_last("ReduceSum", kept, fmt::format("{}/{}/sum", prefix, name), true);
  };
  const std::string first_sum = sum_near("first", first, logits);
  const std::string capped = node("capped", "Min", {logits, second});
  const std::string second_sum = node("second/rest", "Sub", {sum_near("second", second, capped), one});
  const std::string sums = net_.node("Concat", {first_sum, second_sum}, prefix + "/sums", kLastAxis);
  const std::string scale = net_.scalar(static_cast<float>(op.scale));
  set_rows(op.weights, net_.node("Div", {scale, sums}, value_name(op.weights)), op.top_k);
  set_rows(op.indices, indices, op.top_k);
}

void Emitter::emit(const ir::Route& op) {
  const std::string prefix = value_name(op.weights);
  const std::string logits = rows(op.x);
  if (op.kind == ir::RouterKind::kSparsemixer) return emit_sparsemixer(prefix, op, logits);
  const std::string scores = op.kind == ir::RouterKind::kSoftmax
                                 ? net_.node("Softmax", {logits}, prefix + "/scores", kLastAxis)
                                 : net_.node("Sigmoid", {logits}, prefix + "/scores");
  std::string choice = scores;
  if (op.selection_bias) choice = net_.node("Add", {scores, vector(*op.selection_bias)}, prefix + "/choice");
  if (op.num_groups > 1) choice = keep_groups(prefix, op, choice);
  const std::string indices = value_name(op.indices);
  std::string weights = top_k(choice, op.top_k, prefix + "/top_k", indices);
  if (op.selection_bias)
    weights = net_.node("GatherElements", {scores, indices}, prefix + "/chosen_scores", kLastAxis);
  if (op.renormalise) {
    std::string sum = reduce_last("ReduceSum", weights, prefix + "/sum", true);
    if (op.renormalise_eps != 0)
      sum = net_.node("Add", {sum, net_.scalar(static_cast<float>(op.renormalise_eps))}, prefix + "/sum_eps");
    weights = net_.node("Div", {weights, sum}, prefix + "/renormalised");
  }
  if (op.scale != 1)
    weights = net_.node("Mul", {weights, net_.scalar(static_cast<float>(op.scale))}, prefix + "/scaled");
  set_rows(op.weights, weights, op.top_k);
  set_rows(op.indices, indices, op.top_k);
}

//  x -- gate, up -- act -- down -- * (sum over j of weights[j] where indices[j] == e) -- + the other experts
void Emitter::emit(const ir::Experts& op) {
  const std::string x = rows(op.x);
  const std::string weights = rows(op.weights), indices = rows(op.indices);
  std::string y;
  for (std::size_t e = 0; e < op.experts.size(); ++e) {
    const ir::Expert& expert = op.experts[e];
    const std::string prefix = fmt::format("{}/{}", value_name(op.y), e);
    const auto part = [&](const char* name, const ir::ExpertLinear& linear, std::int64_t in, std::int64_t out,
                          const std::string& input) {
      const std::string part_prefix = fmt::format("{}/{}", prefix, name);
      const ir::Linear parts{ir::kNoValue, ir::kNoValue, linear.weight, linear.bias, in, out};
      return apply_linear(parts, part_prefix, part_prefix, input);
    };
    const std::string is_chosen =
        net_.node("Equal", {indices, net_.scalar(static_cast<std::int64_t>(e))}, prefix + "/is_chosen");
    const std::string mask = net_.node("Cast", {is_chosen}, prefix + "/mask",
                                       {{"to", static_cast<std::int64_t>(ElemType::kFloat)}});
    const std::string masked = net_.node("Mul", {weights, mask}, prefix + "/masked_weights");
    const std::string weight = reduce_last("ReduceSum", masked, prefix + "/expert_weight", true);
    const std::string gate = part("gate_proj", expert.gate, op.hidden_size, op.intermediate_size, x);
    const std::string up = part("up_proj", expert.up, op.hidden_size, op.intermediate_size, x);
    const std::string act = gated(prefix + "/act", prefix + "/gate", op.kind, op.limits, gate, up);
    const std::string down = part("down_proj", expert.down, op.intermediate_size, op.hidden_size, act);
    const std::string weighted = net_.node("Mul", {down, weight}, prefix + "/weighted");
    const bool is_last = e + 1 == op.experts.size();
    if (e == 0)
      y = weighted;
    else
      y = net_.node("Add", {y, weighted}, is_last ? rows_name(op.y) : prefix + "/sum");
  }
  set_rows(op.y, y, op.hidden_size);
}

}  // namespace llm2mnn::onnx
