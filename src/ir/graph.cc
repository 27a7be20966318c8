#include "ir/graph.h"

#include <utility>

#include "base/checked.h"
#include "base/overloaded.h"

namespace llm2mnn::ir {

WeightId Graph::add_weight(std::string address, Shape shape) {
  weights.push_back({std::move(address), std::move(shape)});
  return checked_cast<WeightId>(weights.size() - 1);
}

ValueId Graph::add_value(std::string name) {
  values.push_back({std::move(name)});
  return checked_cast<ValueId>(values.size() - 1);
}

void Graph::add_node(std::string name, Op op) { nodes.push_back({std::move(name), std::move(op)}); }

std::vector<ValueId> inputs_of(const Op& op) {
  using Ids = std::vector<ValueId>;
  return std::visit(Overloaded{
                        [](const Add& n) -> Ids {
                          return {n.a, n.b};
                        },
                        [](const Multiply& n) -> Ids {
                          return {n.a, n.b};
                        },
                        [](const GatedUnit& n) -> Ids {
                          return {n.gate, n.up};
                        },
                        [](const JoinHeads& n) -> Ids {
                          return {n.shared, n.own};
                        },
                        [](const Experts& n) -> Ids {
                          return {n.x, n.weights, n.indices};
                        },
                        [](const GatedDelta& n) -> Ids {
                          return {n.x, n.gate, n.beta};
                        },
                        [](const RopeTable&) -> Ids { return {}; },
                        [](const PositionEmbedding&) -> Ids { return {}; },
                        [](const TokenEmbedding&) -> Ids { return {}; },
                        [](const MixHeads& n) -> Ids {
                          return {n.x, n.coefs};
                        },
                        [](const Rope& n) -> Ids {
                          return {n.q, n.k, n.cos, n.sin};
                        },
                        [](const Attention& n) -> Ids {
                          return {n.q, n.k, n.v};
                        },
                        [](const auto& n) -> Ids { return {n.x}; },
                    },
                    op);
}

std::vector<ValueId> outputs_of(const Op& op) {
  using Ids = std::vector<ValueId>;
  return std::visit(Overloaded{
                        [](const RopeTable& n) -> Ids {
                          return {n.cos, n.sin};
                        },
                        [](const Rope& n) -> Ids {
                          return {n.q_out, n.k_out};
                        },
                        [](const Route& n) -> Ids {
                          return {n.weights, n.indices};
                        },
                        [](const auto& n) -> Ids { return {n.y}; },
                    },
                    op);
}

std::vector<WeightId> weights_of(const Op& op) {
  std::vector<WeightId> ids;
  const auto add = [&ids](std::optional<WeightId> id) {
    if (id) ids.push_back(*id);
  };
  const auto add_linear = [&add](const ExpertLinear& linear) {
    add(linear.weight);
    add(linear.bias);
  };
  std::visit(
      Overloaded{
          [&](const Linear& n) { add(n.weight), add(n.bias); },
          [&](const Norm& n) { add(n.gamma), add(n.beta); }, [&](const ChannelScale& n) { add(n.weight); },
          [&](const Xielu& n) { add(n.a), add(n.b), add(n.n); }, [&](const Attention& n) { add(n.sinks); },
          [&](const ShortConv& n) { add(n.kernel); }, [&](const GatedDelta& n) { add(n.kernel); },
          [&](const PositionEmbedding& n) { add(n.table); }, [&](const TokenEmbedding& n) { add(n.table); },
          [&](const Route& n) { add(n.selection_bias); },
          [&](const Experts& n) {
            for (const Expert& expert : n.experts)
              add_linear(expert.gate), add_linear(expert.up), add_linear(expert.down);
          },
          [](const auto&) {}},
      op);
  return ids;
}

std::vector<bool> lookup_tables(const Graph& graph) {
  std::vector<bool> tables(graph.weights.size(), false);
  for (const Node& node : graph.nodes) {
    if (const auto* op = std::get_if<PositionEmbedding>(&node.op)) tables.at(op->table) = true;
    if (const auto* op = std::get_if<TokenEmbedding>(&node.op)) tables.at(op->table) = true;
  }
  return tables;
}

const TokenEmbedding* token_embedding(const Graph& graph) {
  for (const Node& node : graph.nodes)
    if (const auto* op = std::get_if<TokenEmbedding>(&node.op)) return op;
  return nullptr;
}

std::string_view op_name(const Op& op) {
  return std::visit(Overloaded{
                        [](const Linear&) { return std::string_view("Linear"); },
                        [](const Norm&) { return std::string_view("Norm"); },
                        [](const Add&) { return std::string_view("Add"); },
                        [](const Multiply&) { return std::string_view("Multiply"); },
                        [](const Scale&) { return std::string_view("Scale"); },
                        [](const ChannelScale&) { return std::string_view("ChannelScale"); },
                        [](const Clamp&) { return std::string_view("Clamp"); },
                        [](const Xielu&) { return std::string_view("Xielu"); },
                        [](const Unary&) { return std::string_view("Unary"); },
                        [](const GatedUnit&) { return std::string_view("GatedUnit"); },
                        [](const JoinHeads&) { return std::string_view("JoinHeads"); },
                        [](const ResizeHeads&) { return std::string_view("ResizeHeads"); },
                        [](const RopeTable&) { return std::string_view("RopeTable"); },
                        [](const PositionEmbedding&) { return std::string_view("PositionEmbedding"); },
                        [](const TokenEmbedding&) { return std::string_view("TokenEmbedding"); },
                        [](const SliceChannels&) { return std::string_view("SliceChannels"); },
                        [](const MixHeads&) { return std::string_view("MixHeads"); },
                        [](const RootMeanSquare&) { return std::string_view("RootMeanSquare"); },
                        [](const Sparsify&) { return std::string_view("Sparsify"); },
                        [](const Rope&) { return std::string_view("Rope"); },
                        [](const Attention&) { return std::string_view("Attention"); },
                        [](const ShortConv&) { return std::string_view("ShortConv"); },
                        [](const GatedDelta&) { return std::string_view("GatedDelta"); },
                        [](const Route&) { return std::string_view("Route"); },
                        [](const Experts&) { return std::string_view("Experts"); },
                        [](const SelectTokens&) { return std::string_view("SelectTokens"); },
                    },
                    op);
}

}  // namespace llm2mnn::ir
