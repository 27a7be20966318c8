#include "formats/mnn/emitter.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>

#include "base/checked.h"
#include "base/error.h"
#include "ir/rotary.h"

namespace llm2mnn::mnn {

Emitter::Emitter(const ir::Graph& graph, const WeightFileLayout& layout, FormPlan plan,
                 const VectorReader& read_vector)
    : graph_(graph),
      layout_(layout),
      plan_(std::move(plan)),
      read_vector_(read_vector),
      faces_(graph.values.size()) {}

std::vector<std::byte> Emitter::run() {
  emit_inputs();
  for (std::size_t n = 0; n < graph_.nodes.size(); ++n)
    std::visit([this, n](const auto& op) { emit(n, op); }, graph_.nodes[n].op);
  plain(graph_.logits);
  hidden_states_packed_ ? packed(graph_.hidden_states) : plain(graph_.hidden_states);
  return net_.finish({"logits", "hidden_states"});
}

void Emitter::emit_inputs() {
  const ir::TokenEmbedding* further = ir::token_embedding(graph_);
  const std::int64_t width = graph_.hidden_size + (further != nullptr ? further->size : 0);
  const TensorId embedded =
      net_.input("input_ids", {-1, 1, checked_cast<std::int32_t>(width)}, fb::DataType::FLOAT);
  attention_mask_ = net_.input("attention_mask", {1, 1, -1, -1}, fb::DataType::FLOAT);
  position_ids_ = net_.input("position_ids", {1, -1}, fb::DataType::INT32);
  logits_index_ = net_.input("logits_index", {1}, fb::DataType::INT32);
  // The engine hands over [T, 1, H]; either face is one reshape away.
  faces_[graph_.input].channels = graph_.hidden_size;
  if (further == nullptr) {
    faces_[graph_.input].plain = net_.reshape(plain_name(graph_.input), embedded, {1, -1, width});
    return;
  }
  embedded_ = net_.reshape("/embedded", embedded, {1, -1, width});
  faces_[graph_.input].plain = channels(plain_name(graph_.input), embedded_, 0, graph_.hidden_size);
}

std::string Emitter::plain_name(ir::ValueId value) const {
  if (value == graph_.logits) return "logits";
  if (value == graph_.hidden_states && !hidden_states_packed_) return "hidden_states";
  return graph_.values[value].name + "/plain";
}
std::string Emitter::packed_name(ir::ValueId value) const {
  if (value == graph_.hidden_states && hidden_states_packed_) return "hidden_states";
  return graph_.values[value].name + "/packed";
}
std::string Emitter::heads_name(ir::ValueId value) const { return graph_.values[value].name + "/heads"; }

void Emitter::set_plain(ir::ValueId value, TensorId tensor, std::int64_t channels) {
  faces_[value].plain = tensor;
  faces_[value].channels = channels;
}
void Emitter::set_packed(ir::ValueId value, TensorId tensor, std::int64_t channels) {
  faces_[value].packed = tensor;
  faces_[value].channels = channels;
}
void Emitter::set_heads(ir::ValueId value, TensorId tensor, std::int64_t channels) {
  faces_[value].heads = tensor;
  faces_[value].channels = channels;
}

TensorId Emitter::unpacked(ir::ValueId value) {
  return net_.convert(graph_.values[value].name + "/unpacked", faces_[value].packed, fb::DataFormat::NC4HW4,
                      fb::DataFormat::NCHW);
}

TensorId Emitter::plain(ir::ValueId value) {
  Faces& faces = faces_[value];
  if (faces.plain != kNone) return faces.plain;
  const TensorId source = faces.heads != kNone ? faces.heads : unpacked(value);
  return faces.plain = net_.reshape(plain_name(value), source, {1, -1, faces.channels});
}

TensorId Emitter::packed(ir::ValueId value) {
  Faces& faces = faces_[value];
  if (faces.packed != kNone) return faces.packed;
  const TensorId source = faces.plain != kNone ? faces.plain : faces.heads;
  const TensorId rows = net_.reshape(graph_.values[value].name + "/rows", source, {-1, faces.channels, 1, 1});
  return faces.packed = net_.convert(packed_name(value), rows, fb::DataFormat::NCHW, fb::DataFormat::NC4HW4);
}

TensorId Emitter::heads(ir::ValueId value, std::int64_t num_heads, std::int64_t head_dim) {
  Faces& faces = faces_[value];
  if (faces.heads != kNone) return faces.heads;
  const TensorId source = faces.plain != kNone ? faces.plain : unpacked(value);
  return faces.heads = net_.reshape(heads_name(value), source, {1, -1, num_heads, head_dim});
}

void Emitter::emit(std::size_t, const ir::Linear& op) {
  set_packed(op.y, net_.linear(packed_name(op.y), packed(op.x), layout_.linear_of(op.weight)),
             op.out_features);
}

TensorId Emitter::gated(const std::string& name, const std::string& act_name, ir::UnaryKind kind,
                        TensorId gate, TensorId up) {
  const fb::DataFormat format = fb::DataFormat::NC4HW4;
  const TensorId activated = apply_unary(act_name, kind, gate, format);
  return net_.binary(name, fb::BinaryKind::MUL, activated, up, fb::DataType::FLOAT, format);
}

std::pair<TensorId, TensorId> Emitter::limited(const std::string& prefix,
                                               const std::optional<ir::GluLimits>& limits, TensorId gate,
                                               TensorId up) {
  if (!limits) return {gate, up};
  const fb::DataFormat format = fb::DataFormat::NC4HW4;
  const TensorId low_gate = net_.clamp(prefix + "/gate_limited", gate, std::numeric_limits<float>::lowest(),
                                       static_cast<float>(limits->gate_max), format);
  return {low_gate, net_.clamp(prefix + "/up_limited", up, static_cast<float>(limits->up_min),
                               static_cast<float>(limits->up_max), format)};
}

void Emitter::emit(std::size_t node, const ir::GatedUnit& op) {
  const TensorId all_gate = packed(op.gate);
  const TensorId all_up = packed(op.up);
  const auto [gate, up] = limited(graph_.nodes[node].name, op.limits, all_gate, all_up);
  set_packed(op.y, gated(packed_name(op.y), graph_.nodes[node].name + "/gate", op.kind, gate, up),
             faces_[op.gate].channels);
}

// Packed tensors have no lane for every channel of a broadcast one.
void Emitter::emit(std::size_t, const ir::Multiply& op) {
  const TensorId a = plain(op.a);
  set_plain(op.y, net_.binary(plain_name(op.y), fb::BinaryKind::MUL, a, plain(op.b)), faces_[op.a].channels);
}

void Emitter::emit(std::size_t, const ir::Scale& op) {
  const TensorId factor = net_.scalar(static_cast<float>(op.factor));
  const TensorId y = net_.binary(plain_name(op.y), fb::BinaryKind::MUL, plain(op.x), factor);
  set_plain(op.y, y, faces_[op.x].channels);
}

void Emitter::emit(std::size_t node, const ir::ChannelScale& op) {
  const std::int64_t channels = faces_[op.x].channels;
  const TensorId factors =
      net_.external_vector(graph_.nodes[node].name + "/factors", stored_vector(op.weight), {1, 1, channels});
  set_plain(op.y, net_.binary(plain_name(op.y), fb::BinaryKind::MUL, plain(op.x), factors), channels);
}

void Emitter::emit(std::size_t node, const ir::Clamp& op) {
  const auto limit = static_cast<float>(op.limit);
  const Faces& x = faces_[op.x];
  const bool is_packed = x.packed != kNone;
  const fb::DataFormat format = is_packed ? fb::DataFormat::NC4HW4 : fb::DataFormat::NCHW;
  const auto bound = [&](const std::string& name, fb::BinaryKind kind, TensorId value, float number) {
    const TensorId scalar = net_.scalar(number);
    return net_.binary(name, kind, value, scalar, fb::DataType::FLOAT, format);
  };
  const TensorId least = bound(graph_.nodes[node].name + "/least", fb::BinaryKind::MAXIMUM,
                               is_packed ? x.packed : plain(op.x), -limit);
  if (is_packed)
    set_packed(op.y, bound(packed_name(op.y), fb::BinaryKind::MINIMUM, least, limit), x.channels);
  else
    set_plain(op.y, bound(plain_name(op.y), fb::BinaryKind::MINIMUM, least, limit), x.channels);
}

//  x -- relu ---------- square -- * a --------------------.
//   '-- min(x, 0) -- expm1 -- + relu = elu -- * b -------- + -- + -- y
//                                          '- (- x) * n ------ '
void Emitter::emit(std::size_t node, const ir::Xielu& op) {
  const std::string prefix = graph_.nodes[node].name;
  const std::int64_t channels = faces_[op.x].channels;
  const TensorId x = plain(op.x);
  const auto binary = [&](const char* name, fb::BinaryKind kind, TensorId a, TensorId b) {
    return net_.binary(fmt::format("{}/{}", prefix, name), kind, a, b);
  };
  const auto number = [&](const char* name, ir::WeightId id) {
    return net_.external_vector(fmt::format("{}/{}", prefix, name), stored_vector(id), {1, 1, 1});
  };
  const TensorId positive = net_.relu(prefix + "/positive", x);
  const TensorId square = net_.unary(prefix + "/square", fb::UnaryKind::SQUARE, positive);
  const TensorId negative = binary("negative", fb::BinaryKind::MINIMUM, x, net_.scalar(0.0F));
  const TensorId curve = net_.unary(prefix + "/curve", fb::UnaryKind::EXPM1, negative);
  const TensorId elu = binary("elu", fb::BinaryKind::ADD, positive, curve);
  const TensorId bend = binary("bend", fb::BinaryKind::SUB, elu, x);
  const TensorId a = binary("a_square", fb::BinaryKind::MUL, square, number("a", op.a));
  const TensorId b = binary("b_elu", fb::BinaryKind::MUL, elu, number("b", op.b));
  const TensorId n = binary("n_bend", fb::BinaryKind::MUL, bend, number("n", op.n));
  const TensorId sum = binary("sum", fb::BinaryKind::ADD, a, b);
  set_plain(op.y, net_.binary(plain_name(op.y), fb::BinaryKind::ADD, sum, n), channels);
}

void Emitter::emit(std::size_t, const ir::Unary& op) {
  const Faces& x = faces_[op.x];
  if (op.kind == ir::UnaryKind::kSoftplus)
    set_plain(op.y, softplus(plain_name(op.y), plain(op.x)), x.channels);
  else if (x.packed != kNone)
    set_packed(op.y, apply_unary(packed_name(op.y), op.kind, x.packed, fb::DataFormat::NC4HW4), x.channels);
  else
    set_plain(op.y, apply_unary(plain_name(op.y), op.kind, plain(op.x), fb::DataFormat::NCHW), x.channels);
}

TensorId Emitter::apply_unary(const std::string& name, ir::UnaryKind kind, TensorId x,
                              fb::DataFormat format) {
  switch (kind) {
    case ir::UnaryKind::kSilu:
      return net_.unary(name, fb::UnaryKind::SILU, x, format);
    case ir::UnaryKind::kGeluTanh:
      return net_.unary(name, fb::UnaryKind::GELU, x, format);
    case ir::UnaryKind::kGeluErf:
      return net_.unary(name, fb::UnaryKind::GELU_STANDARD, x, format);
    case ir::UnaryKind::kQuickGelu: {
      const TensorId factor = net_.scalar(ir::kQuickGeluFactor);
      const TensorId scaled =
          net_.binary(name + "/scaled", fb::BinaryKind::MUL, x, factor, fb::DataType::FLOAT, format);
      const TensorId sigmoid = net_.unary(name + "/sigmoid", fb::UnaryKind::SIGMOID, scaled, format);
      return net_.binary(name, fb::BinaryKind::MUL, x, sigmoid, fb::DataType::FLOAT, format);
    }
    case ir::UnaryKind::kTanh:
      return net_.unary(name, fb::UnaryKind::TANH, x, format);
    case ir::UnaryKind::kRelu:
      return net_.relu(name, x, format);
    case ir::UnaryKind::kSigmoid:
      return net_.unary(name, fb::UnaryKind::SIGMOID, x, format);
    case ir::UnaryKind::kSoftplus:
      break;  // made of several ops, in emit
    case ir::UnaryKind::kRelu2:
      return net_.unary(name, fb::UnaryKind::SQUARE, net_.relu(name + "/relu", x, format), format);
  }
  fail(ErrorKind::kInternal, "activation {} has no MNN op", static_cast<int>(kind));
}

NormParam Emitter::stored_norm(const ir::Norm& op) const {
  const auto found = std::find_if(layout_.norms.begin(), layout_.norms.end(),
                                  [&op](const NormBlob& blob) { return blob.gamma == op.gamma; });
  LLM2MNN_CHECK(found != layout_.norms.end());
  return {op.eps, op.rms, &*found, {}};
}

const VectorBlob& Emitter::stored_vector(ir::WeightId weight) const {
  const auto found = std::find_if(layout_.vectors.begin(), layout_.vectors.end(),
                                  [weight](const VectorBlob& blob) { return blob.weight == weight; });
  LLM2MNN_CHECK(found != layout_.vectors.end());
  return *found;
}

TensorId Emitter::mask_of(ir::MaskKind kind) {
  if (!graph_.has_sliding_layers) return attention_mask_;
  // attention_type "mix": [2, 1, 1, T, S], plane 0 causal, plane 1 sliding.
  const std::int32_t plane = kind == ir::MaskKind::kSliding ? 1 : 0;
  TensorId& mask = mask_planes_[plane];
  if (mask == kNone)
    mask = net_.gather_rows(plane == 1 ? "/mask/sliding" : "/mask/full", attention_mask_, net_.scalar(plane));
  return mask;
}

TensorId Emitter::position_op(const Positions& at, std::string_view name, fb::BinaryKind kind, TensorId a,
                              std::int64_t b) {
  return net_.binary(fmt::format("{}/{}", at.prefix, name), kind, a,
                     net_.scalar(checked_cast<std::int32_t>(b)), fb::DataType::INT32);
}

Emitter::Positions& Emitter::clamped_positions(std::int64_t num_positions) {
  for (Positions& known : positions_)
    if (known.num_positions == num_positions) return known;
  Positions at{num_positions, fmt::format("/positions.{}", positions_.size()), kNone, kNone, kNone};
  // Older runtimes hand over [T], newer ones [1, T]. A position beyond the table reads its last row.
  const TensorId flat = net_.reshape(at.prefix + "/flat", position_ids_, {-1});
  const TensorId least = position_op(at, "least", fb::BinaryKind::MAXIMUM, flat, 0);
  at.clamped = position_op(at, "clamped", fb::BinaryKind::MINIMUM, least, num_positions - 1);
  positions_.push_back(std::move(at));
  return positions_.back();
}

const Emitter::Positions& Emitter::split_positions(std::int64_t num_positions) {
  Positions& at = clamped_positions(num_positions);
  if (at.high != kNone) return at;
  at.high = position_op(at, "high", fb::BinaryKind::REALDIV, at.clamped, ir::kRotarySplit);
  const TensorId base = position_op(at, "base", fb::BinaryKind::MUL, at.high, ir::kRotarySplit);
  at.low = net_.binary(at.prefix + "/low", fb::BinaryKind::SUB, at.clamped, base, fb::DataType::INT32);
  return at;
}

void Emitter::emit(std::size_t node, const ir::PositionEmbedding& op) {
  const std::string& prefix = graph_.nodes[node].name;
  const auto stored = std::find_if(layout_.tables.begin(), layout_.tables.end(),
                                   [&op](const TableBlob& blob) { return blob.weight == op.table; });
  LLM2MNN_CHECK(stored != layout_.tables.end());
  Positions& positions = clamped_positions(op.num_rows * op.stride - op.offset);
  TensorId at = positions.clamped;
  const Positions own{.prefix = prefix};
  if (op.offset != 0) at = position_op(own, "shifted", fb::BinaryKind::ADD, at, op.offset);
  if (op.stride != 1) at = position_op(own, "row", fb::BinaryKind::REALDIV, at, op.stride);
  const TensorId table = net_.external_table(prefix + "/table", stored->offset, op.num_rows, op.size);
  const TensorId rows = net_.gather_rows(prefix + "/rows", table, at);
  set_plain(op.y, net_.reshape(plain_name(op.y), rows, {1, -1, op.size}), op.size);
}

//  cosH[high] --.                cos = cosH * cosL - sinH * sinL
//  sinH[high] --+-- products --> sin = sinH * cosL + cosH * sinL
//  cosL[low]  --+
//  sinL[low]  --'
std::pair<TensorId, TensorId> Emitter::emit_half_tables(const std::string& prefix,
                                                        const ir::RopeTable& table) {
  const Positions at = split_positions(table.num_positions);
  const auto half_dim = static_cast<std::int64_t>(table.inv_freq.size());
  const auto rows_at = [&](std::string_view name, std::int64_t rows, TensorId index) {
    LLM2MNN_CHECK(next_const_ < layout_.consts.size());
    const ConstBlob& blob = layout_.consts[next_const_++];
    LLM2MNN_CHECK(blob.data.size() == checked_cast<std::size_t>(rows * half_dim) * sizeof(float));
    const TensorId stored =
        net_.external_table(fmt::format("{}/{}_table", prefix, name), blob.offset, rows, half_dim);
    return net_.gather_rows(fmt::format("{}/{}", prefix, name), stored, index);
  };
  const std::int64_t high_rows = ir::rotary_high_rows(table);
  const TensorId cos_high = rows_at("cos_high", high_rows, at.high);
  const TensorId sin_high = rows_at("sin_high", high_rows, at.high);
  const TensorId cos_low = rows_at("cos_low", ir::kRotarySplit, at.low);
  const TensorId sin_low = rows_at("sin_low", ir::kRotarySplit, at.low);
  const auto product = [this, &prefix](std::string_view name, TensorId a, TensorId b) {
    return net_.binary(fmt::format("{}/{}", prefix, name), fb::BinaryKind::MUL, a, b);
  };
  // One statement each: the order of the ops must not hang on the compiler's order of arguments.
  const TensorId cos_cos = product("cos_cos", cos_high, cos_low);
  const TensorId sin_sin = product("sin_sin", sin_high, sin_low);
  const TensorId cos = net_.binary(prefix + "/cos_half", fb::BinaryKind::SUB, cos_cos, sin_sin);
  const TensorId sin_cos = product("sin_cos", sin_high, cos_low);
  const TensorId cos_sin = product("cos_sin", cos_high, sin_low);
  const TensorId sin = net_.binary(prefix + "/sin_half", fb::BinaryKind::ADD, sin_cos, cos_sin);
  return {cos, sin};
}

TensorId Emitter::select(const std::string& name, TensorId x, std::int32_t axis, fb::DataFormat format) {
  constexpr std::int32_t kEnd = 0x7fffffff;  // "to the last row" of the ONNX slice
  return net_.strided_slice(name, x, logits_index_, net_.vector1(kEnd), axis, format);
}

std::vector<std::byte> write_graph(const ir::Graph& graph, const WeightFileLayout& layout, GraphForm form,
                                   const VectorReader& read_vector) {
  FormPlan plan = plan_form(graph, form);
  if (form == GraphForm::kPacked) return PackedEmitter(graph, layout, std::move(plan), read_vector).run();
  return CompatEmitter(graph, layout, std::move(plan), read_vector).run();
}

}  // namespace llm2mnn::mnn
