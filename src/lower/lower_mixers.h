#pragma once
// What stands in place of attention. Private to this folder.

#include "lower/graph_parts.h"

namespace llm2mnn {

ir::ValueId lower_short_conv(GraphParts& parts, std::size_t layer_idx, const ShortConvSpec& spec,
                             ir::ValueId x);
ir::ValueId lower_gated_delta(GraphParts& parts, std::size_t layer_idx, const GatedDeltaSpec& spec,
                              ir::ValueId x);

}  // namespace llm2mnn
