#pragma once
// Features of a model that an output cannot express: refused by name, or dropped when the user allows it.

#include <string>
#include <vector>

#include "ir/graph.h"

namespace llm2mnn {

/// A feature that was left out, for the manifest and the screen.
struct Approximation {
  std::string feature;  ///< the word of family files: "attention.logit_softcap"
  double value = 0;
  std::string text;  ///< one line: what is missing
};

/// Drops from `graph` what MNN's runtime has no op for. `reader` says who needs it gone ("an MNN package").
/// @throws Error(kUnsupported) naming the feature, the reason and the ways out, unless `allow`.
std::vector<Approximation> drop_inexpressible(ir::Graph& graph, std::string_view reader, bool allow);

}  // namespace llm2mnn
