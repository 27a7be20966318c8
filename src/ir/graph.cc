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
                        [](const GatedUnit& n) -> Ids {
                          return {n.gate, n.up};
                        },
                        [](const JoinHeads& n) -> Ids {
                          return {n.shared, n.own};
                        },
                        [](const RopeTable&) -> Ids { return {}; },
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
                        [](const auto& n) -> Ids { return {n.y}; },
                    },
                    op);
}

std::string_view op_name(const Op& op) {
  return std::visit(Overloaded{
                        [](const Linear&) { return std::string_view("Linear"); },
                        [](const Norm&) { return std::string_view("Norm"); },
                        [](const Add&) { return std::string_view("Add"); },
                        [](const Scale&) { return std::string_view("Scale"); },
                        [](const ChannelScale&) { return std::string_view("ChannelScale"); },
                        [](const Unary&) { return std::string_view("Unary"); },
                        [](const GatedUnit&) { return std::string_view("GatedUnit"); },
                        [](const JoinHeads&) { return std::string_view("JoinHeads"); },
                        [](const ResizeHeads&) { return std::string_view("ResizeHeads"); },
                        [](const RopeTable&) { return std::string_view("RopeTable"); },
                        [](const Rope&) { return std::string_view("Rope"); },
                        [](const Attention&) { return std::string_view("Attention"); },
                        [](const SelectTokens&) { return std::string_view("SelectTokens"); },
                    },
                    op);
}

}  // namespace llm2mnn::ir
