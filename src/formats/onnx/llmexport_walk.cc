#include "formats/onnx/llmexport_walk.h"

#include <algorithm>
#include <array>

#include "base/checked.h"
#include "onnx.pb.h"

namespace llm2mnn::onnx {
namespace {

constexpr std::string_view kDomain = "LlmExporter";
constexpr std::int64_t kCastFloat = 1, kCastInt32 = 6, kCastInt64 = 7;

Symbol symbol_of_input(const proto::ValueInfo& info, const std::string& name, std::int64_t& hidden_size) {
  const proto::TensorType& type = info.type().tensor_type();
  const auto& dims = type.shape().dim();
  const auto require = [&](bool ok, std::string_view expected) {
    if (!ok) fail(ErrorKind::kUnsupported, "input {}: expected {}", name, expected);
  };
  if (name == "input_ids") {
    require(type.elem_type() == kCastFloat && dims.size() == 3 && dims[1].dim_value() == 1 &&
                dims[2].dim_value() > 0,
            "FLOAT [T, 1, H]");
    hidden_size = dims[2].dim_value();
    Activation x;
    x.dims = {kTokens, 1, hidden_size};
    return x;
  }
  if (name == "attention_mask") {
    require(type.elem_type() == kCastFloat && dims.size() == 4 && dims[0].dim_value() == 1,
            "one mask, FLOAT [1, 1, T, S]");
    return Mask{};
  }
  if (name == "position_ids") {
    require((type.elem_type() == kCastInt32 || type.elem_type() == kCastInt64) && dims.size() == 2 &&
                dims[0].dim_value() == 1,
            "integers [1, T]");
    Positions positions;
    positions.dims = {1, kTokens};
    return positions;
  }
  if (name == "logits_index") {
    require((type.elem_type() == kCastInt32 || type.elem_type() == kCastInt64) && dims.size() == 1 &&
                dims[0].dim_value() == 1,
            "one integer");
    return LogitsIndex{};
  }
  fail(ErrorKind::kUnsupported, "input {} is none of a plain decoder", shown(name));
}

}  // namespace

struct Walk::Operator {
  std::string_view domain, type;
  void (Walk::*run)();
};

const Walk::Operator* Walk::find_operator(std::string_view domain, std::string_view type) {
  static constexpr std::array<Operator, 24> kOperators = {
      {{"", "Constant", &Walk::constant_node},
       {"", "Identity", &Walk::identity},
       {"", "Cast", &Walk::cast},
       {"", "Shape", &Walk::shape_of},
       {"", "Gather", &Walk::gather},
       {"", "Concat", &Walk::concat},
       {"", "Unsqueeze", &Walk::unsqueeze},
       {"", "Reshape", &Walk::reshape},
       {"", "Slice", &Walk::slice},
       {"", "Clip", &Walk::clip},
       {"", "Pow", &Walk::pow},
       {"", "ReduceMean", &Walk::reduce_mean},
       {"", "Sqrt", &Walk::sqrt},
       {"", "Sigmoid", &Walk::sigmoid},
       {"", "Tanh", &Walk::tanh},
       {"", "Erf", &Walk::erf},
       {"", "Relu", &Walk::relu},
       {"", "Add", &Walk::add},
       {"", "Sub", &Walk::sub},
       {"", "Mul", &Walk::mul},
       {"", "Div", &Walk::div},
       {"", "MatMul", &Walk::matmul},
       {kDomain, "FusedRoPE", &Walk::fused_rope},
       {kDomain, "FusedAttention", &Walk::fused_attention}}};
  const auto* found = std::ranges::find_if(
      kOperators, [&](const Operator& op) { return op.type == type && op.domain == domain; });
  return found == kOperators.end() ? nullptr : found;
}

Walk::Walk(const OnnxFile& file, const TensorReader& read, std::int64_t num_positions)
    : file_(file), read_(read), num_positions_(num_positions) {}

WalkedGraph Walk::run() {
  const proto::Graph& graph = file_.model().graph();
  for (const proto::Node& node : graph.node())
    for (const std::string& name : node.input())
      ++uses_[name];
  for (const proto::ValueInfo& info : graph.output())
    ++uses_[info.name()];
  add_inputs();
  add_initializers();
  for (const proto::Node& node : graph.node())
    step(node);
  node_ = nullptr;
  set_outputs();
  // Tables first: they depend on positions alone.
  std::vector<ir::Node> nodes;
  std::vector<std::string> origins;
  for (auto& [node, origin] : tables_) {
    nodes.push_back(std::move(node));
    origins.push_back(std::move(origin));
  }
  std::ranges::move(out_.graph.nodes, std::back_inserter(nodes));
  std::ranges::move(out_.origins, std::back_inserter(origins));
  out_.graph.nodes = std::move(nodes);
  out_.origins = std::move(origins);
  return std::move(out_);
}

void Walk::add_inputs() {
  for (const proto::ValueInfo& info : file_.model().graph().input()) {
    Symbol symbol = symbol_of_input(info, info.name(), out_.graph.hidden_size);
    if (auto* x = std::get_if<Activation>(&symbol)) x->id = out_.graph.input = value();
    symbols_[info.name()] = std::move(symbol);
  }
  for (const char* name : {"input_ids", "attention_mask", "position_ids", "logits_index"})
    if (!symbols_.contains(name)) fail(ErrorKind::kUnsupported, "the graph has no input {}", name);
}

void Walk::add_initializers() {
  for (const StoredTensor& tensor : file_.tensors()) {
    Constant constant;
    constant.name = tensor.name;
    constant.elem_type = tensor.elem_type;
    constant.shape = tensor.shape;
    constant.stored = &tensor;
    symbols_[tensor.name] = std::move(constant);
  }
}

void Walk::step(const proto::Node& node) {
  node_ = &node;
  const Operator* op = find_operator(node.domain(), node.op_type());
  if (op == nullptr) refuse_operator(node);
  Attributes attributes(node);
  attributes_ = &attributes;
  (this->*op->run)();
  attributes.check_all_asked();
}

void Walk::set_outputs() {
  ir::Graph& graph = out_.graph;
  for (const proto::ValueInfo& info : file_.model().graph().output()) {
    const auto* x = std::get_if<Activation>(&symbols_.at(info.name()));
    if (x == nullptr || (info.name() != "logits" && info.name() != "hidden_states"))
      fail(ErrorKind::kUnsupported, "output {} is none of a plain decoder", shown(info.name()));
    (info.name() == "logits" ? graph.logits : graph.hidden_states) = materialised(*x);
    if (info.name() != "logits") continue;
    if (x->dims.size() != 3 || x->dims[0] != 1 || x->dims[1] != kSelected)
      fail(ErrorKind::kUnsupported, "output logits: expected [1, T', V], rows from logits_index on");
    graph.vocab_size = x->dims[2];
  }
  if (graph.logits == ir::kNoValue || graph.hidden_states == ir::kNoValue)
    fail(ErrorKind::kUnsupported, "the graph needs the outputs logits and hidden_states");
}

void Walk::refuse_here(std::string_view why) const {
  if (node_ == nullptr) fail(ErrorKind::kUnsupported, "outputs of the graph: {}", why);
  refuse(*node_, why);
}

int Walk::num_inputs() const { return node_->input_size(); }

void Walk::expect_inputs(int least, int most) const {
  if (num_inputs() < least || num_inputs() > most) refuse_here(fmt::format("{} inputs", num_inputs()));
}

const Symbol& Walk::input(int index) const {
  const auto found = symbols_.find(node_->input(index));
  if (found == symbols_.end()) refuse_here(fmt::format("its input {} is left out", index));
  return found->second;
}

void Walk::refuse_input(int index, std::string_view what) const {
  refuse_here(fmt::format("input {} ({}): expected {}", index, shown(node_->input(index)), what));
}

Ints Walk::ints_input(int index) const {
  if (const Ints* ints = input_if<Ints>(index)) return *ints;
  if (const auto* constant = input_if<Constant>(index))
    if (const std::optional<Ints> ints = ints_of(*constant, read_)) return *ints;
  refuse_input(index, "integers");
}

std::optional<float> Walk::scalar_input(int index) const {
  const auto* constant = input_if<Constant>(index);
  return constant != nullptr ? scalar_of(*constant, read_) : std::nullopt;
}

std::vector<std::int64_t> Walk::axes_input(int index) {
  const std::optional<std::vector<std::int64_t>> attribute = attributes_->integers("axes");
  if (attribute && num_inputs() <= index) return *attribute;
  if (attribute || num_inputs() <= index) refuse_here("expected axes");
  return ints_input(index).values;
}

void Walk::output(Symbol symbol) {
  if (node_->output_size() != 1) refuse_here(fmt::format("{} outputs", node_->output_size()));
  symbols_[node_->output(0)] = std::move(symbol);
}

ir::ValueId Walk::value() { return out_.graph.add_value(fmt::format("value {}", out_.graph.values.size())); }

void Walk::emit(ir::Op op) {
  out_.graph.add_node(fmt::format("node {}", out_.graph.nodes.size()), std::move(op));
  out_.origins.push_back(node_ != nullptr ? node_text(*node_) : "the graph");
}

ir::WeightId Walk::weight(const Constant& constant, Shape shape, bool transposed) {
  // FLOAT, FLOAT16, BFLOAT16
  if (constant.elem_type != 1 && constant.elem_type != 10 && constant.elem_type != 16)
    refuse_here(fmt::format("weight {}: type {}", shown(constant.name), elem_type_name(constant.elem_type)));
  if (constant.stored == nullptr)
    refuse_here(fmt::format("weight {} is no initializer", shown(constant.name)));
  out_.weights.push_back({constant.name, transposed});
  return out_.graph.add_weight(fmt::format("weight {}", out_.graph.weights.size()), std::move(shape));
}

void Walk::constant_node() {
  expect_inputs(0, 0);
  const proto::Tensor* tensor = attributes_->tensor("value");
  if (tensor == nullptr) refuse_here("it has no tensor");
  Constant constant;
  constant.name = node_->output_size() > 0 ? node_->output(0) : "";
  constant.elem_type = tensor->data_type();
  constant.shape.assign(tensor->dims().begin(), tensor->dims().end());
  constant.attribute = tensor;
  output(std::move(constant));
}

void Walk::identity() {
  expect_inputs(1, 1);
  output(input(0));
}

void Walk::cast() {
  expect_inputs(1, 1);
  const std::int64_t to = attributes_->integer("to");
  const bool to_ints = to == kCastInt64 || to == kCastInt32;
  const Symbol& x = input(0);
  const bool is_float = std::holds_alternative<Activation>(x) || std::holds_alternative<Rotary>(x) ||
                        std::holds_alternative<Mask>(x);
  const bool is_int = std::holds_alternative<Positions>(x) || std::holds_alternative<LogitsIndex>(x) ||
                      std::holds_alternative<Ints>(x);
  if (!(is_float && to == kCastFloat) && !(is_int && to_ints))
    refuse_here(fmt::format(
        "a cast to {}", elem_type_name(checked_cast<std::int32_t>(std::clamp<std::int64_t>(to, 0, 1000)))));
  output(x);
}

void Walk::shape_of() {
  expect_inputs(1, 1);
  Ints ints;
  if (const auto* x = input_if<Activation>(0))
    ints.values = x->dims;
  else if (const auto* positions = input_if<Positions>(0))
    ints.values = positions->dims;
  else
    refuse_here("the shape of this is not expected");
  output(std::move(ints));
}

void Walk::slice() {
  expect_inputs(5, 5);
  Activation x = input_as<Activation>(0, "an activation");
  input_as<LogitsIndex>(1, "logits_index");
  const Ints ends = ints_input(2), axes = ints_input(3), steps = ints_input(4);
  const bool whole = ends.values.size() == 1 && ends.values[0] >= INT32_MAX && axes.values.size() == 1 &&
                     steps.values == Dims{1};
  if (!whole || x.dims.size() != 3 || axis_of(axes.values[0], 3) != 1u || x.dims[0] != 1 ||
      x.dims[1] != kTokens)
    refuse_here("expected the rows from logits_index on of [1, T, H]");
  const ir::ValueId from = materialised(x);
  const ir::ValueId to = value();
  emit(ir::SelectTokens{from, to});
  Activation selected;
  selected.id = to;
  selected.dims = {1, kSelected, x.dims[2]};
  output(std::move(selected));
}

void Walk::reshape() {
  expect_inputs(2, 2);
  const Ints target = ints_input(1);
  if (target.is_scalar || attributes_->integer("allowzero", 0) != 0) refuse_here("its shape is not expected");
  Symbol x = input(0);
  if (auto* scaled = std::get_if<Activation>(&x); scaled != nullptr && scaled->factor != 0) {
    const ir::ValueId id = materialised(*scaled);
    Activation plain;
    plain.id = id;
    plain.dims = scaled->dims;
    x = std::move(plain);
  }
  Dims* dims = nullptr;
  if (auto* activation = std::get_if<Activation>(&x); activation != nullptr && activation->text == "x")
    dims = &activation->dims;
  if (auto* positions = std::get_if<Positions>(&x)) dims = &positions->dims;
  if (auto* rotary = std::get_if<Rotary>(&x)) dims = &rotary->dims;
  const std::optional<Dims> result = dims != nullptr ? reshaped(*dims, target.values) : std::nullopt;
  // Rows of a table stay [T, n].
  if (!result || (std::holds_alternative<Rotary>(x) && *result != *dims))
    refuse_here("this reshape is not expected");
  *dims = *result;
  output(std::move(x));
}

void Walk::unsqueeze() {
  expect_inputs(1, 2);
  const std::vector<std::int64_t> axes = axes_input(1);
  Symbol x = input(0);
  if (const auto* constant = std::get_if<Constant>(&x))
    if (std::optional<Ints> ints = ints_of(*constant, read_)) x = std::move(*ints);
  if (auto* ints = std::get_if<Ints>(&x);
      ints != nullptr && ints->is_scalar && axes == std::vector<std::int64_t>{0}) {
    ints->is_scalar = false;
    return output(std::move(x));
  }
  auto* rotary = std::get_if<Rotary>(&x);
  if (rotary == nullptr || axes.size() != 1) refuse_here("this unsqueeze is not expected");
  const std::optional<std::size_t> axis = axis_of(axes[0], rotary->dims.size() + 1);
  // Behind the channels there is nothing, and in front of both parts neither.
  if (!axis || *axis == rotary->dims.size() || (rotary->part == Rotary::Part::kBoth && *axis == 0))
    refuse_here("this axis is not expected");
  rotary->dims.insert(rotary->dims.begin() + static_cast<std::ptrdiff_t>(*axis), 1);
  output(std::move(x));
}

void Walk::concat() {
  if (num_inputs() < 1) refuse_here("it has no inputs");
  const std::int64_t axis = attributes_->integer("axis");
  if (const auto* a = input_if<Rotary>(0)) {
    if (num_inputs() != 2) refuse_here("expected two inputs");
    Rotary both = *a;
    const Rotary& b = input_as<Rotary>(1, "cosines or sines");
    const std::optional<std::size_t> at = axis_of(axis, a->dims.size());
    if (at == 0u && a->dims[0] == 1 && a->part == Rotary::Part::kCos && b.part == Rotary::Part::kSin &&
        a->dims == b.dims && a->doubled == b.doubled) {
      both.part = Rotary::Part::kBoth;
      both.dims[0] = 2;
    } else if (at == a->dims.size() - 1 && node_->input(0) == node_->input(1) && !a->doubled) {
      both.doubled = true;
      both.dims.back() *= 2;
    } else {
      refuse_here("expected cosines before sines, or halves that are alike");
    }
    const auto same = [](const TableRows& x, const TableRows& y) { return x.table.name == y.table.name; };
    if (!same(a->tables.cos_high, b.tables.cos_high) || !same(a->tables.sin_high, b.tables.sin_high) ||
        !same(a->tables.cos_low, b.tables.cos_low) || !same(a->tables.sin_low, b.tables.sin_low) ||
        a->factor != b.factor)
      refuse_here("cosines and sines of different tables");
    return output(std::move(both));
  }
  if (axis != 0 && axis != -1) refuse_here("this axis is not expected");
  Ints all;
  for (int i = 0; i < num_inputs(); ++i) {
    const Ints ints = ints_input(i);
    if (ints.is_scalar) refuse_here("a scalar");
    all.values.insert(all.values.end(), ints.values.begin(), ints.values.end());
  }
  output(std::move(all));
}

void Walk::gather() {
  expect_inputs(2, 2);
  if (attributes_->integer("axis", 0) != 0) refuse_here("this axis is not expected");
  if (const auto* positions = input_if<Positions>(1)) {
    const Constant& table = input_as<Constant>(0, "a rotary table");
    const bool indexed =
        positions->stage == Positions::Stage::kHigh || positions->stage == Positions::Stage::kLow;
    if (!indexed || positions->dims != Dims{kTokens} || table.shape.size() != 2)
      refuse_here("expected rows of a rotary table by parts of position_ids");
    return output(TableRows{table, *positions});
  }
  const Ints index = ints_input(1);
  if (!index.is_scalar || index.values.size() != 1) refuse_here("expected one index");
  if (const auto* rotary = input_if<Rotary>(0)) {
    Rotary part = *rotary;
    if (part.part != Rotary::Part::kBoth || index.values[0] < 0 || index.values[0] > 1)
      refuse_here("expected 0 for cosines or 1 for sines");
    part.part = index.values[0] == 0 ? Rotary::Part::kCos : Rotary::Part::kSin;
    part.dims.erase(part.dims.begin());
    return output(std::move(part));
  }
  const Ints& ints = input_as<Ints>(0, "a shape");
  const std::optional<std::size_t> at = axis_of(index.values[0], ints.values.size());
  if (ints.is_scalar || !at) refuse_here("this index is not expected");
  output(Ints{{ints.values[*at]}, true});
}

}  // namespace llm2mnn::onnx
