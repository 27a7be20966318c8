#include <algorithm>
#include <fmt/format.h>

#include "formats/mnn/mnn_package.h"

namespace llm2mnn::mnn {

std::string RuntimeVersion::text() const { return fmt::format("{}.{}.{}", major, minor, patch); }

void RuntimeNeed::raise(RuntimeVersion release, std::string reason) {
  if (release > version) *this = {release, std::move(reason)};
}

RuntimeNeed minimum_runtime(const ir::Graph& graph, const WeightFileLayout& layout, GraphForm form) {
  // First releases with each feature, oldest first; the last one that applies decides.
  RuntimeNeed need{{3, 1, 0}, "the graph input logits_index"};
  const auto any_linear = [&layout](auto&& holds) {
    return std::any_of(layout.linears.begin(), layout.linears.end(), holds);
  };
  if (any_linear([](const LinearBlob& blob) { return !blob.scheme.is_float(); }))
    need.raise({3, 1, 1}, "quantised weights that state their width");
  const bool has_experts = std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const ir::Node& node) {
    return std::holds_alternative<ir::Experts>(node.op);
  });
  if (has_experts) need.raise({3, 2, 0}, "the op for mixtures of experts");
  if (graph.has_sliding_layers) need.raise({3, 2, 3}, "the sliding-window mask (attention_type mix)");
  if (std::ranges::any_of(graph.nodes, [](const ir::Node& node) {
        const auto* attention = std::get_if<ir::Attention>(&node.op);
        return attention != nullptr && attention->sinks.has_value();
      }))
    need.raise({3, 2, 3}, "attention sinks");
  const bool is_recurrent = std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const ir::Node& node) {
    return std::holds_alternative<ir::ShortConv>(node.op) || std::holds_alternative<ir::GatedDelta>(node.op);
  });
  // 3.4.1 has the op, but forgets its state before every prompt and knows no short convolution.
  if (is_recurrent) need.raise({3, 5, 0}, "the op for linear attention and short convolutions");
  if (any_linear([](const LinearBlob& blob) {
        return !blob.scheme.is_float() && blob.scheme.scale_type == ScaleType::kF16;
      }))
    need.raise({3, 6, 0}, "fp16 scales (--scale_bit 32 avoids them)");
  if (form == GraphForm::kPacked) need.raise({3, 6, 1}, "the packed graph form; --compat 3.1 avoids it");
  return need;
}

}  // namespace llm2mnn::mnn
