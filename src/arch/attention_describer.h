#pragma once
// The [attention] section of a family read through config.json. Private to this folder.

#include <map>
#include <optional>
#include <vector>

#include "arch/part_describer.h"
#include "arch/rope_resolver.h"

namespace llm2mnn {

class AttentionDescriber {
 public:
  /// References are kept.
  AttentionDescriber(const Family& family, ConfigReader& config, TensorClaims& claims, PartDescriber& parts,
                     RopeResolver& ropes)
      : family_(family), config_(config), claims_(claims), parts_(parts), ropes_(ropes) {}

  /// What is one for all layers; before the first layer.
  void read_choices();
  /// The attention of layer `i`. What is missing is remembered by the claims.
  /// @throws Error: kFormat for numbers of config.json that do not fit together; kUnsupported for choices
  /// that do not go together.
  AttentionSpec describe(std::int64_t i, MaskKind mask, bool is_chunked);

 private:
  void read_sizes(std::int64_t i);
  AttentionSpec describe_latent(AttentionSpec attention, std::int64_t i);
  std::int64_t whole_number(std::string_view path);
  void add_chunks(AttentionSpec& attention, bool is_chunked);
  void add_temperature(AttentionSpec& attention);
  void check_latent_sizes(const LatentSpec& latent, std::int64_t rest);
  std::vector<double> alibi_slopes(std::int64_t count);
  void add_alibi(AttentionSpec& attention);
  void add_slopes(AttentionSpec& attention);
  void add_rounded_slopes(AttentionSpec& attention);
  void read_shared_layers();
  /// Keys and values of layer `i`, or the layer that makes them.
  void read_kv(AttentionSpec& attention, std::int64_t i);
  void check_kv_rotation(const AttentionSpec& attention, std::int64_t i);
  void scale_queries(AttentionSpec& attention, std::int64_t i);
  double query_factor(const AttentionSpec& attention, std::int64_t i);
  void pair_to_half(AttentionSpec& attention, std::int64_t rotary_dim) const;

  const Family& family_;
  ConfigReader& config_;
  TensorClaims& claims_;
  PartDescriber& parts_;
  RopeResolver& ropes_;
  std::int64_t num_heads_ = 0, num_kv_heads_ = 0, head_dim_ = 0;  // of the layer that is described
  double logit_softcap_ = 0;
  std::int64_t first_shared_ = 0;               // layers from this one on share keys and values
  std::vector<int> rope_idx_;                   // of the layers so far
  std::map<MaskKind, std::size_t> kv_sources_;  // the last layer of its type that makes its own
  bool has_qk_norm_ = false, norms_rotary_only_ = false;
  QkNormKind qk_norm_kind_ = QkNormKind::kHead;
};

}  // namespace llm2mnn
