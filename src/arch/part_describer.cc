#include "arch/part_describer.h"

namespace llm2mnn {

double PartDescriber::positive(std::string_view path, double value) {
  if (!(value > 0))
    fail(ErrorKind::kFormat, "config.json: '{}' comes to {}, it must be positive", path, value);
  return value;
}

void PartDescriber::read_norms() {
  kind_ = family_.setting("norm.kind").word == "layer" ? NormKind::kLayer : NormKind::kRms;
  eps_ = config_.evaluate("norm.eps");
  if (eps_ < 0)
    fail(ErrorKind::kFormat, "config.json: {} comes to {}, it must not be negative",
         shown(family_.setting("norm.eps").expression.text()), eps_);
  gamma_offset_ = static_cast<float>(config_.evaluate("norm.gamma_offset"));
}

NormSpec PartDescriber::norm(std::string address, std::string_view role, std::int64_t layer) {
  NormSpec spec;
  spec.address = std::move(address);
  spec.role = find_role(role)->role;
  spec.kind = kind_;
  spec.eps = eps_;
  const bool is_of_qk = spec.role == WeightRole::kQNorm || spec.role == WeightRole::kKNorm;
  const std::string bias = std::string(role) + "_bias";
  const bool has_bias_role = find_role(bias) != nullptr;
  if (has_bias_role && !is_of_qk && !is_on("norm.weight")) {
    spec.weight = Binding::constant(config_.size("hidden_size"), 1);
  } else if (is_of_qk && !is_on("attention.qk_norm_weight")) {
    spec.weight = Binding::constant(config_.size("head_dim", layer), 1);
  } else {
    spec.weight = claims_.claim(role, layer);
    if (gamma_offset_ != 0 && !spec.weight.is_empty()) spec.weight = spec.weight.add(gamma_offset_);
  }
  if (has_bias_role && is_on(is_of_qk ? "attention.qk_norm_bias" : "norm.bias"))
    spec.bias = claims_.claim(bias, layer);
  return spec;
}

LinearSpec PartDescriber::linear(std::string address, std::string_view role, std::int64_t layer,
                                 bool has_bias) {
  LinearSpec spec;
  spec.address = std::move(address);
  spec.role = find_role(role)->role;
  spec.weight = claims_.claim(role, layer);
  if (has_bias) spec.bias = claims_.claim(std::string(role) + "_bias", layer);
  return spec;
}

}  // namespace llm2mnn
