#pragma once
// What mixes the tokens of each layer, and the mixers that are no attention: the [mixer] section of a family
// read through config.json. Private to this folder.

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "arch/config_reader.h"
#include "arch/decoder_spec.h"
#include "arch/tensor_claims.h"

namespace llm2mnn {

enum class LayerKind : std::uint8_t { kFull, kSliding, kChunked, kShortConv, kGatedDelta };

class MixerDescriber {
 public:
  /// References are kept.
  MixerDescriber(const Family& family, ConfigReader& config, TensorClaims& claims)
      : family_(family), config_(config), claims_(claims) {}

  /// @throws Error: kFormat for lists of config.json that do not name every layer; kUnsupported for words
  /// that the family does not know.
  LayerKind layer_kind(std::int64_t i);
  /// The mixer of a layer. What is missing is remembered by the claims.
  ShortConvSpec short_conv(std::int64_t i);
  GatedDeltaSpec gated_delta(std::int64_t i, double norm_eps);

 private:
  /// Nothing when config.json has no list of layer_types.
  std::optional<LayerKind> listed_kind(std::int64_t i) const;
  /// Nothing when config.json has no list of full_layers.
  std::optional<LayerKind> kind_by_full_layers(std::int64_t i);
  LayerKind mixer() const;
  bool has_chunks() const;
  LinearSpec linear(std::int64_t i, std::string_view block, std::string_view name, std::string_view role);
  std::int64_t taps() const;

  const Family& family_;
  ConfigReader& config_;
  TensorClaims& claims_;
  std::optional<Setting> layer_types_;
  std::optional<std::set<std::int64_t>> full_layers_;
};

}  // namespace llm2mnn
