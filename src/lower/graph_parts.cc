#include "lower/graph_parts.h"

#include <fmt/format.h>

namespace llm2mnn {
std::string node_name(std::string_view address) {
  std::string name = "/";
  for (std::size_t i = 0; i < address.size(); ++i) {
    const bool before_index = i + 1 < address.size() && address[i + 1] >= '0' && address[i + 1] <= '9';
    name += address[i] == '.' && !before_index ? '/' : address[i];
  }
  return name;
}

ir::WeightId GraphParts::weight(std::string address, const Binding& binding, WeightRole role,
                                bool is_matrix) {
  Shape shape{binding.rows()};
  if (is_matrix) shape.push_back(binding.cols());
  out_.weights.push_back({binding, role, is_matrix});
  return graph().add_weight(std::move(address), std::move(shape));
}

ir::ValueId GraphParts::linear(const LinearSpec& spec, ir::ValueId x) {
  const std::string node = node_name(spec.address);
  const ir::WeightId matrix = weight(spec.address + ".weight", spec.weight, spec.role, true);
  std::optional<ir::WeightId> bias;
  if (!spec.bias.is_empty()) bias = weight(spec.address + ".bias", spec.bias, spec.role, false);
  const ir::ValueId y = value_of(node);
  graph().add_node(node, ir::Linear{x, y, matrix, bias, spec.weight.cols(), spec.weight.rows()});
  return y;
}

ir::ValueId GraphParts::norm(const NormSpec& spec, ir::ValueId x, std::int64_t heads) {
  const std::string node = node_name(spec.address);
  const ir::WeightId gamma = weight(spec.address + ".weight", spec.weight, spec.role, false);
  std::optional<ir::WeightId> beta;
  if (!spec.bias.is_empty()) beta = weight(spec.address + ".bias", spec.bias, spec.role, false);
  const ir::ValueId y = value_of(node);
  graph().add_node(
      node, ir::Norm{x, y, gamma, beta, spec.kind == NormKind::kRms, spec.eps, spec.weight.rows(), heads});
  return y;
}

ir::ValueId GraphParts::scale(const std::string& node, ir::ValueId x, double factor) {
  const ir::ValueId y = value_of(node);
  graph().add_node(node, ir::Scale{x, y, factor});
  return y;
}

ir::ValueId GraphParts::add(const std::string& node, ir::ValueId a, ir::ValueId b) {
  const ir::ValueId y = value_of(node);
  graph().add_node(node, ir::Add{a, b, y});
  return y;
}

ir::ValueId GraphParts::multiply(const std::string& node, ir::ValueId a, ir::ValueId b) {
  const ir::ValueId y = value_of(node);
  graph().add_node(node, ir::Multiply{a, b, y});
  return y;
}

ir::ValueId GraphParts::unary(ir::ValueId x, ir::UnaryKind kind, std::string_view name) {
  const std::string& source = graph().values[x].name;  // ".../output"
  const std::string node = fmt::format("{}/{}", source.substr(0, source.rfind('/')), name);
  const ir::ValueId y = value_of(node);
  graph().add_node(node, ir::Unary{x, y, kind});
  return y;
}

ir::ValueId GraphParts::positions_of(const std::string& address, const Binding& table, std::int64_t stride,
                                     std::int64_t offset) {
  const ir::WeightId id = graph().add_weight(address + ".weight", {table.rows(), table.cols()});
  out_.weights.push_back({table, WeightRole::kPositionEmbedding, false});
  const std::string node = "/" + address;
  const ir::ValueId y = value_of(node);
  graph().add_node(node, ir::PositionEmbedding{y, id, table.rows(), table.cols(), stride, offset});
  return y;
}

ir::ValueId GraphParts::table_rows(const std::string& address, const Binding& table) {
  const ir::WeightId id = graph().add_weight(address + ".weight", {table.rows(), table.cols()});
  out_.weights.push_back({table, WeightRole::kPerLayerEmbedding, false});
  const std::string node = "/" + address;
  const ir::ValueId y = value_of(node);
  graph().add_node(node, ir::TokenEmbedding{y, id, table.rows(), table.cols()});
  return y;
}

ir::ValueId GraphParts::resize_heads(const std::string& node, ir::ValueId x, std::int64_t heads,
                                     std::int64_t from, std::int64_t to) {
  if (from == to) return x;
  const ir::ValueId y = value_of(node);
  graph().add_node(node, ir::ResizeHeads{x, y, heads, from, to});
  return y;
}

}  // namespace llm2mnn
