#include "convert/approximate.h"

#include <fmt/format.h>

#include "base/error.h"

namespace llm2mnn {

// A cap on scores stands between two products of the Attention op, which keeps the cache of keys and values
// to itself: neither a factor in the weights nor ops around it can make it.
std::vector<Approximation> drop_inexpressible(ir::Graph& graph, std::string_view reader, bool allow) {
  double cap = 0;
  for (ir::Node& node : graph.nodes) {
    auto* attention = std::get_if<ir::Attention>(&node.op);
    if (attention == nullptr || attention->softcap == 0) continue;
    cap = attention->softcap;
    attention->softcap = 0;
  }
  if (cap == 0) return {};
  if (!allow) {
    fail(ErrorKind::kUnsupported,
         "attention.logit_softcap is {}: {} cannot cap attention scores, since MNN's Attention op does not; "
         "--allow_approximate exports without the cap, --export onnx --onnx_flavour ort or genai with it",
         cap, reader);
  }
  return {{"attention.logit_softcap", cap,
           fmt::format("APPROXIMATE: attention scores are not capped at {} (attention.logit_softcap)", cap)}};
}

}  // namespace llm2mnn
