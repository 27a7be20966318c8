#pragma once
// Dense MLPs and mixtures of experts. Private to this folder.

#include <string>

#include "lower/graph_parts.h"

namespace llm2mnn {

ir::UnaryKind unary_of(Activation activation);
/// M(x); nodes are named behind `prefix`.
ir::ValueId lower_mlp(GraphParts& parts, const std::string& prefix, const MlpSpec& spec, ir::ValueId x);
ir::ValueId lower_moe(GraphParts& parts, std::size_t layer_idx, const MoeSpec& spec, ir::ValueId x);

}  // namespace llm2mnn
