#include "arch/rope_resolver.h"

#include <algorithm>
#include <cmath>

namespace llm2mnn {
namespace {

// transformers 5 may keep one dictionary per layer type.
bool is_nested(const JsonValue& dictionary) {
  if (!dictionary.is_object() || dictionary.as_object().empty()) return false;
  const auto& members = dictionary.as_object();
  return std::all_of(members.begin(), members.end(),
                     [](const auto& member) { return member.second.is_object(); });
}

// What follows "DICTIONARY." in dotted paths.
template <typename Paths, typename Text>
std::vector<std::string> keys_in(const Paths& paths, std::string_view dictionary, Text&& text) {
  std::vector<std::string> keys;
  const std::string prefix = std::string(dictionary) + ".";
  for (const auto& path : paths)
    if (const std::string& key = text(path); key.rfind(prefix, 0) == 0)
      keys.push_back(key.substr(prefix.size()));
  return keys;
}

void check_layer_types(const JsonValue& nested, std::string_view key) {
  for (const auto& [name, value] : nested.as_object()) {
    if (name != "full_attention" && name != "sliding_attention")
      fail(ErrorKind::kUnsupported,
           "config.json: '{}' has an entry for layer type {}, which is not supported", key, shown(name));
  }
}

}  // namespace

std::optional<RopeParameters> RopeResolver::read_spelling(std::string_view key, std::string_view layer_type,
                                                          bool reads_flat) {
  const JsonValue* value = config_.config().find(key);
  if (value == nullptr || value->is_null()) return std::nullopt;
  const bool kind_required = key == "rope_scaling";
  const auto also_read = keys_in(family_.consumed_keys(), key,
                                 [](const std::string& path) -> const std::string& { return path; });
  const auto left_out =
      keys_in(family_.harmless, key, [](const auto& rule) -> const std::string& { return rule.first; });
  if (!is_nested(*value)) {
    if (!reads_flat) return std::nullopt;
    return parse_rope_parameters(*value, key, kind_required, also_read, left_out);
  }
  check_layer_types(*value, key);
  const std::string member = fmt::format("{}_attention", layer_type);
  const JsonValue* own = value->find(member);
  if (own == nullptr)
    fail(ErrorKind::kFormat, "config.json: '{}' lacks '{}', which some layers need", key, member);
  return parse_rope_parameters(*own, fmt::format("{}.{}", key, member), kind_required, also_read, left_out);
}

RopeParameters RopeResolver::parameters_of(std::string_view layer_type, bool reads_flat) {
  const auto scaling = read_spelling("rope_scaling", layer_type, reads_flat);
  const auto parameters = read_spelling("rope_parameters", layer_type, reads_flat);
  if (!scaling.has_value()) return parameters.value_or(RopeParameters{});
  if (!parameters.has_value()) return *scaling;
  RopeParameters a = *scaling, b = *parameters;
  if (!a.theta.has_value()) a.theta = b.theta;
  if (!b.theta.has_value()) b.theta = a.theta;
  if (a != b)
    fail(ErrorKind::kFormat,
         "config.json: 'rope_scaling' and 'rope_parameters' contradict each other; remove one");
  return a;
}

double RopeResolver::theta_of(const RopeParameters& parameters, std::string_view layer_type) {
  const Setting setting = family_.rope_setting(layer_type, "theta");
  if (!parameters.theta.has_value()) {
    const double theta = config_.evaluate_setting(setting);
    if (!(theta > 0))
      fail(ErrorKind::kFormat, "config.json: {} comes to {}, it must be positive",
           shown(setting.expression.text()), theta);
    return theta;
  }
  const std::string& name = setting.expression.text();
  if (setting.expression.is_name() && config_.is_given(name) && config_.number(name) != *parameters.theta)
    fail(ErrorKind::kFormat,
         "config.json: '{}' is {}, but 'rope_theta' beside the rope kind is {}; remove one", name,
         config_.number(name), *parameters.theta);
  return *parameters.theta;
}

std::int64_t RopeResolver::rotary_dim_of(std::string_view layer_type) {
  const Setting setting = family_.rope_setting(layer_type, "dim");
  const double dim = config_.evaluate_setting(setting);
  const auto head_dim = static_cast<double>(config_.size("head_dim"));
  if (!(dim >= 2) || dim > head_dim || std::fmod(dim, 2.0) != 0)
    fail(ErrorKind::kFormat, "config.json: {} of the {} channels of a head rotate; it must be an even number",
         dim, head_dim);
  return static_cast<std::int64_t>(dim);
}

RopeResolver::Rope RopeResolver::resolve(std::string_view layer_type) {
  Rope rope;
  const bool reads_flat = family_.rope_setting(layer_type, "scaling").word == "config";
  rope.parameters = parameters_of(layer_type, reads_flat);
  const double original = config_.evaluate_setting(family_.rope_setting(layer_type, "original_context"));
  if (rope.parameters.kind == "longrope" && original != 0)
    rope.parameters.original_max_position_embeddings = original;
  rope.theta = theta_of(rope.parameters, layer_type);
  rope.rotary_dim = rotary_dim_of(layer_type);
  rope.exact_below = config_.evaluate_setting(family_.rope_setting(layer_type, "exact_below"));
  rope.attention_factor = config_.evaluate_setting(family_.rope_setting(layer_type, "attention_factor"));
  if (rope.attention_factor < 0)
    fail(ErrorKind::kFormat, "config.json: 'rope.attention_factor' comes to {}, it must not be negative",
         rope.attention_factor);
  rope.is_pair = family_.rope_setting(layer_type, "pairing").word == "pair";
  const auto same = std::find(ropes_.begin(), ropes_.end(), rope);
  rope.idx = static_cast<int>(same - ropes_.begin());
  if (same == ropes_.end()) {
    ropes_.push_back(rope);
    ropes_.back().idx = -1;  // equality is about the content
  }
  return rope;
}

RopeUse RopeResolver::use(MaskKind mask, std::int64_t layer) {
  const std::string_view layer_type = mask == MaskKind::kSliding ? "sliding" : "full";
  if (!config_.is_on(family_.rope_setting(layer_type, "enabled"), layer)) return {};
  std::optional<Rope>& rope = by_type_[mask == MaskKind::kSliding ? 1 : 0];
  if (!rope.has_value()) rope = resolve(layer_type);
  return {rope->idx, rope->rotary_dim, rope->is_pair};
}

std::vector<RopeSpec> RopeResolver::finish(std::vector<std::string>& notes) {
  const std::int64_t max_positions = config_.size("max_position_embeddings");
  std::vector<RopeSpec> tables;
  for (const Rope& rope : ropes_) {
    tables.push_back(make_rope(rope.parameters, rope.theta, rope.rotary_dim, max_positions));
    RopeSpec& table = tables.back();
    if (table.exact_below == 0) table.exact_below = static_cast<std::int64_t>(rope.exact_below);
    if (rope.attention_factor != 0) table.attention_factor = rope.attention_factor;
    for (const std::string& key : rope.parameters.unread)
      notes.push_back(fmt::format("{} rope: '{}' is not read, as in transformers", table.kind, key));
    if (table.exact_below > 0)
      notes.push_back(fmt::format("{} rope: exact up to {} positions", table.kind, table.exact_below));
  }
  return tables;
}

}  // namespace llm2mnn
