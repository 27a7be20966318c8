#pragma once
// What stands beside the residual stream of a block: per-layer embeddings, LAuReL, AltUp. Private to this
// folder.

#include <string>

#include "lower/graph_parts.h"

namespace llm2mnn {

class ResidualLowering {
 public:
  /// References are kept.
  ResidualLowering(const DecoderSpec& spec, GraphParts& parts) : spec_(spec), parts_(parts) {}

  /// The residual streams [T, n * H] of the embedding `x`, or x itself; and what all layers read. Once, in
  /// front of all layers.
  ir::ValueId begin(ir::ValueId x);
  /// The stream that the block of a layer reads.
  ir::ValueId block_input(std::size_t layer_idx, ir::ValueId streams);
  /// The streams behind a layer whose block made y.
  ir::ValueId layer_output(std::size_t layer_idx, ir::ValueId y);
  /// One stream, for the final norm.
  ir::ValueId end(ir::ValueId streams);

 private:
  void add_per_layer_parts(ir::ValueId x);
  ir::ValueId per_layer_input(std::size_t layer_idx, ir::ValueId x);
  ir::ValueId coefs(const AltupSpec& spec, const LinearSpec& coefs, const std::string& prefix,
                    std::string_view step, ir::ValueId x);
  ir::ValueId correct(std::size_t layer_idx, const AltupSpec& spec, ir::ValueId y);
  ir::ValueId slice(const std::string& node, ir::ValueId x, std::int64_t begin, std::int64_t size);
  ir::ValueId join(const std::string& node, ir::ValueId a, std::int64_t a_size, ir::ValueId b,
                   std::int64_t b_size);
  ir::ValueId mix(const std::string& node, ir::ValueId x, ir::ValueId coefs, std::int64_t from,
                  std::int64_t to);
  ir::ValueId root_mean_square(const std::string& node, ir::ValueId x, double least, bool inverse);
  ir::ValueId as_long(const std::string& prefix, const LinearSpec& linear, ir::ValueId x, ir::ValueId length);

  const DecoderSpec& spec_;
  GraphParts& parts_;
  ir::ValueId per_layer_ = ir::kNoValue;    // [T, L * p]
  ir::ValueId predicted_ = ir::kNoValue;    // streams of the layer at hand
  ir::ValueId block_input_ = ir::kNoValue;  // the active one
};

/// x + n(right(left x)).
ir::ValueId lower_laurel(GraphParts& parts, const std::string& prefix, const LaurelSpec& spec, ir::ValueId x);

}  // namespace llm2mnn
