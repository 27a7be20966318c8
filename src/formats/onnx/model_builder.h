#pragma once
// Builds an ONNX model node by node. The only place that knows the wire format for writing; private to this
// folder.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_set>
#include <variant>
#include <vector>

#include "formats/onnx/onnx_package.h"
#include "onnx.pb.h"

namespace llm2mnn::onnx {

/// TensorProto.DataType.
enum class ElemType : std::int32_t {
  kFloat = 1,
  kUint8 = 2,
  kInt32 = 6,
  kInt64 = 7,
  kBool = 9,
  kFloat16 = 10,
  kUint4 = 21,
};

struct Attr {
  std::string name;
  std::variant<std::int64_t, double, std::vector<std::int64_t>> value;
};

/// A list of nodes under construction: the graph's own, whose constants are initializers, or a function's,
/// whose constants are nodes. Every maker returns the name of its (first) output.
class NodeList {
 public:
  virtual ~NodeList() = default;

  /// A node of the default domain.
  std::string node(std::string_view op_type, const std::vector<std::string>& inputs, std::string output,
                   const std::vector<Attr>& attributes = {});
  std::string node_of(std::string_view domain, std::string_view op_type,
                      const std::vector<std::string>& inputs, const std::vector<std::string>& outputs,
                      const std::vector<Attr>& attributes = {});

  /// Constants; equal ones are made once.
  std::string ints(const std::vector<std::int64_t>& values);
  std::string scalar(std::int64_t value);
  std::string scalar(float value);
  std::string scalar(std::int32_t value) = delete;

 protected:
  virtual proto::Node* add_node() = 0;
  virtual void add_constant(proto::Tensor tensor) = 0;

 private:
  std::string constant(std::string name, ElemType type, const std::vector<std::int64_t>& dims,
                       std::string raw);

  std::unordered_set<std::string> constants_;
};

class GraphBuilder final : public NodeList {
 public:
  explicit GraphBuilder(const OnnxForm& form);

  /// A graph input or output; a negative size is a symbolic one, named by `symbols` in order.
  struct ValueShape {
    ElemType type = ElemType::kFloat;
    std::vector<std::int64_t> dims;
    std::vector<std::string> symbols;
  };
  void add_input(std::string_view name, const ValueShape& shape);
  void add_output(std::string_view name, const ValueShape& shape);

  /// An initializer with known bytes: inside the graph below 1 KiB, in the data file otherwise.
  std::string initializer(std::string_view name, ElemType type, const std::vector<std::int64_t>& dims,
                          std::string raw);
  /// The same of floats that are made when they are written.
  std::string initializer(std::string_view name, const std::vector<std::int64_t>& dims, BytesMaker make);
  /// An initializer whose bytes come later; always in the data file. Returns its offset there.
  std::uint64_t reserve(std::string_view name, ElemType type, const std::vector<std::int64_t>& dims,
                        std::uint64_t bytes);
  MatrixBlob& add_matrix(MatrixBlob blob);

  /// Declares a domain that nodes use.
  void import_domain(std::string_view domain, std::int64_t version);
  /// A model-local function; its nodes are made through the returned list, which the builder owns.
  NodeList& add_function(std::string_view domain, std::string_view name,
                         const std::vector<std::string>& inputs, const std::string& output);

  OnnxModel finish();

 private:
  class FunctionNodes;

  proto::Node* add_node() override;
  void add_constant(proto::Tensor tensor) override;
  void claim(std::string_view name);

  OnnxForm form_;
  proto::Model model_;
  DataLayout layout_;
  std::vector<std::unique_ptr<NodeList>> functions_;
  std::unordered_set<std::string> names_;  // of initializers, inputs and values
};

/// Little-endian bytes.
std::string raw_bytes(const std::vector<std::int64_t>& values);
std::string raw_bytes(const std::vector<float>& values);

}  // namespace llm2mnn::onnx
