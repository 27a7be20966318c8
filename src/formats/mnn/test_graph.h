#pragma once
// Tiny decoders for the tests of this folder.

#include <cstdint>
#include <string>
#include <vector>

#include "formats/mnn/mnn_package.h"
#include "ir/graph.h"

namespace llm2mnn::mnn::testing {

/// Features of a one-layer decoder; the defaults make a Qwen 3.
struct TinyOptions {
  std::int64_t hidden_size = 16;
  std::int64_t head_dim = 4;  ///< 4 query heads, 2 key heads
  std::int64_t vocab_size = 20;
  bool has_bias = false;
  bool has_qk_norm = true;
  bool has_head_weights = false;  ///< a ChannelScale behind q_norm and k_norm
  bool has_clip = false;          ///< a Clamp behind q_proj
  bool norms_after_rope = false;  ///< q_norm and k_norm
  bool has_xielu = false;         ///< an MLP without gate
  bool has_rope = true;
  bool has_positions = false;  ///< a learned table of 12 positions
  bool rms = true;
  bool has_sinks = false;
  ir::MaskKind mask = ir::MaskKind::kFull;
  ir::UnaryKind activation = ir::UnaryKind::kSilu;
  int num_layers = 1;
  std::int64_t num_experts = 0;  ///< more than 0: in place of the MLP, two for each token
  ir::RouterKind router = ir::RouterKind::kSoftmax;
  bool has_groups = false;  ///< and a selection bias, renormalisation and a scale
};

ir::Graph tiny_graph(const TinyOptions& options = {});

/// One scheme for every weight.
std::vector<QuantScheme> schemes_of(const ir::Graph& graph, int bits, std::int64_t group_size = 0,
                                    bool symmetric = false, ScaleType scale_type = ScaleType::kF32);

/// A vector of ones of the weight's size.
VectorReader ones(const ir::Graph& graph);

}  // namespace llm2mnn::mnn::testing
