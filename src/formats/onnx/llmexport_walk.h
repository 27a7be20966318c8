#pragma once
// The walk over llmexport's nodes. Private to this folder.

#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "formats/onnx/llmexport.h"
#include "formats/onnx/llmexport_nodes.h"

namespace llm2mnn::onnx {

/// A graph whose nodes and weights have no addresses yet.
struct WalkedGraph {
  ir::Graph graph;
  std::vector<WeightOrigin> weights;  ///< parallel to graph.weights
  std::vector<std::string> origins;   ///< parallel to graph.nodes: node_text of the ONNX node
};

/// Walks a graph whose values are all made before they are used, and all used.
class Walk {
 public:
  Walk(const OnnxFile& file, const TensorReader& read, std::int64_t num_positions);
  WalkedGraph run();

 private:
  struct Operator;
  static const Operator* find_operator(std::string_view domain, std::string_view type);

  void add_inputs();
  void add_initializers();
  void step(const proto::Node& node);
  void set_outputs();

  // Of the node under way.
  const Symbol& input(int index) const;
  int num_inputs() const;
  void expect_inputs(int least, int most) const;
  template <typename T>
  const T& input_as(int index, std::string_view what) const {
    const T* found = input_if<T>(index);
    if (found == nullptr) refuse_input(index, what);
    return *found;
  }
  template <typename T>
  const T* input_if(int index) const {
    return std::get_if<T>(&input(index));
  }
  Ints ints_input(int index) const;
  std::optional<float> scalar_input(int index) const;
  std::vector<std::int64_t> axes_input(int index);  ///< constant, of an input or the attribute axes
  void output(Symbol symbol);
  [[noreturn]] void refuse_here(std::string_view why) const;
  [[noreturn]] void refuse_input(int index, std::string_view what) const;

  void constant_node();
  void identity();
  void cast();
  void shape_of();
  void gather();
  void concat();
  void unsqueeze();
  void reshape();
  void slice();
  void clip();
  void pow();
  void reduce_mean();
  void sqrt();
  void sigmoid() { function("sigmoid"); }
  void tanh() { function("tanh"); }
  void erf() { function("erf"); }
  void relu() { function("relu"); }
  void function(std::string_view name);
  void add();
  void sub();
  void mul();
  void div();
  void matmul();
  void fused_rope();
  void fused_attention();

  bool rotary_mul();
  Rotary rotary(const Rotary::Tables& tables, Rotary::Part part) const;
  bool position_arithmetic(std::string_view op);
  void combine(std::string_view op, const Activation& a, const Activation& b);
  void combine_scalar(std::string_view op, const Activation& a, float number, bool number_first);
  void add_bias(const Activation& x, const Constant& vector);
  void gate(const Activation& a, const Activation& b);
  Activation expression(const Activation& base, Dims dims, std::string text) const;
  /// The value of the graph that holds `x`; what is still an expression becomes an op.
  ir::ValueId materialised(const Activation& x);
  ir::ValueId norm(ir::ValueId x, const Constant& gamma, double eps, std::int64_t size, std::int64_t heads);
  std::pair<ir::ValueId, ir::ValueId> rope_table(const Rotary::Tables& tables, double factor);
  ir::WeightId weight(const Constant& constant, Shape shape, bool transposed);
  ir::ValueId value();
  void emit(ir::Op op);

  const OnnxFile& file_;
  const TensorReader& read_;
  std::int64_t num_positions_;
  std::unordered_map<std::string, Symbol> symbols_;
  std::unordered_map<std::string, int> uses_;
  const proto::Node* node_ = nullptr;
  Attributes* attributes_ = nullptr;
  WalkedGraph out_;
  std::vector<std::pair<ir::Node, std::string>> tables_;  // RopeTable nodes, which go in front
  std::map<std::string, std::pair<ir::ValueId, ir::ValueId>> table_values_;
  std::map<std::pair<ir::ValueId, std::string>, ir::ValueId> expressions_;
  struct BareLinear {
    std::size_t node = 0;  // of the graph
    std::string output;    // of the MatMul
  };
  std::map<ir::ValueId, BareLinear> linears_;  // without bias, by their value
};

}  // namespace llm2mnn::onnx
