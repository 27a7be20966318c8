#include "formats/onnx/same_model.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "onnx.pb.h"

namespace llm2mnn::onnx {
namespace {

constexpr std::string_view kRemedy =
    "convert the file as llm2mnn exported it, without optimising or editing it";

// What two nodes must have in common; names of nodes and the order of attributes mean nothing.
std::string text_of(const proto::Node& node) {
  std::string text = node.domain() + "\n" + node.op_type() + "\n";
  for (const std::string& input : node.input())
    text += input + ",";
  text += "\n";
  for (const std::string& output : node.output())
    text += output + ",";
  std::map<std::string, std::string> attributes;
  for (const proto::Attribute& attribute : node.attribute()) {
    proto::Attribute bare = attribute;
    // A name of the value inside says nothing.
    if (bare.has_t()) bare.mutable_t()->clear_name();
    attributes[bare.name()] = bare.SerializeAsString();
  }
  for (const auto& [name, bytes] : attributes)
    text += "\n" + bytes;
  return text;
}

std::string type_of(const proto::Node& node) {
  return node.domain().empty() ? node.op_type() : node.domain() + "::" + node.op_type();
}

[[noreturn]] void fail_node(const proto::Node& node, std::string_view why) {
  fail(ErrorKind::kUnsupported, "node {} ({}): {}; {}", shown(node.name()), shown(type_of(node)), why,
       kRemedy);
}

template <typename Nodes>
void check_nodes(const Nodes& found, const Nodes& expected) {
  const int both = std::min(found.size(), expected.size());
  for (int i = 0; i < both; ++i) {
    if (text_of(found[i]) != text_of(expected[i])) {
      fail_node(found[i],
                fmt::format("expected {} ({}) here", shown(expected[i].name()), type_of(expected[i])));
    }
  }
  if (found.size() > both) fail_node(found[both], "one node too many");
  if (expected.size() > both) fail_node(expected[both], "the file lacks it");
}

std::string text_of(const proto::ValueInfo& info) {
  std::string text = fmt::format("{}\n{}", info.name(), info.type().tensor_type().elem_type());
  for (const proto::Dimension& dim : info.type().tensor_type().shape().dim())
    text += dim.has_dim_value() ? fmt::format(" {}", dim.dim_value()) : " " + dim.dim_param();
  return text;
}

template <typename Infos>
void check_values(const Infos& found, const Infos& expected, std::string_view what) {
  for (int i = 0; i < std::min(found.size(), expected.size()); ++i) {
    if (text_of(found[i]) != text_of(expected[i])) {
      fail(ErrorKind::kUnsupported, "{} {}: expected {} here, or another shape; {}", what,
           shown(found[i].name()), shown(expected[i].name()), kRemedy);
    }
  }
  if (found.size() != expected.size())
    fail(ErrorKind::kUnsupported, "{} {}s, expected {}; {}", found.size(), what, expected.size(), kRemedy);
}

void check_functions(const proto::Model& found, const proto::Model& expected) {
  for (const proto::Function& function : found.functions()) {
    const auto same = std::find_if(
        expected.functions().begin(), expected.functions().end(), [&](const proto::Function& other) {
          return other.name() == function.name() && other.domain() == function.domain();
        });
    if (same == expected.functions().end()) {
      fail(ErrorKind::kUnsupported, "function {}::{} is not known; {}", shown(function.domain()),
           shown(function.name()), kRemedy);
    }
    check_nodes(function.node(), same->node());
  }
}

// Bytes of a tensor that are known before any weight is read; null when they are not.
const std::string* known_bytes(const proto::Tensor& tensor, const DataLayout& layout) {
  if (tensor.data_location() == 0) return &tensor.raw_data();
  for (const proto::StringEntry& entry : tensor.external_data()) {
    if (entry.key() != "offset") continue;
    const auto blob = std::ranges::find_if(layout.consts, [&](const ConstBlob& candidate) {
      return fmt::format("{}", candidate.offset) == entry.value();
    });
    if (blob != layout.consts.end()) return &blob->data;
  }
  return nullptr;
}

void check_tensor(const StoredTensor& found, const proto::Tensor& expected, const std::string* bytes,
                  const TensorReader& read) {
  const Shape shape(expected.dims().begin(), expected.dims().end());
  if (found.elem_type != expected.data_type() || found.shape != shape) {
    fail(ErrorKind::kUnsupported, "tensor {}: {} {}, expected {} {}; {}", shown(found.name),
         elem_type_name(found.elem_type), shape_text(found.shape), elem_type_name(expected.data_type()),
         shape_text(shape), kRemedy);
  }
  if (bytes == nullptr) return;
  std::string stored(bytes->size(), '\0');
  if (found.bytes == stored.size()) read(found, 0, std::as_writable_bytes(std::span(stored)));
  if (stored != *bytes)
    fail(ErrorKind::kUnsupported, "tensor {}: other values than expected; {}", shown(found.name), kRemedy);
}

}  // namespace

void check_same_model(const OnnxFile& file, const OnnxModel& expected_model, const TensorReader& read) {
  proto::Model expected;
  LLM2MNN_CHECK(expected.ParseFromString(expected_model.bytes));
  const proto::Graph& graph = file.model().graph();
  check_nodes(graph.node(), expected.graph().node());
  check_values(graph.input(), expected.graph().input(), "input");
  check_values(graph.output(), expected.graph().output(), "output");
  check_functions(file.model(), expected);
  std::unordered_set<std::string> names;
  for (const proto::Tensor& tensor : expected.graph().initializer()) {
    names.insert(tensor.name());
    const StoredTensor* found = file.find(tensor.name());
    if (found == nullptr) {
      fail(ErrorKind::kUnsupported, "tensor {} is missing: its weights were renamed, folded or stripped; {}",
           shown(tensor.name()), kRemedy);
    }
    check_tensor(*found, tensor, known_bytes(tensor, expected_model.layout), read);
  }
  for (const StoredTensor& tensor : file.tensors()) {
    if (!names.contains(tensor.name))
      fail(ErrorKind::kUnsupported, "tensor {}: no node uses it; {}", shown(tensor.name), kRemedy);
  }
}

}  // namespace llm2mnn::onnx
