#pragma once
// Mixtures of experts: the [moe] section of a family read through config.json. Private to this folder.

#include <optional>
#include <set>

#include "arch/config_reader.h"
#include "arch/decoder_spec.h"
#include "arch/tensor_claims.h"

namespace llm2mnn {

class MoeDescriber {
 public:
  /// References are kept.
  MoeDescriber(const Family& family, ConfigReader& config, TensorClaims& claims)
      : family_(family), config_(config), claims_(claims) {}

  /// Whether layer `i` has experts in place of a dense MLP.
  bool is_sparse(std::int64_t i);
  /// The experts of a sparse layer. What is missing is remembered by the claims.
  /// @throws Error(kFormat) for numbers of config.json that do not fit together; kUnsupported for an MLP that
  /// experts cannot be.
  MoeSpec describe(std::int64_t i, MlpKind kind, Activation activation,
                   const std::optional<GluLimits>& limits);

 private:
  /// What is one for all layers, unless config.json has values for each.
  struct Choices {
    RouterSpec router;
    std::int64_t num_experts = 0;
    bool has_router_bias = false, has_selection_bias = false, has_bias = false;
    bool has_shared = false, has_shared_gate = false, scales_input = false;
  };

  bool is_on(std::string_view path, std::int64_t i) { return config_.evaluate(path, i) != 0; }
  std::int64_t count(std::string_view what, double value, std::int64_t least, std::int64_t most) const;
  const Choices& choices(MlpKind kind, std::int64_t i);
  RouterSpec router_choices(std::int64_t num_experts, std::int64_t i);
  void read_groups(RouterSpec& router, std::int64_t num_experts, std::int64_t i);
  std::optional<std::set<std::int64_t>> listed_layers(std::string_view path) const;
  LinearSpec linear(std::string address, std::string_view role, std::int64_t layer, std::int64_t expert,
                    bool has_bias);
  MlpSpec expert(const std::string& prefix, std::string_view role_prefix, std::int64_t layer,
                 std::int64_t expert, Activation activation);

  const Family& family_;
  ConfigReader& config_;
  TensorClaims& claims_;
  std::optional<Setting> layers_;
  std::optional<std::set<std::int64_t>> dense_layers_, sparse_layers_;
  std::optional<Choices> choices_;
};

}  // namespace llm2mnn
