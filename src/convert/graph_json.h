#pragma once
// The semantic graph as JSON and back.

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "ir/graph.h"

namespace llm2mnn {

nlohmann::ordered_json graph_json(const ir::Graph& graph);

/// @throws Error(kFormat) naming the node for whatever is no well formed graph.
ir::Graph parse_graph(const JsonValue& value);

}  // namespace llm2mnn
