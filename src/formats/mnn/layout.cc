#include <algorithm>
#include <fmt/format.h>
#include <variant>

#include "base/checked.h"
#include "base/error.h"
#include "formats/mnn/form_plan.h"
#include "formats/mnn/mnn_package.h"
#include "ir/rotary.h"

namespace llm2mnn::mnn {
namespace {

void append_le(std::vector<std::byte>& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i)
    out.push_back(static_cast<std::byte>((value >> (8 * i)) & 0xff));
}

/// Header of a quantised blob: rank, sizes, number of samples (256 wraps to 0), the samples themselves.
std::vector<std::byte> quantised_header(const LinearBlob& blob) {
  std::vector<std::byte> header;
  const int dim_bytes = blob.has_wide_sizes() ? 4 : 2;
  append_le(header, 2, 1);
  append_le(header, static_cast<std::uint64_t>(blob.rows), dim_bytes);
  append_le(header, static_cast<std::uint64_t>(blob.cols), dim_bytes);
  const int samples = 1 << blob.scheme.bits;
  append_le(header, static_cast<std::uint64_t>(samples), 1);
  for (int code = -samples / 2; code < samples / 2; ++code)
    header.push_back(static_cast<std::byte>(code));
  return header;
}

class LayoutBuilder {
 public:
  LayoutBuilder(const ir::Graph& graph, std::span<const QuantScheme> schemes, GraphForm form)
      : graph_(graph), schemes_(schemes), plan_(plan_form(graph, form)) {
    LLM2MNN_CHECK(schemes.size() == graph.weights.size());
  }

  WeightFileLayout run() {
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
      const ir::Op& op = graph_.nodes[n].op;
      if (const auto* linear = std::get_if<ir::Linear>(&op))
        place(linear->weight, linear->bias, linear->out_features, linear->in_features);
      if (const auto* experts = std::get_if<ir::Experts>(&op)) place(*experts);
      if (const auto* table = std::get_if<ir::RopeTable>(&op)) place(*table);
      if (const auto* scale = std::get_if<ir::ChannelScale>(&op)) place_vector(scale->weight);
      if (const auto* conv = std::get_if<ir::ShortConv>(&op)) place_vector(conv->kernel);
      if (const auto* delta = std::get_if<ir::GatedDelta>(&op)) place_vector(delta->kernel);
      if (const auto* table = std::get_if<ir::PositionEmbedding>(&op)) place(*table);
      if (const auto* xielu = std::get_if<ir::Xielu>(&op)) {
        for (const ir::WeightId id : {xielu->a, xielu->b, xielu->n})
          place_vector(id);
      }
      const auto* attention = std::get_if<ir::Attention>(&op);
      if (attention != nullptr && attention->sinks) place_vector(*attention->sinks);
      LLM2MNN_CHECK(attention == nullptr || attention->softcap == 0);  // no op has it
      const auto* norm = std::get_if<ir::Norm>(&op);
      if (norm != nullptr && !plan_.norm_is_inlined[n]) place(*norm);
    }
    check_graph_size();
    layout_.total_bytes = end_;
    return std::move(layout_);
  }

 private:
  void place(const ir::Experts& op) {
    for (const ir::Expert& expert : op.experts) {
      place(expert.gate.weight, expert.gate.bias, op.intermediate_size, op.hidden_size);
      place(expert.up.weight, expert.up.bias, op.intermediate_size, op.hidden_size);
      place(expert.down.weight, expert.down.bias, op.hidden_size, op.intermediate_size);
    }
  }

  void place(ir::WeightId weight, std::optional<ir::WeightId> bias, std::int64_t rows, std::int64_t cols) {
    LinearBlob blob;
    blob.weight = weight;
    blob.bias = bias;
    blob.scheme = schemes_[weight];
    blob.rows = rows;
    blob.cols = cols;
    blob.offset = end_;
    check_size(blob);
    if (!blob.scheme.is_float()) blob.header = quantised_header(blob);
    blob.codes_bytes = checked_cast<std::uint64_t>(codes_bytes(blob.scheme, blob.rows, blob.cols));
    blob.alpha_bytes = checked_cast<std::uint64_t>(alpha_bytes(blob.scheme, blob.rows, blob.cols));
    if (bias || blob.scheme.bits == 32) blob.bias_bytes = 4 * static_cast<std::uint64_t>(blob.rows);
    end_ = blob.end();
    layout_.linear_at.emplace(weight, layout_.linears.size());
    layout_.linears.push_back(std::move(blob));
  }

