#include "formats/onnx/model_builder.h"

#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <memory>

#include "base/checked.h"
#include "base/error.h"
#include "base/overloaded.h"

namespace llm2mnn::onnx {
namespace {

// onnxruntime maps the data file page by page.
constexpr std::uint64_t kAlignment = 4096;
// What is smaller stays in the graph: shape inference must see small constants.
constexpr std::size_t kExternalFrom = 1024;

static_assert(std::endian::native == std::endian::little);

template <typename T>
std::string raw_of(const std::vector<T>& values) {
  std::string raw(values.size() * sizeof(T), '\0');
  std::memcpy(raw.data(), values.data(), raw.size());
  return raw;
}

// AttributeProto.AttributeType.
enum AttributeType : std::int32_t {
  kFloatAttribute = 1,
  kIntAttribute = 2,
  kTensorAttribute = 4,
  kIntsAttribute = 7
};

void fill(proto::Attribute& attribute, const Attr& source) {
  attribute.set_name(source.name);
  std::visit(Overloaded{[&](std::int64_t value) {
                          attribute.set_type(kIntAttribute);
                          attribute.set_i(value);
                        },
                        [&](double value) {
                          attribute.set_type(kFloatAttribute);
                          attribute.set_f(static_cast<float>(value));
                        },
                        [&](const std::vector<std::int64_t>& values) {
                          attribute.set_type(kIntsAttribute);
                          for (const std::int64_t value : values)
                            attribute.add_ints(value);
                        }},
             source.value);
}

void fill(proto::ValueInfo& info, std::string_view name, const GraphBuilder::ValueShape& shape) {
  info.set_name(std::string(name));
  proto::TensorType& type = *info.mutable_type()->mutable_tensor_type();
  type.set_elem_type(static_cast<std::int32_t>(shape.type));
  auto symbol = shape.symbols.begin();
  proto::TensorShape& dims = *type.mutable_shape();
  for (const std::int64_t dim : shape.dims) {
    proto::Dimension& out = *dims.add_dim();
    if (dim < 0) {
      LLM2MNN_CHECK(symbol != shape.symbols.end());
      out.set_dim_param(*symbol++);
    } else {
      out.set_dim_value(dim);
    }
  }
}

proto::Tensor tensor_of(std::string_view name, ElemType type, const std::vector<std::int64_t>& dims) {
  proto::Tensor tensor;
  tensor.set_name(std::string(name));
  tensor.set_data_type(static_cast<std::int32_t>(type));
  for (const std::int64_t dim : dims)
    tensor.add_dims(dim);
  return tensor;
}

}  // namespace

std::string raw_bytes(const std::vector<std::int64_t>& values) { return raw_of(values); }
std::string raw_bytes(const std::vector<float>& values) { return raw_of(values); }

std::string NodeList::node(std::string_view op_type, const std::vector<std::string>& inputs,
                           std::string output, const std::vector<Attr>& attributes) {
  return node_of("", op_type, inputs, {std::move(output)}, attributes);
}

std::string NodeList::node_of(std::string_view domain, std::string_view op_type,
                              const std::vector<std::string>& inputs, const std::vector<std::string>& outputs,
                              const std::vector<Attr>& attributes) {
  proto::Node& node = *add_node();
  for (const std::string& input : inputs)
    node.add_input(input);
  for (const std::string& output : outputs)
    node.add_output(output);
  node.set_name(outputs.front());
  node.set_op_type(std::string(op_type));
  if (!domain.empty()) node.set_domain(std::string(domain));
  for (const Attr& attribute : attributes)
    fill(*node.add_attribute(), attribute);
  return outputs.front();
}

std::string NodeList::constant(std::string name, ElemType type, const std::vector<std::int64_t>& dims,
                               std::string raw) {
  if (constants_.insert(name).second) {
    proto::Tensor tensor = tensor_of(name, type, dims);
    tensor.set_raw_data(std::move(raw));
    add_constant(std::move(tensor));
  }
  return name;
}

std::string NodeList::ints(const std::vector<std::int64_t>& values) {
  return constant(fmt::format("const/[{}]", fmt::join(values, ",")), ElemType::kInt64,
                  {checked_cast<std::int64_t>(values.size())}, raw_of(values));
}

std::string NodeList::scalar(std::int64_t value) {
  return constant(fmt::format("const/{}", value), ElemType::kInt64, {}, raw_of(std::vector{value}));
}

std::string NodeList::scalar(float value) {
  return constant(fmt::format("const/float {}", value), ElemType::kFloat, {}, raw_of(std::vector{value}));
}

/// The body of a function.
class GraphBuilder::FunctionNodes final : public NodeList {
 public:
  explicit FunctionNodes(proto::Function& function) : function_(function) {}

 private:
  proto::Node* add_node() override { return function_.add_node(); }
  void add_constant(proto::Tensor tensor) override {
    proto::Node& node = *function_.add_node();
    node.set_name(tensor.name());
    node.add_output(tensor.name());
    node.set_op_type("Constant");
    proto::Attribute& attribute = *node.add_attribute();
    attribute.set_name("value");
    attribute.set_type(kTensorAttribute);
    *attribute.mutable_t() = std::move(tensor);
  }

