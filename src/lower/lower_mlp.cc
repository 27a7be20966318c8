#include "lower/lower_mlp.h"

#include <fmt/format.h>

#include "base/error.h"

namespace llm2mnn {

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

namespace {

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

/// "layers.3.mlp" of "layers.3.mlp.up_proj".
std::string mlp_address(const MlpSpec& spec) {
  return spec.up_proj.address.substr(0, spec.up_proj.address.rfind('.'));
}

ir::ValueId activated(GraphParts& parts, const std::string& prefix, const MlpSpec& spec, ir::ValueId x) {
  const std::string node = prefix + "/act";
  if (spec.kind == MlpKind::kGlu) {
    LLM2MNN_CHECK(spec.gate_proj.has_value());
    ir::ValueId gate = parts.linear(*spec.gate_proj, x);
    if (spec.sparsity_deviations) {
      const ir::ValueId sparse = parts.value_of(prefix + "/sparse_gate");
      parts.graph().add_node(prefix + "/sparse_gate", ir::Sparsify{gate, sparse, *spec.sparsity_deviations});
      gate = sparse;
    }
    const ir::ValueId up = parts.linear(spec.up_proj, x);
    const ir::ValueId y = parts.value_of(node);
    parts.graph().add_node(node, ir::GatedUnit{gate, up, y, unary_of(spec.activation), limits_of(spec)});
    return y;
  }
  const ir::ValueId up = parts.linear(spec.up_proj, x);
  const ir::ValueId y = parts.value_of(node);
  if (!spec.xielu) {
    parts.graph().add_node(node, ir::Unary{up, y, unary_of(spec.activation)});
    return y;
  }
  const auto number = [&](const char* name, const Binding& binding, WeightRole role) {
    return parts.weight(fmt::format("{}.act.{}", mlp_address(spec), name), binding, role, false);
  };
  const ir::WeightId a = number("a", spec.xielu->alpha_p.softplus(), WeightRole::kXieluAlphaP);
  const ir::WeightId b = number("b", spec.xielu->beta, WeightRole::kXieluBeta);
  const ir::WeightId n = number("n", spec.xielu->alpha_n.softplus(), WeightRole::kXieluAlphaN);
  parts.graph().add_node(node, ir::Xielu{up, y, a, b, n});
  return y;
}

ir::ExpertLinear expert_linear(GraphParts& parts, const LinearSpec& spec) {
  ir::ExpertLinear part{parts.weight(spec.address + ".weight", spec.weight, spec.role, true), {}};
  if (!spec.bias.is_empty()) part.bias = parts.weight(spec.address + ".bias", spec.bias, spec.role, false);
  return part;
}

ir::Route route_of(GraphParts& parts, std::size_t layer_idx, const std::string& node,
                   const RouterSpec& router, ir::ValueId logits) {
  ir::Route route{};
  route.x = logits;
  route.weights = parts.graph().add_value(node + "/weights");
  route.indices = parts.graph().add_value(node + "/indices");
  route.kind = router_of(router.kind);
  route.num_experts = router.proj.weight.rows();
  route.top_k = router.experts_per_token;
  if (!router.selection_bias.is_empty())
    route.selection_bias = parts.weight(fmt::format("layers.{}.mlp.selection_bias", layer_idx),
                                        router.selection_bias, WeightRole::kSelectionBias, false);
  route.num_groups = router.num_groups;
  route.top_groups = router.groups_per_token;
  route.group_top2 = router.group_score == GroupScore::kTop2;
  route.renormalise = router.renormalise;
  route.renormalise_eps = router.renormalise_eps;
  route.scale = router.scale;
  route.jitter = router.jitter;
  return route;
}

//  logits -- route, the one largest weight w -- x * w -- experts
//     '----- route by softmax over its sum ----- 1 ------'
// The choice is that of the logits, where large ones may round to one and the same sigmoid.
ir::ValueId scaled_input(GraphParts& parts, const std::string& node, const ir::Route& route, ir::ValueId x,
                         ir::Route& chosen) {
  LLM2MNN_CHECK(route.top_k == 1 && !route.selection_bias && route.num_groups == 1);
  parts.graph().add_node(node + "/input_route", route);
  chosen = route;
  chosen.kind = ir::RouterKind::kSoftmax;
  chosen.renormalise = true;
  chosen.renormalise_eps = 0;
  chosen.scale = 1;
  chosen.weights = parts.graph().add_value(node + "/route/weights");
  chosen.indices = parts.graph().add_value(node + "/route/indices");
  return parts.multiply(node + "/input", x, route.weights);
}

ir::ValueId experts(GraphParts& parts, std::size_t layer_idx, const std::string& prefix, const MoeSpec& spec,
                    ir::ValueId x) {
  LLM2MNN_CHECK(!spec.experts.empty());
  const ir::ValueId logits = parts.linear(spec.router.proj, x);
  ir::Route route = route_of(parts, layer_idx, prefix + (spec.scales_input ? "/input_route" : "/route"),
                             spec.router, logits);
  if (spec.scales_input) {
    const ir::Route weighing = route;
    x = scaled_input(parts, prefix, weighing, x, route);
  }
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
  parts.graph().add_node(prefix + "/route", route);
  for (const MlpSpec& expert : spec.experts) {
    LLM2MNN_CHECK(expert.kind == MlpKind::kGlu && expert.gate_proj && expert.activation == first.activation &&
                  expert.limits == first.limits);
    // One statement each: weights are numbered in this order.
    const ir::ExpertLinear gate = expert_linear(parts, *expert.gate_proj);
    const ir::ExpertLinear up = expert_linear(parts, expert.up_proj);
    experts.experts.push_back({gate, up, expert_linear(parts, expert.down_proj)});
  }
  experts.y = parts.value_of(node);
  const ir::ValueId y = experts.y;
  parts.graph().add_node(node, std::move(experts));
  return y;
}

}  // namespace

ir::ValueId lower_mlp(GraphParts& parts, const std::string& prefix, const MlpSpec& spec, ir::ValueId x) {
  return parts.linear(spec.down_proj, parts.optional_norm(spec.sub_norm, activated(parts, prefix, spec, x)));
}

//        x -- router -- route == experts -- y            routed
//        x -- shared_expert -- [* sigmoid(gate x)] -- + -- y   and shared
ir::ValueId lower_moe(GraphParts& parts, std::size_t layer_idx, const MoeSpec& spec, ir::ValueId x) {
  const std::string prefix = fmt::format("/layers.{}/mlp", layer_idx);
  const ir::ValueId y = experts(parts, layer_idx, prefix, spec, x);
  if (!spec.shared) return y;
  ir::ValueId shared = lower_mlp(parts, prefix + "/shared_expert", *spec.shared, x);
  if (spec.shared_gate) {
    const ir::ValueId gate = parts.linear(*spec.shared_gate, x);
    const std::string node = prefix + "/shared_expert_gate/sigmoid";
    const ir::ValueId sigmoid = parts.value_of(node);
    parts.graph().add_node(node, ir::Unary{gate, sigmoid, ir::UnaryKind::kSigmoid});
    const std::string product = prefix + "/shared_expert_gate/product";
    const ir::ValueId gated = parts.value_of(product);
    parts.graph().add_node(product, ir::Multiply{shared, sigmoid, gated});
    shared = gated;
  }
  return parts.add(prefix + "/shared_residual", y, shared);
}

}  // namespace llm2mnn
