#include "formats/onnx/same_model.h"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "onnx.pb.h"

namespace llm2mnn::onnx {
namespace {

constexpr std::string_view kRemedy =
    "convert the file as llm2mnn exported it, without optimising or editing it";

// Strings may contain anything; with its length each ends where it ends.
void add(std::string& text, std::string_view part) {
  fmt::format_to(std::back_inserter(text), "{}:{},", part.size(), part);
}
template <typename Strings>
void add_all(std::string& text, const Strings& parts) {
  for (const std::string& part : parts)
    add(text, part);
  text += '\n';
}

// What two nodes must have in common; names of nodes and the order of attributes mean nothing.
std::string text_of(const proto::Node& node) {
  std::string text;
  add(text, node.domain());
  add(text, node.op_type());
  add_all(text, node.input());
  add_all(text, node.output());
  std::vector<std::string> attributes;
  for (const proto::Attribute& attribute : node.attribute()) {
    proto::Attribute bare = attribute;
    // A name of the value inside says nothing.
    if (bare.has_t()) bare.mutable_t()->clear_name();
    attributes.push_back(bare.SerializeAsString());
  }
  std::ranges::sort(attributes);
  add_all(text, attributes);
  return text;
}

std::string type_of(const proto::Node& node) {
  return node.domain().empty() ? node.op_type() : node.domain() + "::" + node.op_type();
}

[[noreturn]] void fail_node(const proto::Node& node, std::string_view why) {
  fail(ErrorKind::kUnsupported, "node {} ({}): {}; {}", shown(node.name()), shown(type_of(node)), why,
       kRemedy);
}

[[noreturn]] void fail_other_node(const proto::Node& found, const proto::Node& expected) {
  const bool same_place = type_of(found) == type_of(expected) && found.output_size() > 0 &&
                          expected.output_size() > 0 && found.output(0) == expected.output(0);
  if (same_place) fail_node(found, "other inputs, outputs or attributes than expected");
  fail_node(found, fmt::format("expected {} ({}) here", shown(expected.name()), type_of(expected)));
}

template <typename Nodes>
void check_nodes(const Nodes& found, const Nodes& expected) {
  const int both = std::min(found.size(), expected.size());
  for (int i = 0; i < both; ++i)
    if (text_of(found[i]) != text_of(expected[i])) fail_other_node(found[i], expected[i]);
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
    if (text_of(found[i]) == text_of(expected[i])) continue;
    if (found[i].name() == expected[i].name())
      fail(ErrorKind::kUnsupported, "{} {}: another type or shape than expected; {}", what,
           shown(found[i].name()), kRemedy);
    fail(ErrorKind::kUnsupported, "{} {}: expected {} here; {}", what, shown(found[i].name()),
         shown(expected[i].name()), kRemedy);
  }
  if (found.size() != expected.size())
    fail(ErrorKind::kUnsupported, "{} {}s, expected {}; {}", found.size(), what, expected.size(), kRemedy);
}

std::string text_of(const proto::OperatorSet& set) {
  return fmt::format("{} {}", set.domain() == "ai.onnx" ? "" : set.domain(), set.version());
}

template <typename Sets>
std::set<std::string> texts_of(const Sets& sets) {
  std::set<std::string> texts;
  for (const proto::OperatorSet& set : sets)
    texts.insert(text_of(set));
  return texts;
}

// The version of an operator set is part of what a node means. Sets that no node uses may come and go.
void check_operator_sets(const proto::Model& found, const proto::Model& expected) {
  const std::set<std::string> sets = texts_of(found.opset_import());
  for (const proto::OperatorSet& set : expected.opset_import()) {
    const bool is_there = sets.contains(text_of(set));
    const bool is_elsewhere = std::ranges::any_of(found.opset_import(), [&](const proto::OperatorSet& other) {
      return text_of(other) != text_of(set) &&
             (other.domain() == "ai.onnx" ? "" : other.domain()) == set.domain();
    });
    if (is_elsewhere || (!is_there && set.domain().empty())) {
      fail(ErrorKind::kUnsupported, "operator set {}: another version than {}; {}",
           set.domain().empty() ? "ai.onnx" : shown(set.domain()), set.version(), kRemedy);
    }
  }
}

std::string head_of(const proto::Function& function) {
  std::string text;
  add_all(text, function.input());
  add_all(text, function.output());
  add_all(text, function.attribute());
  add_all(text, texts_of(function.opset_import()));
  return text;
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
    if (head_of(function) != head_of(*same)) {
      fail(ErrorKind::kUnsupported, "function {}::{}: other inputs, outputs or operator sets; {}",
           shown(function.domain()), shown(function.name()), kRemedy);
    }
    check_nodes(function.node(), same->node());
  }
}

// Bytes of a tensor that are known before any weight is read.
std::optional<ConstBlob> known_bytes(const proto::Tensor& tensor,
                                     const std::unordered_map<std::string, const ConstBlob*>& consts) {
  if (tensor.data_location() == 0) return held_blob(0, tensor.raw_data());
  for (const proto::StringEntry& entry : tensor.external_data()) {
    if (entry.key() != "offset") continue;
    const auto found = consts.find(entry.value());
    if (found != consts.end()) return *found->second;
  }
  return std::nullopt;
}

bool has_bytes(const StoredTensor& found, const ConstBlob& known, const TensorReader& read) {
  if (found.bytes != known.bytes) return false;
  bool same = true;
  std::vector<std::byte> stored;
  for_each_piece(known, [&](std::uint64_t begin, std::span<const std::byte> piece) {
    stored.resize(piece.size());
    read(found, begin, stored);
    same = std::ranges::equal(stored, piece);
    return same;
  });
  return same;
}

void check_tensor(const StoredTensor& found, const proto::Tensor& expected,
                  const std::optional<ConstBlob>& known, const TensorReader& read) {
  const Shape shape(expected.dims().begin(), expected.dims().end());
  if (found.elem_type != expected.data_type() || found.shape != shape) {
    fail(ErrorKind::kUnsupported, "tensor {}: {} {}, expected {} {}; {}", shown(found.name),
         elem_type_name(found.elem_type), shape_text(found.shape), elem_type_name(expected.data_type()),
         shape_text(shape), kRemedy);
  }
  if (known && !has_bytes(found, *known, read))
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
  check_operator_sets(file.model(), expected);
  check_functions(file.model(), expected);
  std::unordered_map<std::string, const ConstBlob*> consts;  // by offset
  for (const ConstBlob& blob : expected_model.layout.consts)
    consts.emplace(fmt::format("{}", blob.offset), &blob);
  std::unordered_set<std::string> names;
  for (const proto::Tensor& tensor : expected.graph().initializer()) {
    names.insert(tensor.name());
    const StoredTensor* found = file.find(tensor.name());
    if (found == nullptr) {
      fail(ErrorKind::kUnsupported, "tensor {} is missing: its weights were renamed, folded or stripped; {}",
           shown(tensor.name()), kRemedy);
    }
    check_tensor(*found, tensor, known_bytes(tensor, consts), read);
  }
  for (const StoredTensor& tensor : file.tensors()) {
    if (!names.contains(tensor.name))
      fail(ErrorKind::kUnsupported, "tensor {}: no node uses it; {}", shown(tensor.name), kRemedy);
  }
}

}  // namespace llm2mnn::onnx
