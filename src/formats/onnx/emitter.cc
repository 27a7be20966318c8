#include "formats/onnx/emitter.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "base/checked.h"
#include "base/error.h"

namespace llm2mnn::onnx {
std::string past_name(std::int64_t layer, std::string_view kind) {
  return fmt::format("past_key_values.{}.{}", layer, kind);
}
std::string present_name(std::int64_t layer, std::string_view kind) {
  return fmt::format("present.{}.{}", layer, kind);
}

Emitter::Emitter(const ir::Graph& graph, const DecoderFacts& facts, const OnnxForm& form,
                 const VectorReader& read_vector)
    : graph_(graph),
      facts_(facts),
      form_(form),
      read_vector_(read_vector),
      net_(form),
      faces_(graph.values.size()),
      caches_(graph.values.size()),
      is_router_(graph.weights.size()) {
  mark_routers();
}

OnnxModel Emitter::run() {
  emit_front();
  for (const ir::Node& node : graph_.nodes)
    std::visit([this](const auto& op) { emit(op); }, node.op);
  rows(graph_.logits);
  return net_.finish();
}

std::string Emitter::rows_name(ir::ValueId value) const {
  if (value == graph_.logits) return "logits";
  if (value == graph_.hidden_states) return "hidden_states";
  return value_name(value);
}

void Emitter::set_rows(ir::ValueId value, std::string name, std::int64_t channels) {
  faces_[value].rows = std::move(name);
  faces_[value].channels = channels;
}
void Emitter::set_heads(ir::ValueId value, std::string name, std::int64_t channels) {
  faces_[value].heads = std::move(name);
  faces_[value].channels = channels;
}

std::string Emitter::rows(ir::ValueId value) {
  Faces& faces = faces_[value];
  if (faces.rows.empty()) {
    // A rotation gives its heads the value's own name.
    const std::string name = rows_name(value) + (faces.heads == rows_name(value) ? "/rows" : "");
    faces.rows = net_.node("Reshape", {faces.heads, net_.ints({0, 0, faces.channels})}, name);
  }
  return faces.rows;
}

std::string Emitter::heads(ir::ValueId value, std::int64_t num_heads, std::int64_t head_dim) {
  Faces& faces = faces_[value];
  if (faces.heads.empty()) {
    faces.heads = net_.node("Reshape", {faces.rows, net_.ints({0, 0, num_heads, head_dim})},
                            value_name(value) + "/heads");
  }
  return faces.heads;
}

std::string Emitter::vector(ir::WeightId id) {
  const ir::Weight& weight = graph_.weights[id];
  return net_.initializer(facts_.weight_names[id], ElemType::kFloat, weight.shape,
                          raw_bytes(read_vector_(id)));
}

// A router is small, and its rounding would choose other experts; one row saves nothing.
bool Emitter::is_quantised(const ir::Linear& op) const {
  return form_.weights != WeightForm::kFloat && !is_head(op) && !is_router_[op.weight] && op.out_features > 1;
}

bool Emitter::is_head(const ir::Linear& op) const {
  return graph_.weights[op.weight].address == "lm_head.weight";
}

std::string Emitter::matrix(const std::string& prefix, const ir::Linear& op) {
  const std::string& name = facts_.weight_names[op.weight];
  const bool half = form_.dtype == DType::kF16;
  const auto as_float = [&](const std::string& stored) {
    return half ? net_.node("Cast", {stored}, prefix + "/weight", {{"to", std::int64_t{1}}}) : stored;
  };
  if (facts_.tied && is_head(op)) {
    return as_float(net_.node("Transpose", {facts_.embedding_name}, prefix + "/table_t",
                              {{"perm", std::vector<std::int64_t>{1, 0}}}));
  }
  MatrixBlob blob;
  blob.name = name + "_t";
  blob.weight = op.weight;
  blob.layout = MatrixLayout::kTransposed;
  blob.rows = op.out_features;
  blob.cols = op.in_features;
  blob.bytes = checked_cast<std::uint64_t>(op.in_features * op.out_features * (half ? 2 : 4));
  blob.offset = net_.reserve(blob.name, half ? ElemType::kFloat16 : ElemType::kFloat,
                             {op.in_features, op.out_features}, blob.bytes);
  return as_float(net_.add_matrix(std::move(blob)).name);
}

MatrixBlob Emitter::coded_blob(const ir::Linear& op, MatrixLayout layout, std::string_view suffix) const {
  const std::string& name = facts_.weight_names[op.weight];
  MatrixBlob blob;
  blob.name = fmt::format("{}_codes{}", name, suffix);
  blob.scales_name = fmt::format("{}_scales{}", name, suffix);
  blob.zero_points_name = fmt::format("{}_zero_points{}", name, suffix);
  blob.weight = op.weight;
  blob.layout = layout;
  blob.rows = op.out_features;
  blob.cols = op.in_features;
  return blob;
}

std::string Emitter::mat_mul_n_bits(const std::string& output, const ir::Linear& op, const std::string& x) {
  const std::int64_t groups = op.in_features / form_.block;
  const std::int64_t group_bytes = form_.block * form_.bits / 8;
  const std::int64_t zero_bytes = ceil_div<std::int64_t>(groups * form_.bits, 8);
  MatrixBlob blob = coded_blob(op, MatrixLayout::kMatMulNBits, "");
  blob.bytes = checked_cast<std::uint64_t>(op.out_features * groups * group_bytes);
  blob.offset = net_.reserve(blob.name, ElemType::kUint8, {op.out_features, groups, group_bytes}, blob.bytes);
  blob.scales_offset = net_.reserve(blob.scales_name, ElemType::kFloat, {op.out_features, groups},
                                    checked_cast<std::uint64_t>(4 * op.out_features * groups));
  blob.zero_points_offset =
      net_.reserve(blob.zero_points_name, ElemType::kUint8, {op.out_features, zero_bytes},
                   checked_cast<std::uint64_t>(op.out_features * zero_bytes));
  const MatrixBlob& added = net_.add_matrix(std::move(blob));
  return net_.node_of(kMicrosoftDomain, "MatMulNBits",
                      {x, added.name, added.scales_name, added.zero_points_name}, {output},
                      {{"K", op.in_features},
                       {"N", op.out_features},
                       {"bits", std::int64_t{form_.bits}},
                       {"block_size", form_.block},
                       {"accuracy_level", std::int64_t{form_.accuracy_level}}});
}

std::string Emitter::dequantised(const std::string& prefix, const ir::Linear& op) {
  const std::int64_t groups = op.in_features / form_.block;
  const ElemType type = form_.bits == 4 ? ElemType::kUint4 : ElemType::kUint8;
  const auto code_bytes = [this](std::int64_t count) {
    return checked_cast<std::uint64_t>(ceil_div<std::int64_t>(count * form_.bits, 8));
  };
  if (form_.bits == 4 && op.out_features % 2 != 0) {
    fail(ErrorKind::kUnsupported,
         "{}: {} rows, and 4 bit codes of --onnx_quant qdq lie two in a byte along them; use --onnx_quant "
         "matmulnbits or --quant_bit 8",
         shown(facts_.weight_names[op.weight]), op.out_features);
  }
  MatrixBlob blob = coded_blob(op, MatrixLayout::kDequantizeLinear, "_t");
  blob.bytes = code_bytes(op.in_features * op.out_features);
  blob.offset = net_.reserve(blob.name, type, {op.in_features, op.out_features}, blob.bytes);
  blob.scales_offset = net_.reserve(blob.scales_name, ElemType::kFloat, {groups, op.out_features},
                                    checked_cast<std::uint64_t>(4 * op.out_features * groups));
  blob.zero_points_offset = net_.reserve(blob.zero_points_name, type, {groups, op.out_features},
                                         code_bytes(groups * op.out_features));
  const MatrixBlob& added = net_.add_matrix(std::move(blob));
  return net_.node("DequantizeLinear", {added.name, added.scales_name, added.zero_points_name},
                   prefix + "/weight", {{"axis", std::int64_t{0}}, {"block_size", form_.block}});
}

void Emitter::emit(const ir::Linear& op) {
  set_rows(op.y, apply_linear(op, value_name(op.y), rows_name(op.y), rows(op.x)), op.out_features);
}

std::string Emitter::apply_linear(const ir::Linear& op, const std::string& prefix, const std::string& name,
                                  const std::string& x) {
  const std::string product = op.bias ? prefix + "/product" : name;
  std::string y;
  if (!is_quantised(op)) {
    const std::string weight = matrix(prefix, op);
    y = net_.node("MatMul", {x, weight}, product);
  } else if (form_.weights == WeightForm::kMatMulNBits) {
    y = mat_mul_n_bits(product, op, x);
  } else {
    const std::string weight = dequantised(prefix, op);
    y = net_.node("MatMul", {x, weight}, product);
  }
  if (op.bias) y = net_.node("Add", {y, vector(*op.bias)}, name);
  return y;
}

std::string Emitter::reduce_last(const char* kind, const std::string& x, const std::string& name) {
  std::vector<std::string> inputs{x};
  std::vector<Attr> attributes{{"keepdims", std::int64_t{1}}};
  // The axes were an attribute before opset 18.
  if (form_.opset < 18)
    attributes.push_back({"axes", std::vector<std::int64_t>{-1}});
  else
    inputs.push_back(net_.ints({-1}));
  return net_.node(kind, inputs, name, attributes);
}

// What both engines know as a root mean square norm.
std::string Emitter::rms_norm(const std::string& name, const std::string& x, const ir::Norm& op) {
  const std::string prefix = value_name(op.y);
  const std::string square = net_.node("Pow", {x, net_.scalar(2.0F)}, prefix + "/square");
  const std::string mean = reduce_last("ReduceMean", square, prefix + "/mean");
  const std::string sum =
      net_.node("Add", {mean, net_.scalar(static_cast<float>(op.eps))}, prefix + "/mean_eps");
  const std::string root = net_.node("Sqrt", {sum}, prefix + "/root");
  const std::string unit = net_.node("Div", {x, root}, prefix + "/unit");
  return net_.node("Mul", {unit, vector(op.gamma)}, name);
}

std::string Emitter::layer_norm(const std::string& name, const std::string& x, const ir::Norm& op) {
  std::vector<std::string> inputs{x, vector(op.gamma)};
  if (op.beta) inputs.push_back(vector(*op.beta));
  return net_.node("LayerNormalization", inputs, name, {{"axis", std::int64_t{-1}}, {"epsilon", op.eps}});
}

void Emitter::emit(const ir::Norm& op) {
  const std::int64_t channels = op.size * op.heads;
  // A norm of one head of its own is the same on rows.
  const bool per_head = op.heads > 1;
  const std::string x = per_head ? heads(op.x, op.heads, op.size) : rows(op.x);
  const std::string name = per_head ? value_name(op.y) + "/heads" : rows_name(op.y);
  const std::string y = op.rms ? rms_norm(name, x, op) : layer_norm(name, x, op);
  if (per_head)
    set_heads(op.y, y, channels);
  else
    set_rows(op.y, y, channels);
}

void Emitter::emit(const ir::Add& op) {
  set_rows(op.y, net_.node("Add", {rows(op.a), rows(op.b)}, rows_name(op.y)), faces_[op.a].channels);
}

void Emitter::emit(const ir::Multiply& op) {
  set_rows(op.y, net_.node("Mul", {rows(op.a), rows(op.b)}, rows_name(op.y)), faces_[op.a].channels);
}

void Emitter::emit(const ir::Scale& op) {
  const std::string factor = net_.scalar(static_cast<float>(op.factor));
  set_rows(op.y, net_.node("Mul", {rows(op.x), factor}, rows_name(op.y)), faces_[op.x].channels);
}

void Emitter::emit(const ir::ChannelScale& op) {
  const std::string x = rows(op.x);
  set_rows(op.y, net_.node("Mul", {x, vector(op.weight)}, rows_name(op.y)), faces_[op.x].channels);
}

void Emitter::emit(const ir::Clamp& op) {
  const auto limit = static_cast<float>(op.limit);
  const std::string low = net_.scalar(-limit);
  const std::string high = net_.scalar(limit);
  set_rows(op.y, net_.node("Clip", {rows(op.x), low, high}, rows_name(op.y)), faces_[op.x].channels);
}

void Emitter::emit(const ir::Xielu& op) {
  const std::string prefix = value_name(op.y);
  const auto node = [&](const char* type, const std::string& a, const std::string& b, const char* name) {
    return net_.node(type, {a, b}, fmt::format("{}/{}", prefix, name));
  };
  const std::string x = rows(op.x);
  const std::string positive = net_.node("Relu", {x}, prefix + "/positive");
  const std::string square = node("Mul", positive, positive, "square");
  const std::string negative = node("Min", x, net_.scalar(0.0F), "negative");
  const std::string power = net_.node("Exp", {negative}, prefix + "/power");
  const std::string curve = node("Sub", power, net_.scalar(1.0F), "curve");
  const std::string elu = node("Add", positive, curve, "elu");
  const std::string bend = node("Sub", elu, x, "bend");
  const std::string a = node("Mul", square, vector(op.a), "a_square");
  const std::string b = node("Mul", elu, vector(op.b), "b_elu");
  const std::string n = node("Mul", bend, vector(op.n), "n_bend");
  const std::string sum = node("Add", a, b, "sum");
  set_rows(op.y, net_.node("Add", {sum, n}, rows_name(op.y)), faces_[op.x].channels);
}

// MNN's converter turns ONNX's own Gelu, and most spellings of it, into the tanh form; these it takes as they
// stand.
std::string Emitter::activation(const std::string& name, ir::UnaryKind kind, const std::string& x) {
  switch (kind) {
    case ir::UnaryKind::kSilu:
      return net_.node("Mul", {x, net_.node("Sigmoid", {x}, name + "/sigmoid")}, name);
    case ir::UnaryKind::kGeluErf: {
      const std::string scaled =
          net_.node("Mul", {x, net_.scalar(static_cast<float>(std::sqrt(0.5)))}, name + "/scaled");
      const std::string erf = net_.node("Erf", {scaled}, name + "/erf");
      const std::string sum = net_.node("Add", {net_.scalar(1.0F), erf}, name + "/sum");
      const std::string half = net_.node("Mul", {net_.scalar(0.5F), sum}, name + "/half");
      return net_.node("Mul", {x, half}, name);
    }
    case ir::UnaryKind::kGeluTanh: {
      constexpr double kTwoOverPi = 0.63661977236758134308;
      const std::string square = net_.node("Mul", {x, x}, name + "/square");
      const std::string cube = net_.node("Mul", {square, x}, name + "/cube");
      const std::string small = net_.node("Mul", {cube, net_.scalar(0.044715F)}, name + "/small");
      const std::string inner = net_.node("Add", {x, small}, name + "/inner");
      const std::string scaled =
          net_.node("Mul", {inner, net_.scalar(static_cast<float>(std::sqrt(kTwoOverPi)))}, name + "/scaled");
      const std::string tanh = net_.node("Tanh", {scaled}, name + "/tanh");
      const std::string sum = net_.node("Add", {tanh, net_.scalar(1.0F)}, name + "/sum");
      const std::string half = net_.node("Mul", {sum, net_.scalar(0.5F)}, name + "/half");
      return net_.node("Mul", {x, half}, name);
    }
    case ir::UnaryKind::kRelu:
      return net_.node("Relu", {x}, name);
    case ir::UnaryKind::kRelu2: {
      const std::string relu = net_.node("Relu", {x}, name + "/relu");
      return net_.node("Mul", {relu, relu}, name);
    }
    case ir::UnaryKind::kQuickGelu: {
      const std::string scaled = net_.node("Mul", {x, net_.scalar(ir::kQuickGeluFactor)}, name + "/scaled");
      return net_.node("Mul", {x, net_.node("Sigmoid", {scaled}, name + "/sigmoid")}, name);
    }
    case ir::UnaryKind::kTanh:
      return net_.node("Tanh", {x}, name);
    case ir::UnaryKind::kSigmoid:
      return net_.node("Sigmoid", {x}, name);
    case ir::UnaryKind::kSoftplus:
      return net_.node("Softplus", {x}, name);
  }
  fail(ErrorKind::kInternal, "activation {} has no ONNX node", static_cast<int>(kind));
}

void Emitter::emit(const ir::PositionEmbedding& op) {
  const std::string& name = facts_.weight_names[op.table];
  const bool half = form_.dtype == DType::kF16;
  MatrixBlob blob;
  blob.name = name;
  blob.weight = op.table;
  blob.layout = MatrixLayout::kRows;
  blob.rows = op.num_rows;
  blob.cols = op.size;
  blob.bytes = checked_cast<std::uint64_t>(op.num_rows * op.size * (half ? 2 : 4));
  blob.offset =
      net_.reserve(name, half ? ElemType::kFloat16 : ElemType::kFloat, {op.num_rows, op.size}, blob.bytes);
  net_.add_matrix(std::move(blob));
  const std::string prefix = value_name(op.y);
  // A position beyond the table reads its last row, as in a package.
  const std::string least =
      net_.node("Max", {"position_ids", net_.scalar(std::int64_t{0})}, prefix + "/least");
  std::string at =
      net_.node("Min", {least, net_.scalar(op.num_rows * op.stride - op.offset - 1)}, prefix + "/clamped");
  if (op.offset != 0) at = net_.node("Add", {at, net_.scalar(op.offset)}, prefix + "/shifted");
  if (op.stride != 1) at = net_.node("Div", {at, net_.scalar(op.stride)}, prefix + "/row");
  const std::string rows = half ? prefix + "/half" : rows_name(op.y);
  net_.node("Gather", {name, at}, rows, {{"axis", std::int64_t{0}}});
  if (half) net_.node("Cast", {rows}, rows_name(op.y), {{"to", std::int64_t{1}}});
  set_rows(op.y, rows_name(op.y), op.size);
}

void Emitter::emit(const ir::Unary& op) {
  const std::string x = rows(op.x);
  set_rows(op.y, activation(rows_name(op.y), op.kind, x), faces_[op.x].channels);
}

std::string Emitter::gated(const std::string& name, const std::string& gate_name, ir::UnaryKind kind,
                           const std::optional<ir::GluLimits>& limits, const std::string& gate,
                           const std::string& up) {
  if (!limits) return net_.node("Mul", {activation(gate_name, kind, gate), up}, name);
  const auto clip = [&](const std::string& output, const std::string& x, double min, double max) {
    return net_.node("Clip", {x, net_.scalar(static_cast<float>(min)), net_.scalar(static_cast<float>(max))},
                     output);
  };
  const std::string low =
      clip(gate_name + "/limited", gate, std::numeric_limits<float>::lowest(), limits->gate_max);
  const std::string act = activation(gate_name, kind, low);
  return net_.node("Mul", {act, clip(name + "/up_limited", up, limits->up_min, limits->up_max)}, name);
}

void Emitter::emit(const ir::GatedUnit& op) {
  const std::string gate = rows(op.gate);
  set_rows(op.y, gated(rows_name(op.y), value_name(op.y) + "/gate", op.kind, op.limits, gate, rows(op.up)),
           faces_[op.gate].channels);
}

// A state between calls would be an input and an output of its own, which no reader of these files knows, and
// ONNX has no operator for the rule.
void Emitter::emit(const ir::ShortConv& op) {
  fail(ErrorKind::kUnsupported,
       "layer {} is a short convolution, whose state --export onnx has no form for; export to MNN (without "
       "--export onnx)",
       op.layer_idx);
}
void Emitter::emit(const ir::GatedDelta& op) {
  fail(ErrorKind::kUnsupported,
       "layer {} is linear attention (gated delta rule), whose state --export onnx has no form for; export "
       "to MNN "
       "(without --export onnx)",
       op.layer_idx);
}

void Emitter::emit(const ir::JoinHeads& op) {
  const std::string name = value_name(op.y);
  const std::string shared = heads(op.shared, 1, op.shared_size);
  const std::string own = heads(op.own, op.heads, op.own_size);
  const std::string copies = net_.node("Expand", {shared, net_.ints({1, 1, op.heads, 1})}, name + "/copies");
  set_heads(op.y, net_.node("Concat", {copies, own}, name + "/heads", {{"axis", std::int64_t{3}}}),
            op.heads * (op.shared_size + op.own_size));
}

void Emitter::emit(const ir::ResizeHeads& op) {
  const std::string name = value_name(op.y) + "/heads";
  const std::string x =
      net_.node("Reshape", {rows(op.x), net_.ints({0, 0, op.heads, op.from})}, value_name(op.y) + "/whole");
  const std::string y =
      op.to < op.from ? net_.node("Slice", {x, net_.ints({0}), net_.ints({op.to}), net_.ints({3})}, name)
                      : net_.node("Pad", {x, net_.ints({0, 0, 0, 0, 0, 0, 0, op.to - op.from})}, name);
  set_heads(op.y, y, op.heads * op.to);
}

void Emitter::emit(const ir::SelectTokens& op) {
  const std::string x = rows(op.x);
  // Only MNN's engine asks for less than all rows.
  const std::string y =
      form_.flavour == Flavour::kOne
          ? net_.node("Slice", {x, logits_index_, net_.ints({kOpenEnd}), net_.ints({1})}, rows_name(op.y))
          : x;
  set_rows(op.y, y, faces_[op.x].channels);
}

const std::string& Emitter::mask_of(ir::MaskKind kind) const {
  return kind == ir::MaskKind::kSliding ? sliding_mask_ : mask_;
}

// Keys or values: the present cache, then one copy per query head, [B, Hq, T, Dh] or transposed [B, Hq, Dh,
// T].
std::string Emitter::with_past(const std::string& name, std::string_view kind, const std::string& now,
                               const ir::Attention& op, bool transposed) {
  using Ints = std::vector<std::int64_t>;
  const std::string past =
      net_.node("Transpose", {past_name(op.layer_idx, kind)}, name + "/past", {{"perm", Ints{0, 2, 1, 3}}});
  const std::string all = net_.node("Concat", {past, now}, name + "/all", {{"axis", std::int64_t{1}}});
  net_.node("Transpose", {all}, present_name(op.layer_idx, kind), {{"perm", Ints{0, 2, 1, 3}}});
  std::string x = net_.node("Transpose", {all}, name + "/transposed",
                            {{"perm", transposed ? Ints{0, 2, 3, 1} : Ints{0, 2, 1, 3}}});
  const std::int64_t copies = op.num_attention_heads / op.num_key_value_heads;
  if (copies == 1) return x;
  x = net_.node("Unsqueeze", {x, net_.ints({2})}, name + "/unsqueezed");
  x = net_.node("Expand", {x, net_.ints({1, 1, copies, 1, 1})}, name + "/expanded");
  const Ints shape = transposed ? Ints{0, op.num_attention_heads, op.head_dim, -1}
                                : Ints{0, op.num_attention_heads, -1, op.head_dim};
  return net_.node("Reshape", {x, net_.ints(shape)}, name + "/repeated");
}

// With sinks: one more score a row in the softmax, dropped behind it. The largest score is subtracted in
// front, since MNN's converter knows sinks by that.
std::string Emitter::probabilities(const std::string& name, const std::string& masked,
                                   const std::string& queries, const ir::Attention& op) {
  const std::vector<Attr> last_axis = {{"axis", std::int64_t{-1}}};
  if (!op.sinks) return net_.node("Softmax", {masked}, name + "/probabilities", last_axis);
  const std::string sinks = net_.node(
      "Reshape", {vector(*op.sinks), net_.ints({1, op.num_attention_heads, 1, 1})}, name + "/sinks");
  const std::string rows = net_.node(
      "Slice", {net_.node("Shape", {queries}, name + "/query_shape"), net_.ints({0}), net_.ints({3})},
      name + "/rows_shape");
  const std::string shape =
      net_.node("Concat", {rows, net_.ints({1})}, name + "/sinks_shape", {{"axis", std::int64_t{0}}});
  const std::string column = net_.node("Expand", {sinks, shape}, name + "/sinks_column");
  const std::string scores = net_.node("Concat", {masked, column}, name + "/with_sinks", last_axis);
  const std::string largest = reduce_last("ReduceMax", scores, name + "/largest");
  const std::string shifted = net_.node("Sub", {scores, largest}, name + "/shifted");
  const std::string all = net_.node("Softmax", {shifted}, name + "/probabilities_and_sinks", last_axis);
  return net_.node("Slice", {all, net_.ints({0}), net_.ints({-1}), net_.ints({3})}, name + "/probabilities");
}

// c * tanh(scores / c).
std::string Emitter::capped(const std::string& name, const std::string& scores, const ir::Attention& op) {
  if (op.softcap == 0) return scores;
  const std::string cap = net_.scalar(static_cast<float>(op.softcap));
  const std::string part = net_.node("Div", {scores, cap}, name + "/scores_part");
  return net_.node("Mul", {net_.node("Tanh", {part}, name + "/tanh"), cap}, name + "/capped");
}

void Emitter::emit(const ir::Attention& op) {
  if (form_.flavour == Flavour::kGenai) return emit_group_query_attention(op);
  using Ints = std::vector<std::int64_t>;
  const std::string name = value_name(op.y);
  const std::string q = heads(op.q, op.num_attention_heads, op.head_dim);
  const std::string k = heads(op.k, op.num_key_value_heads, op.head_dim);
  const std::string v = heads(op.v, op.num_key_value_heads, op.head_dim);
  // The order of arguments is what MNN's converter goes by.
  const std::string keys = with_past(name + "/key", "key", k, op, true);
  const std::string values = with_past(name + "/value", "value", v, op, false);
  const std::string queries = net_.node("Transpose", {q}, name + "/query", {{"perm", Ints{0, 2, 1, 3}}});
  const std::string scores = net_.node("MatMul", {queries, keys}, name + "/scores");
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(op.head_dim)));
  const std::string scaled = net_.node("Mul", {scores, net_.scalar(scale)}, name + "/scaled");
  const std::string masked = net_.node("Add", {capped(name, scaled, op), mask_of(op.mask)}, name + "/masked");
  const std::string shares = probabilities(name, masked, queries, op);
  const std::string context = net_.node("MatMul", {shares, values}, name + "/context");
  const std::string y = net_.node("Transpose", {context}, name + "/heads", {{"perm", Ints{0, 2, 1, 3}}});
  const std::int64_t channels = op.num_attention_heads * op.head_dim;
  set_rows(op.y, net_.node("Reshape", {y, net_.ints({0, 0, channels})}, rows_name(op.y)), channels);
}

}  // namespace llm2mnn::onnx
