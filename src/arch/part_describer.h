#pragma once
// Norms and linears, the parts of every block, read through a family. Private to this folder.

#include <string>
#include <string_view>

#include "arch/config_reader.h"
#include "arch/decoder_spec.h"
#include "arch/tensor_claims.h"

namespace llm2mnn {

class PartDescriber {
 public:
  /// References are kept.
  PartDescriber(const Family& family, ConfigReader& config, TensorClaims& claims)
      : family_(family), config_(config), claims_(claims) {}

  /// The [norm] section; before the first norm. @throws Error(kFormat) for a negative eps.
  void read_norms();
  double norm_eps() const { return eps_; }

  /// The parts at an address, for layer `layer` (-1: none). What is missing is remembered by the claims.
  NormSpec norm(std::string address, std::string_view role, std::int64_t layer);
  LinearSpec linear(std::string address, std::string_view role, std::int64_t layer, bool has_bias);

  bool is_on(std::string_view path) { return config_.evaluate(path) != 0; }
  /// @throws Error(kFormat) naming the setting when its value is not positive.
  double positive(std::string_view path, double value);
  double positive(std::string_view path) { return positive(path, config_.evaluate(path)); }

 private:
  const Family& family_;
  ConfigReader& config_;
  TensorClaims& claims_;
  NormKind kind_ = NormKind::kRms;
  double eps_ = 0;
  float gamma_offset_ = 0;
};

}  // namespace llm2mnn
