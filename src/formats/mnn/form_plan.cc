#include "formats/mnn/form_plan.h"

#include <variant>

namespace llm2mnn::mnn {
namespace {

/// Nodes that read each value.
std::vector<std::vector<std::size_t>> readers_of_values(const ir::Graph& graph) {
  std::vector<std::vector<std::size_t>> readers(graph.values.size());
  for (std::size_t n = 0; n < graph.nodes.size(); ++n)
    for (const ir::ValueId id : ir::inputs_of(graph.nodes[n].op))
      readers[id].push_back(n);
  return readers;
}

/// Nothing folded, everything plain: the compat form, and the start of the packed one.
FormPlan plain_plan(const ir::Graph& graph) {
  const std::size_t count = graph.nodes.size();
  FormPlan plan;
  plan.is_plain.resize(count, true);
  plan.norm_is_inlined.resize(count, false);
  plan.norm_of_add.resize(count);
  plan.norm_is_fused.resize(count, false);
  plan.q_norm_of_rope.resize(count);
  plan.k_norm_of_rope.resize(count);
  return plan;
}

constexpr std::int64_t kMaxInlineNorm = 512;  // the widest head of any model known

class Planner {
 public:
  explicit Planner(const ir::Graph& graph) : graph_(graph), readers_(readers_of_values(graph)) {
    const std::size_t count = graph.nodes.size();
    producer_.resize(graph.values.size());
    for (std::size_t n = 0; n < count; ++n)
      for (const ir::ValueId id : ir::outputs_of(graph.nodes[n].op))
        producer_[id] = n;
    plan_.norm_is_inlined.resize(count, false);
    plan_.norm_of_add.resize(count);
    plan_.norm_is_fused.resize(count, false);
    plan_.q_norm_of_rope.resize(count);
    plan_.k_norm_of_rope.resize(count);
  }

  FormPlan run() {
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      if (const auto* attention = std::get_if<ir::Attention>(&graph_.nodes[n].op))
        plan_.is_plain[n] = !fills_packs(attention->num_attention_heads * attention->head_dim);
      if (const auto* rope = std::get_if<ir::Rope>(&graph_.nodes[n].op)) plan_rope(n, *rope);
      if (const auto* add = std::get_if<ir::Add>(&graph_.nodes[n].op)) fuse_add(n, *add);
    }
    return std::move(plan_);
  }

 private:
  void plan_rope(std::size_t n, const ir::Rope& rope) {
    // The RoPE op's output layout suits only the packed attention.
    plan_.is_plain[n] = !fills_packs(rope.num_attention_heads * rope.head_dim);
    if (plan_.is_plain[n]) return;
    plan_.q_norm_of_rope[n] = inline_norm(rope.q, rope.head_dim);
    plan_.k_norm_of_rope[n] = inline_norm(rope.k, rope.head_dim);
  }

  /// RoPE's own norm: RMS, per head, without beta, and nobody else reads the normalised value. Its gamma lies
  /// inside llm.mnn, so it must be small.
  std::optional<std::size_t> inline_norm(ir::ValueId value, std::int64_t head_dim) {
    const std::optional<std::size_t> n = producer_[value];
    if (!n || readers_[value].size() != 1) return std::nullopt;
    const auto* norm = std::get_if<ir::Norm>(&graph_.nodes[*n].op);
    if (norm == nullptr || !norm->rms || norm->beta || norm->size != head_dim || norm->size > kMaxInlineNorm)
      return std::nullopt;
    plan_.norm_is_inlined[*n] = true;
    return n;
  }

  void fuse_add(std::size_t n, const ir::Add& add) {
    for (const std::size_t reader : readers_[add.y]) {
      const auto* norm = std::get_if<ir::Norm>(&graph_.nodes[reader].op);
      if (norm == nullptr || norm->heads != 1 || !norm->rms || !fills_packs(norm->size)) continue;
      plan_.norm_of_add[n] = reader;
      plan_.norm_is_fused[reader] = true;
      return;
    }
  }

  const ir::Graph& graph_;
  std::vector<std::vector<std::size_t>> readers_;
  std::vector<std::optional<std::size_t>> producer_;  // node of each value; none for the graph's input
  FormPlan plan_ = plain_plan(graph_);
};

}  // namespace

FormPlan plan_form(const ir::Graph& graph, GraphForm form) {
  return form == GraphForm::kPacked ? Planner(graph).run() : plain_plan(graph);
}

}  // namespace llm2mnn::mnn