  void check_size(const LinearBlob& blob) const {
    // The runtime counts a matrix's weights, and its fp32 bytes when it has no codes, in an int.
    constexpr std::int64_t kMaxWeights = (std::int64_t{1} << 31) - 1;
    std::int64_t weights = 0;
    if (!checked_mul(blob.rows, blob.cols, weights) || weights > kMaxWeights)
      fail(ErrorKind::kUnsupported,
           "{}: {} has 2^31 weights or more; MNN's container holds fewer in one matrix",
           shown(graph_.weights[blob.weight].address), shape_text(graph_.weights[blob.weight].shape));
    if (!blob.scheme.is_float() && blob.scheme.group_size != 0 && blob.cols % blob.scheme.group_size != 0)
      fail(ErrorKind::kInternal, "{}: block {} does not divide its rows of {} weights",
           shown(graph_.weights[blob.weight].address), blob.scheme.group_size, blob.cols);
  }

  /// A FlatBuffer ends at 2 GiB, the runtime's verifier at a million tables; an op needs at most 8 of them
  /// and, with two inlined norms, about 5 KiB. An expert is a sub-graph of three matrices and six more ops.
  void check_graph_size() const {
    constexpr std::size_t kMaxTables = 1'000'000, kTablesOfExpert = 28, kTablesOfNode = 8,
                          kTablesOfRoute = 60;
    constexpr std::size_t kMaxNodes = 60000;
    if (graph_.nodes.size() > kMaxNodes)
      fail(ErrorKind::kUnsupported, "the graph has {} ops, MNN's container holds at most {}",
           graph_.nodes.size(), kMaxNodes);
    std::size_t tables = kTablesOfNode * graph_.nodes.size(), num_experts = 0;
    for (const ir::Node& node : graph_.nodes) {
      const auto* experts = std::get_if<ir::Experts>(&node.op);
      if (experts == nullptr) continue;
      num_experts += experts->experts.size();
      tables += kTablesOfExpert * experts->experts.size() + kTablesOfRoute;
    }
    if (tables > kMaxTables)
      fail(ErrorKind::kUnsupported, "the graph has {} experts in all, more than MNN's container holds",
           num_experts);
  }

  void place(const ir::Norm& op) {
    layout_.norms.push_back({op.gamma, op.beta, op.size, end_});
    end_ = layout_.norms.back().end();
  }

  void place_vector(ir::WeightId weight) {
    layout_.vectors.push_back({weight, graph_.weights[weight].shape.front(), end_});
    end_ = layout_.vectors.back().end();
  }

  void place(const ir::PositionEmbedding& op) {
    layout_.tables.push_back({op.table, op.num_rows, op.size, end_});
    end_ += layout_.tables.back().bytes();
  }

  void place(const ir::RopeTable& op) {
    // The widest head of any model known is 512; the tables are made in memory and must stay small.
    constexpr std::size_t kMaxRotaryDim = 1024;
    if (2 * op.inv_freq.size() > kMaxRotaryDim)
      fail(ErrorKind::kUnsupported, "{} rotary channels in a head, at most {} are supported",
           2 * op.inv_freq.size(), kMaxRotaryDim);
    for (std::vector<std::byte>& bytes : ir::rotary_tables(op)) {
      layout_.consts.push_back({end_, std::move(bytes)});
      end_ = layout_.consts.back().end();
    }
  }

  const ir::Graph& graph_;
  std::span<const QuantScheme> schemes_;
  FormPlan plan_;
  WeightFileLayout layout_;
  std::uint64_t end_ = 0;
};

}  // namespace

const LinearBlob& WeightFileLayout::linear_of(ir::WeightId weight) const {
  const auto found = linear_at.find(weight);
  LLM2MNN_CHECK(found != linear_at.end());
  return linears[found->second];
}

WeightFileLayout lay_out(const ir::Graph& graph, std::span<const QuantScheme> schemes, GraphForm form) {
  return LayoutBuilder(graph, schemes, form).run();
}

}  // namespace llm2mnn::mnn
