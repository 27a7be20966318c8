#pragma once
// Attention of all kinds, and the tables of positions that its layers share. Private to this folder.

#include <utility>
#include <vector>

#include "lower/graph_parts.h"

namespace llm2mnn {

class AttentionLowering {
 public:
  /// References are kept.
  AttentionLowering(const DecoderSpec& spec, GraphParts& parts) : spec_(spec), parts_(parts) {}

  /// Adds the tables that the layers read; once, in front of all layers.
  void add_tables();
  /// A(x) of layer `layer_idx`.
  ir::ValueId attention(std::size_t layer_idx, const AttentionSpec& spec, ir::ValueId x);

 private:
  /// Values of the rotary tables of one rope.
  struct RopeValues {
    ir::ValueId cos, sin;
  };

  void add_alibi_positions();
  void add_alibi_products(const AttentionSpec& spec);
  void widen_for_alibi_products(const std::string& prefix, const AttentionSpec& spec, ir::ValueId& q,
                                ir::ValueId& k, ir::ValueId& v);
  ir::ValueId widened_query(const std::string& prefix, const AttentionSpec& spec, ir::ValueId q,
                            std::int64_t channels);
  void widen_for_alibi(const std::string& prefix, const AttentionSpec& spec, ir::ValueId& q, ir::ValueId& k,
                       ir::ValueId& v);
  void add_chunk_codes();
  void add_temperatures();
  void widen_for_chunks(const std::string& prefix, const AttentionSpec& spec, ir::ValueId& q, ir::ValueId& k,
                        ir::ValueId& v);
  /// Channels that a head has in front of its own ones.
  std::int64_t extra_channels(const AttentionSpec& spec) const;
  bool is_rope_used(std::size_t idx) const;
  RopeValues rope_table(std::size_t idx);
  ir::ValueId clip(ir::ValueId x, const AttentionSpec& spec, const std::string& node);
  void rotate(const AttentionSpec& spec, const std::string& node, ir::ValueId& q, ir::ValueId& k);
  void head_norms(const AttentionSpec& spec, ir::ValueId& q, ir::ValueId& k);
  ir::ValueId head_norm(const NormSpec& spec, ir::ValueId x, std::int64_t heads,
                        const AttentionSpec& attention);
  ir::ValueId latent_query(const LatentSpec& latent, const LinearSpec& q_proj, ir::ValueId x);
  std::pair<ir::ValueId, ir::ValueId> latent_key_value(const std::string& prefix, const AttentionSpec& spec,
                                                       ir::ValueId x);

  /// Keys in front of their rotation, and values.
  struct KeyValue {
    ir::ValueId k = ir::kNoValue, v = ir::kNoValue;
  };
  KeyValue key_value(const std::string& prefix, const AttentionSpec& spec, ir::ValueId x);

  const DecoderSpec& spec_;
  GraphParts& parts_;
  /// Rows for chunks of `chunk_size` positions: what tells them apart, in q and in k.
  struct ChunkCodes {
    std::int64_t chunk_size = 0, channels = 0;
    ir::ValueId q = ir::kNoValue, k = ir::kNoValue;
  };

  ir::ValueId alibi_high_ = ir::kNoValue, alibi_low_ = ir::kNoValue, alibi_products_ = ir::kNoValue;
  ChunkCodes chunks_;
  ir::ValueId temperature_ = ir::kNoValue;
  std::vector<RopeValues> ropes_;  // parallel to spec_.ropes
  std::vector<KeyValue> kv_;       // of the layers so far
};

}  // namespace llm2mnn
