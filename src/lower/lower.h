#pragma once
// DecoderSpec to the semantic graph.

#include <vector>

#include "arch/decoder_spec.h"
#include "ir/graph.h"

namespace llm2mnn {

/// What the plan needs to know of a weight of the graph; parallel to Graph::weights.
struct LoweredWeight {
  Binding binding;
  WeightRole role = WeightRole::kQProj;
  bool is_matrix = false;  ///< a Linear's weight: gets a quantisation scheme
};

struct Lowered {
  ir::Graph graph;
  std::vector<LoweredWeight> weights;
};

/// Positions that rotary tables cover for a model of `max_position_embeddings`: four times as many, at least
/// 32768, at most 2^24 (the last integer that float32 positions hold), so that no config value sizes an
/// allocation freely.
std::int64_t rope_table_positions(std::int64_t max_position_embeddings);

/// Lowers the whole decoder. Never reads weights. The result passes ir::verify.
Lowered lower(const DecoderSpec& spec);

}  // namespace llm2mnn
