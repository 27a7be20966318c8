#pragma once
// What stands beside the residual stream of a block: per-layer embeddings, LAuReL, AltUp. Private to this
// folder.

#include <optional>

#include "arch/part_describer.h"

namespace llm2mnn {

class ResidualDescriber {
 public:
  /// References are kept.
  ResidualDescriber(const Family& family, ConfigReader& config, TensorClaims& claims, PartDescriber& parts)
      : family_(family), config_(config), claims_(claims), parts_(parts) {}

  /// What is one for all layers, into `spec`; before the first layer. What is missing is remembered by the
  /// claims.
  /// @throws Error: kFormat for numbers of config.json that do not fit together; kUnsupported for choices
  /// that do not go together.
  void describe_model(DecoderSpec& spec);
  /// The parts of layer `i`, into `layer`, whose other parts are described.
  void describe_layer(LayerSpec& layer, std::int64_t i, Activation activation);
  /// MlpSpec::sparsity_deviations of layer `i`.
  std::optional<double> sparsity_deviations(std::int64_t i);

 private:
  void describe_per_layer_embedding(DecoderSpec& spec);
  void describe_streams(DecoderSpec& spec);
  AltupSpec altup(std::int64_t i);
  LinearSpec correction(std::int64_t i);
  std::int64_t count(std::string_view path, std::int64_t most);

  const Family& family_;
  ConfigReader& config_;
  TensorClaims& claims_;
  PartDescriber& parts_;
  std::int64_t num_streams_ = 0, active_ = 0;
  double coef_clip_ = 0;
  bool has_laurel_ = false, has_per_layer_input_ = false, scales_output_ = false;
  std::optional<Setting> sparsity_;
};

/// z of P(Z <= z) = `share` for a normal distribution, as torch computes icdf in float32: sqrt(2) erfinv(2
/// share - 1). Precondition: 0 < share < 1.
double normal_quantile(double share);

}  // namespace llm2mnn