  proto::Function& function_;
};

GraphBuilder::GraphBuilder(const OnnxForm& form) : form_(form) {
  model_.set_ir_version(form.opset >= kQuantOpset ? 10 : 8);
  model_.set_producer_name("llm2mnn");
  model_.mutable_graph()->set_name("decoder");
  // MNN's converter takes the first entry as the version of all operators.
  import_domain("", form.opset);
}

void GraphBuilder::claim(std::string_view name) {
  if (!names_.insert(std::string(name)).second)
    fail(ErrorKind::kInternal, "two ONNX values are called {}", shown(name));
}

void GraphBuilder::add_input(std::string_view name, const ValueShape& shape) {
  claim(name);
  fill(*model_.mutable_graph()->add_input(), name, shape);
}

void GraphBuilder::add_output(std::string_view name, const ValueShape& shape) {
  fill(*model_.mutable_graph()->add_output(), name, shape);
}

std::string GraphBuilder::initializer(std::string_view name, ElemType type,
                                      const std::vector<std::int64_t>& dims, std::string raw) {
  if (raw.size() >= kExternalFrom) {
    const std::uint64_t offset = reserve(name, type, dims, raw.size());
    layout_.consts.push_back(held_blob(offset, std::move(raw)));
    return std::string(name);
  }
  claim(name);
  proto::Tensor tensor = tensor_of(name, type, dims);
  tensor.set_raw_data(std::move(raw));
  *model_.mutable_graph()->add_initializer() = std::move(tensor);
  return std::string(name);
}

std::string GraphBuilder::initializer(std::string_view name, const std::vector<std::int64_t>& dims,
                                      BytesMaker make) {
  std::int64_t values = 0;
  LLM2MNN_CHECK(shape_elements(dims, values));
  const std::uint64_t bytes = sizeof(float) * checked_cast<std::uint64_t>(values);
  if (bytes < kExternalFrom) {
    std::string raw(static_cast<std::size_t>(bytes), '\0');
    make(0, std::as_writable_bytes(std::span(raw)));
    return initializer(name, ElemType::kFloat, dims, std::move(raw));
  }
  const std::uint64_t offset = reserve(name, ElemType::kFloat, dims, bytes);
  layout_.consts.push_back({offset, bytes, std::move(make)});
  return std::string(name);
}

std::uint64_t GraphBuilder::reserve(std::string_view name, ElemType type,
                                    const std::vector<std::int64_t>& dims, std::uint64_t bytes) {
  claim(name);
  const std::uint64_t offset = ceil_div(layout_.total_bytes, kAlignment) * kAlignment;
  layout_.total_bytes = offset + bytes;
  proto::Tensor& tensor = *model_.mutable_graph()->add_initializer();
  tensor = tensor_of(name, type, dims);
  tensor.set_data_location(1);
  const auto entry = [&tensor](const char* key, std::string value) {
    proto::StringEntry& out = *tensor.add_external_data();
    out.set_key(key);
    out.set_value(std::move(value));
  };
  entry("location", kDataName);
  entry("offset", fmt::format("{}", offset));
  entry("length", fmt::format("{}", bytes));
  return offset;
}

MatrixBlob& GraphBuilder::add_matrix(MatrixBlob blob) {
  return layout_.matrices.emplace_back(std::move(blob));
}

void GraphBuilder::import_domain(std::string_view domain, std::int64_t version) {
  proto::OperatorSet& set = *model_.add_opset_import();
  set.set_domain(std::string(domain));
  set.set_version(version);
}

NodeList& GraphBuilder::add_function(std::string_view domain, std::string_view name,
                                     const std::vector<std::string>& inputs, const std::string& output) {
  proto::Function& function = *model_.add_functions();
  function.set_name(std::string(name));
  function.set_domain(std::string(domain));
  for (const std::string& input : inputs)
    function.add_input(input);
  function.add_output(output);
  proto::OperatorSet& set = *function.add_opset_import();
  set.set_domain("");
  set.set_version(form_.opset);
  functions_.push_back(std::make_unique<FunctionNodes>(function));
  return *functions_.back();
}

OnnxModel GraphBuilder::finish() {
  OnnxModel out;
  out.bytes = model_.SerializeAsString();
  for (const proto::Tensor& tensor : model_.graph().initializer())
    if (tensor.data_location() == 0) out.inline_values[tensor.name()] = tensor.raw_data();
  out.layout = std::move(layout_);
  return out;
}

proto::Node* GraphBuilder::add_node() { return model_.mutable_graph()->add_node(); }
void GraphBuilder::add_constant(proto::Tensor tensor) {
  claim(tensor.name());
  *model_.mutable_graph()->add_initializer() = std::move(tensor);
}

}  // namespace llm2mnn::onnx
