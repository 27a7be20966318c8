#pragma once
// The nodes that every part of a decoder is made of. Private to this folder.

#include <string>
#include <string_view>

#include "lower/lower.h"

namespace llm2mnn {

/// "layers.3.self_attn.q_proj" to "/layers.3/self_attn/q_proj".
std::string node_name(std::string_view address);

/// Adds nodes and weights to a graph. Each function returns the value that its node makes; weights are
/// numbered in the order of the calls.
class GraphParts {
 public:
  explicit GraphParts(Lowered& out) : out_(out) {}

  ir::Graph& graph() { return out_.graph; }
  /// The output of a node.
  ir::ValueId value_of(const std::string& node) { return graph().add_value(node + "/output"); }
  ir::WeightId weight(std::string address, const Binding& binding, WeightRole role, bool is_matrix);

  ir::ValueId linear(const LinearSpec& spec, ir::ValueId x);
  /// `heads` > 1: the norm of each head of [T, heads * n].
  ir::ValueId norm(const NormSpec& spec, ir::ValueId x, std::int64_t heads);
  ir::ValueId optional_norm(const std::optional<NormSpec>& spec, ir::ValueId x) {
    return spec ? norm(*spec, x, 1) : x;
  }
  ir::ValueId scale(const std::string& node, ir::ValueId x, double factor);
  ir::ValueId add(const std::string& node, ir::ValueId a, ir::ValueId b);
  ir::ValueId multiply(const std::string& node, ir::ValueId a, ir::ValueId b);
  /// A unary op named behind what it reads: "/layers.0/mlp/gate/sigmoid".
  ir::ValueId unary(ir::ValueId x, ir::UnaryKind kind, std::string_view name);
  ir::ValueId sigmoid(ir::ValueId x) { return unary(x, ir::UnaryKind::kSigmoid, "sigmoid"); }
  /// The rows of a table [P, n] at the positions of the tokens: row (position + offset) / stride.
  ir::ValueId positions_of(const std::string& address, const Binding& table, std::int64_t stride = 1,
                           std::int64_t offset = 0);
  /// The rows of a table [V, n] of the tokens.
  ir::ValueId table_rows(const std::string& address, const Binding& table);
  /// Heads of `from` channels cut, or filled with zeros, to `to`.
  ir::ValueId resize_heads(const std::string& node, ir::ValueId x, std::int64_t heads, std::int64_t from,
                           std::int64_t to);

 private:
  Lowered& out_;
};

}  // namespace llm2mnn
