// AltUp and sparse gates.

#include "formats/onnx/emitter.h"

namespace llm2mnn::onnx {

void Emitter::mark_routers() {
  std::vector<bool> is_logit(graph_.values.size()), is_coef(graph_.values.size());
  for (const ir::Node& node : graph_.nodes) {
    if (const auto* route = std::get_if<ir::Route>(&node.op)) is_logit[route->x] = true;
    if (const auto* mix = std::get_if<ir::MixHeads>(&node.op)) is_coef[mix->coefs] = true;
  }
  // Coefficients are made of coefficients: from the last one to the first.
  for (auto node = graph_.nodes.rbegin(); node != graph_.nodes.rend(); ++node) {
    const auto* unary = std::get_if<ir::Unary>(&node->op);
    if (unary != nullptr && is_coef[unary->y]) is_coef[unary->x] = true;
    const auto* linear = std::get_if<ir::Linear>(&node->op);
    if (linear == nullptr) continue;
    if (is_coef[linear->y]) is_coef[linear->x] = true;
    is_router_[linear->weight] = is_coef[linear->y] || is_logit[linear->y];
  }
}

void Emitter::emit(const ir::SliceChannels& op) {
  const std::string x = rows(op.x);
  set_rows(op.y, channels(x, op.begin, op.begin + op.size, rows_name(op.y)), op.size);
}

void Emitter::emit(const ir::MixHeads& op) {
  const std::string name = value_name(op.y);
  const std::string x =
      net_.node("Reshape", {rows(op.x), net_.ints({0, 0, op.from, op.size})}, name + "/streams");
  const std::string coefs =
      net_.node("Reshape", {rows(op.coefs), net_.ints({0, 0, op.to, op.from})}, name + "/matrix");
  const std::string mixed = net_.node("MatMul", {coefs, x}, name + "/mixed");
  set_rows(op.y, net_.node("Reshape", {mixed, net_.ints({0, 0, op.to * op.size})}, rows_name(op.y)),
           op.to * op.size);
}

void Emitter::emit(const ir::RootMeanSquare& op) {
  const std::string name = value_name(op.y);
  const std::string x = rows(op.x);
  const std::string square = net_.node("Mul", {x, x}, name + "/square");
  std::string mean = reduce_last("ReduceMean", square, name + "/mean");
  if (op.least > 0)
    mean = net_.node("Max", {mean, net_.scalar(static_cast<float>(op.least))}, name + "/least");
  const std::string root = net_.node("Sqrt", {mean}, op.inverse ? name + "/root" : rows_name(op.y));
  if (op.inverse) net_.node("Div", {net_.scalar(1.0F), root}, rows_name(op.y));
  set_rows(op.y, rows_name(op.y), 1);
}

void Emitter::emit(const ir::Sparsify& op) {
  const std::string name = value_name(op.y);
  const std::string x = rows(op.x);
  const std::string mean = reduce_last("ReduceMean", x, name + "/mean");
  const std::string centred = net_.node("Sub", {x, mean}, name + "/centred");
  const std::string square = net_.node("Mul", {centred, centred}, name + "/square");
  const std::string variance = reduce_last("ReduceMean", square, name + "/variance");
  const std::string deviation = net_.node("Sqrt", {variance}, name + "/deviation");
  const std::string cutoff =
      net_.node("Mul", {deviation, net_.scalar(static_cast<float>(op.deviations))}, name + "/cutoff");
  const std::string above = net_.node("Sub", {centred, cutoff}, name + "/above");
  set_rows(op.y, net_.node("Relu", {above}, rows_name(op.y)), faces_[op.x].channels);
}

}  // namespace llm2mnn::onnx
