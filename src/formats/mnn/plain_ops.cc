// Norm, rotation, attention and heads of plain ops: all of the compat form, and the packed form's way out
// where its own op is not right.

#include "formats/mnn/emitter.h"

namespace llm2mnn::mnn {
namespace {

constexpr std::int32_t kChannelAxis = 3;  // of a heads face

}  // namespace

void Emitter::emit_plain_norm(const ir::Norm& op) {
  const std::int64_t channels = op.size * op.heads;
  const NormParam param = stored_norm(op);
  if (op.heads == 1) {
    set_plain(op.y, net_.layer_norm(plain_name(op.y), plain(op.x), param, fb::DataFormat::NCHW), channels);
    return;
  }
  const TensorId x = heads(op.x, op.heads, op.size);
  set_heads(op.y, net_.layer_norm(heads_name(op.y), x, param, fb::DataFormat::NCHW), channels);
}

void Emitter::emit_plain_rotary_rows(std::size_t node, const ir::RopeTable& op, TensorId cos_half,
                                     TensorId sin_half) {
  const auto dim = 2 * static_cast<std::int64_t>(op.inv_freq.size());
  const std::string prefix = graph_.nodes[node].name;
  const TensorId minus_sin = net_.unary(prefix + "/minus_sin", fb::UnaryKind::NEG, sin_half);
  const TensorId cos_row = net_.concat(prefix + "/cos_row", {cos_half, cos_half}, 1);
  const TensorId sin_row = net_.concat(prefix + "/sin_row", {minus_sin, sin_half}, 1);
  set_heads(op.cos, net_.reshape(heads_name(op.cos), cos_row, {1, -1, 1, dim}), dim);
  set_heads(op.sin, net_.reshape(heads_name(op.sin), sin_row, {1, -1, 1, dim}), dim);
}

//  x -- [slice: rotated part] -- halves -- concat(x2, x1) -- * sin --.
//                             '------------------------------ * cos -- + -- [concat the tail] -- y
TensorId Emitter::rotate(const std::string& prefix, ir::ValueId x, ir::ValueId y, std::int64_t num_heads,
                         const ir::Rope& op) {
  const TensorId whole = heads(x, num_heads, op.head_dim);
  const bool is_partial = op.rotary_dim < op.head_dim;
  TensorId part = whole;
  const TensorId split = is_partial ? net_.vector1(static_cast<std::int32_t>(op.rotary_dim)) : kNone;
  if (is_partial)
    part = net_.strided_slice(prefix + "/rotated_part", whole, net_.vector1(0), split, kChannelAxis);
  const auto [first, second] = net_.halves(prefix + "/halves", part, kChannelAxis);
  const TensorId swapped = net_.concat(prefix + "/swapped", {second, first}, kChannelAxis);
  const TensorId along = net_.binary(prefix + "/along", fb::BinaryKind::MUL, part, faces_[op.cos].heads);
  const TensorId across = net_.binary(prefix + "/across", fb::BinaryKind::MUL, swapped, faces_[op.sin].heads);
  if (!is_partial) return net_.binary(heads_name(y), fb::BinaryKind::ADD, along, across);
  const TensorId rotated = net_.binary(prefix + "/rotated", fb::BinaryKind::ADD, along, across);
  const TensorId end = net_.vector1(static_cast<std::int32_t>(op.head_dim));
  const TensorId tail = net_.strided_slice(prefix + "/tail", whole, split, end, kChannelAxis);
  return net_.concat(heads_name(y), {rotated, tail}, kChannelAxis);
}

void Emitter::emit_plain_rope(std::size_t node, const ir::Rope& op) {
  const std::string& prefix = graph_.nodes[node].name;
  set_heads(op.q_out, rotate(prefix + "/q", op.q, op.q_out, op.num_attention_heads, op),
            op.num_attention_heads * op.head_dim);
  set_heads(op.k_out, rotate(prefix + "/k", op.k, op.k_out, op.num_key_value_heads, op),
            op.num_key_value_heads * op.head_dim);
}

TensorId Emitter::sinks_of(std::size_t node, const ir::Attention& op) {
  if (!op.sinks) return kNone;
  return net_.external_vector(graph_.nodes[node].name + "/sinks", stored_vector(*op.sinks),
                              {op.num_attention_heads});
}

void Emitter::emit(std::size_t node, const ir::JoinHeads& op) {
  const TensorId shared = heads(op.shared, 1, op.shared_size);
  const TensorId own = heads(op.own, op.heads, op.own_size);
  const TensorId copies =
      net_.tile(graph_.nodes[node].name + "/copies", shared, {1, 1, static_cast<std::int32_t>(op.heads), 1});
  set_heads(op.y, net_.concat(heads_name(op.y), {copies, own}, kChannelAxis),
            op.heads * (op.shared_size + op.own_size));
}

void Emitter::emit(std::size_t, const ir::ResizeHeads& op) {
  const TensorId x = heads(op.x, op.heads, op.from);
  const auto from = static_cast<std::int32_t>(op.from), to = static_cast<std::int32_t>(op.to);
  const TensorId y =
      to < from ? net_.strided_slice(heads_name(op.y), x, net_.vector1(0), net_.vector1(to), kChannelAxis)
                : net_.pad_channels(heads_name(op.y), x, to - from);
  set_heads(op.y, y, op.heads * op.to);
}

void Emitter::emit_plain_attention(std::size_t node, const ir::Attention& op) {
  const TensorId q = heads(op.q, op.num_attention_heads, op.head_dim);
  const TensorId k = heads(op.k, op.num_key_value_heads, op.head_dim);
  const TensorId v = heads(op.v, op.num_key_value_heads, op.head_dim);
  AttentionParam param;
  param.sinks = sinks_of(node, op);
  set_plain(op.y, net_.attention(plain_name(op.y), q, k, v, mask_of(op.mask), param),
            op.num_attention_heads * op.head_dim);
}

}  // namespace llm2mnn::mnn
