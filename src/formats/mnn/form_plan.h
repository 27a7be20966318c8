#pragma once
// What one graph form folds into bigger ops, decided once and read by the layout, the writer and the version
// rule alike.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "formats/mnn/mnn_package.h"
#include "ir/graph.h"

namespace llm2mnn::mnn {

/// Whether the runtime's packed LayerNorm and packed attention output are right for a row of `channels`. They
/// leave the unused lanes of the last pack unset, and the int8 convolutions of "memory": "low" read them:
/// measured wrong at widths that are no multiple of 8; 16 is the widest pack of its CPU kernels.
constexpr bool fills_packs(std::int64_t channels) { return channels % 16 == 0; }

/// Folded nodes are indexes into Graph::nodes.
struct FormPlan {
  /// Per Rope or Attention node: made of plain ops, because the form's own op is not right at its width (or
  /// the form has none).
  std::vector<bool> is_plain;
  /// Per node: a Norm whose gamma lives inside a Rope (its input is the Rope's input then).
  std::vector<bool> norm_is_inlined;
  /// Per node: the Norm that an Add is fused with (2-in/2-out LayerNorm); empty for every other node.
  std::vector<std::optional<std::size_t>> norm_of_add;
  /// Per node: a Norm that some Add already emits.
  std::vector<bool> norm_is_fused;
  /// Per Rope node: the inlined norms of q and k.
  std::vector<std::optional<std::size_t>> q_norm_of_rope;
  std::vector<std::optional<std::size_t>> k_norm_of_rope;
};

/// kCompat folds nothing.
FormPlan plan_form(const ir::Graph& graph, GraphForm form);

}  // namespace llm2mnn::mnn
