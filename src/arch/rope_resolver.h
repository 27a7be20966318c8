#pragma once
// Which rotary table each layer uses: the family's [rope] settings and the two spellings of config.json.

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "arch/config_reader.h"
#include "arch/decoder_spec.h"
#include "arch/rope.h"

namespace llm2mnn {

/// The rotary embedding of one layer.
struct RopeUse {
  int idx = -1;  ///< into the tables of `finish`; -1: none
  std::int64_t rotary_dim = 0;
  bool is_pair = false;  ///< stored as interleaved pairs
};

class RopeResolver {
 public:
  RopeResolver(const Family& family, ConfigReader& config) : family_(family), config_(config) {}

  /// The rope of a layer. Nothing in proportion to a config value is allocated here.
  RopeUse use(MaskKind mask, std::int64_t layer);
  /// The tables that layers use, and their limits as notes. To be called when head_dim is known to be that of
  /// a stored tensor.
  std::vector<RopeSpec> finish(std::vector<std::string>& notes);

 private:
  struct Rope {
    RopeParameters parameters;
    double theta = 0;
    std::int64_t rotary_dim = 0;
    double exact_below = 0;
    double attention_factor = 0;  ///< 0: the rule's own
    bool is_pair = false;
    int idx = -1;
    friend bool operator==(const Rope&, const Rope&) = default;
  };

  Rope resolve(std::string_view layer_type);
  RopeParameters parameters_of(std::string_view layer_type, bool reads_flat);
  std::optional<RopeParameters> read_spelling(std::string_view key, std::string_view layer_type,
                                              bool reads_flat);
  double theta_of(const RopeParameters& parameters, std::string_view layer_type);
  std::int64_t rotary_dim_of(std::string_view layer_type);

  const Family& family_;
  ConfigReader& config_;
  std::array<std::optional<Rope>, 2> by_type_;  // of full and sliding layers
  std::vector<Rope> ropes_;
};

}  // namespace llm2mnn
