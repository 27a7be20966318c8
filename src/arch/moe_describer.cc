#include "arch/moe_describer.h"

#include <cmath>

namespace llm2mnn {
namespace {

// Two in a thousand models have more than 512; the graph has a sub-graph for each.
constexpr std::int64_t kMostExperts = 4096;

}  // namespace

std::int64_t MoeDescriber::count(std::string_view what, double value, std::int64_t least,
                                 std::int64_t most) const {
  if (!(value >= static_cast<double>(least)) || value > static_cast<double>(most) ||
      value != std::floor(value))
    fail(ErrorKind::kFormat, "config.json: {} comes to {}, expected {} to {}", what, value, least, most);
  return static_cast<std::int64_t>(value);
}

std::optional<std::set<std::int64_t>> MoeDescriber::listed_layers(std::string_view path) const {
  const std::int64_t num_layers = config_.size("num_hidden_layers");
  for (const std::string& key : family_.setting(path).keys) {
    const JsonValue* list = find_path(config_.config(), key);
    if (list == nullptr || list->is_null()) continue;
    if (!list->is_array())
      fail(ErrorKind::kFormat, "config.json: {} must be a list of layer numbers", shown(key));
    std::set<std::int64_t> layers;
    for (const JsonValue& item : list->as_array()) {
      if (!item.is_number())
        fail(ErrorKind::kFormat, "config.json: {} holds {}; expected layer numbers", shown(key),
             shown(item.dump(), 60));
      layers.insert(count(shown(key), item.as_double(), 0, num_layers - 1));
    }
    return layers;
  }
  return std::nullopt;
}

bool MoeDescriber::is_sparse(std::int64_t i) {
  if (!layers_.has_value()) {
    layers_ = family_.setting("moe.layers");
    dense_layers_ = listed_layers("moe.dense_layers");
    sparse_layers_ = listed_layers("moe.sparse_layers");
  }
  if (dense_layers_.has_value() && dense_layers_->contains(i)) return false;
  return sparse_layers_.has_value() ? sparse_layers_->contains(i) : config_.is_on(*layers_, i);
}

void MoeDescriber::read_groups(RouterSpec& router, std::int64_t num_experts, std::int64_t i) {
  router.num_groups = count("moe.groups", config_.evaluate("moe.groups", i), 1, num_experts);
  if (num_experts % router.num_groups != 0)
    fail(ErrorKind::kFormat, "config.json: {} experts do not fall into {} groups of one length", num_experts,
         router.num_groups);
  router.groups_per_token =
      count("moe.groups_per_token", config_.evaluate("moe.groups_per_token", i), 1, router.num_groups);
  const std::int64_t group = num_experts / router.num_groups;
  if (router.groups_per_token * group < router.experts_per_token)
    fail(ErrorKind::kFormat, "config.json: {} experts for each token, but {} groups have {}",
         router.experts_per_token, router.groups_per_token, router.groups_per_token * group);
  router.group_score =
      family_.setting("moe.group_score").word == "top2" ? GroupScore::kTop2 : GroupScore::kMax;
  if (router.num_groups > 1 && router.group_score == GroupScore::kTop2 && group < 2)
    fail(ErrorKind::kFormat, "config.json: groups of one expert have no two best");
}

RouterSpec MoeDescriber::router_choices(std::int64_t num_experts, std::int64_t i) {
  RouterSpec router;
  const std::string kind = family_.setting("moe.router").word;
  router.kind = kind == "sigmoid"       ? RouterKind::kSigmoid
                : kind == "sparsemixer" ? RouterKind::kSparsemixer
                                        : RouterKind::kSoftmax;
  router.experts_per_token =
      count("'num_experts_per_tok'", config_.number("num_experts_per_tok", i), 1, num_experts);
  router.renormalise = is_on("moe.renormalise", i);
  router.renormalise_eps = config_.evaluate("moe.renormalise_eps", i);
  router.scale = config_.evaluate("moe.routed_scale", i);
  router.jitter = config_.evaluate("moe.jitter", i);
  read_groups(router, num_experts, i);
  const bool is_plain = !router.renormalise && router.num_groups == 1 && !is_on("moe.selection_bias", i);
  if (router.kind == RouterKind::kSparsemixer && (router.experts_per_token != 2 || !is_plain))
    fail(ErrorKind::kUnsupported,
         "config.json: router 'sparsemixer' with {} experts for each token; it takes 2, without "
         "renormalisation, groups and a selection bias",
         router.experts_per_token);
  return router;
}

const MoeDescriber::Choices& MoeDescriber::choices(MlpKind kind, std::int64_t i) {
  if (choices_.has_value() && !config_.has_layer_values()) return *choices_;
  if (kind != MlpKind::kGlu)
    fail(ErrorKind::kUnsupported, "config.json: experts without a gate (mlp.kind plain) are not supported");
  Choices choices;
  choices.num_experts = count("'num_experts'", config_.number("num_experts", i), 1, kMostExperts);
  choices.router = router_choices(choices.num_experts, i);
  choices.has_router_bias = is_on("moe.router_bias", i);
  choices.has_selection_bias = is_on("moe.selection_bias", i);
  choices.has_bias = is_on("moe.bias", i);
  choices.scales_input = is_on("moe.scales_input", i);
  // With more of them, each expert would need an input of its own.
  if (choices.scales_input && choices.router.experts_per_token != 1)
    fail(ErrorKind::kUnsupported,
         "config.json: 'num_experts_per_tok' is {}; where weights multiply what goes into experts "
         "(moe.scales_input), 1 is supported",
         choices.router.experts_per_token);
  choices.has_shared = is_on("moe.shared", i);
  choices.has_shared_gate = choices.has_shared && is_on("moe.shared_gate", i);
  return choices_.emplace(std::move(choices));
}

LinearSpec MoeDescriber::linear(std::string address, std::string_view role, std::int64_t layer,
                                std::int64_t expert, bool has_bias) {
  LinearSpec linear;
  linear.address = std::move(address);
  linear.role = find_role(role)->role;
  linear.weight = claims_.claim(role, layer, expert);
  if (has_bias) linear.bias = claims_.claim(std::string(role) + "_bias", layer, expert);
  return linear;
}

MlpSpec MoeDescriber::expert(const std::string& prefix, std::string_view role_prefix, std::int64_t layer,
                             std::int64_t expert, Activation activation) {
  const auto part = [&](std::string_view name) {
    return linear(fmt::format("{}.{}", prefix, name), fmt::format("{}_{}", role_prefix, name), layer, expert,
                  choices_->has_bias);
  };
  MlpSpec mlp;
  mlp.kind = MlpKind::kGlu;
  mlp.activation = activation;
  mlp.gate_proj = part("gate_proj");
  mlp.up_proj = part("up_proj");
  mlp.down_proj = part("down_proj");
  return mlp;
}

MoeSpec MoeDescriber::describe(std::int64_t i, MlpKind kind, Activation activation,
                               const std::optional<GluLimits>& limits) {
  const Choices& shared = choices(kind, i);
  const std::string prefix = fmt::format("layers.{}.mlp", i);
  MoeSpec moe;
  moe.router = shared.router;
  moe.router.proj = linear(prefix + ".router", "router", i, -1, shared.has_router_bias);
  if (shared.has_selection_bias) moe.router.selection_bias = claims_.claim("selection_bias", i);
  for (std::int64_t e = 0; e < shared.num_experts; ++e)
    moe.experts.push_back(expert(fmt::format("{}.experts.{}", prefix, e), "expert", i, e, activation));
  for (MlpSpec& expert : moe.experts)
    expert.limits = limits;
  moe.scales_input = shared.scales_input;
  if (shared.has_shared) moe.shared = expert(prefix + ".shared_expert", "shared", i, -1, activation);
  if (shared.has_shared_gate)
    moe.shared_gate = linear(prefix + ".shared_expert_gate", "shared_expert_gate", i, -1, false);
  return moe;
}

}  // namespace llm2mnn
