#include "base/error.h"
#include "formats/mnn/emitter.h"

namespace llm2mnn::mnn {

PackedEmitter::PackedEmitter(const ir::Graph& graph, const WeightFileLayout& layout, FormPlan plan,
                             const VectorReader& read_vector)
    : Emitter(graph, layout, std::move(plan), read_vector) {
  hidden_states_packed_ = true;
}

NormParam PackedEmitter::inline_norm(std::size_t node) const {
  const auto& norm = std::get<ir::Norm>(graph_.nodes[node].op);
  NormParam param{norm.eps, norm.rms, nullptr, read_vector_(norm.gamma)};
  LLM2MNN_CHECK(param.gamma.size() == static_cast<std::size_t>(norm.size));
  return param;
}

void PackedEmitter::emit(std::size_t node, const ir::Norm& op) {
  // A fused norm came out of its Add, an inlined one will come out of its RoPE.
  if (plan_.norm_is_fused[node] || plan_.norm_is_inlined[node]) return;
  if (op.heads != 1 || !op.rms || !fills_packs(op.size)) {
    emit_plain_norm(op);
    return;
  }
  const TensorId y =
      net_.layer_norm(packed_name(op.y), packed(op.x), stored_norm(op), fb::DataFormat::NC4HW4);
  set_packed(op.y, y, op.size);
}

void PackedEmitter::emit(std::size_t node, const ir::Add& op) {
  const TensorId a = packed(op.a);
  const TensorId b = packed(op.b);
  const std::int64_t channels = faces_[op.a].channels;
  if (const auto fused = plan_.norm_of_add[node]) {
    const auto& norm = std::get<ir::Norm>(graph_.nodes[*fused].op);
    const auto [sum, normed] = net_.add_layer_norm(graph_.nodes[*fused].name, packed_name(op.y),
                                                   packed_name(norm.y), a, b, stored_norm(norm));
    set_packed(op.y, sum, channels);
    set_packed(norm.y, normed, channels);
    return;
  }
  set_packed(
      op.y,
      net_.binary(packed_name(op.y), fb::BinaryKind::ADD, a, b, fb::DataType::FLOAT, fb::DataFormat::NC4HW4),
      channels);
}

TensorId PackedEmitter::gated(const std::string& name, const std::string& act_name, ir::UnaryKind kind,
                              TensorId gate, TensorId up) {
  const fb::DataFormat format = fb::DataFormat::NC4HW4;
  // out = in0 * silu(in1)
  if (kind == ir::UnaryKind::kSilu)
    return net_.binary(name, fb::BinaryKind::MUL_SILU, up, gate, fb::DataType::FLOAT, format);
  const TensorId activated = apply_unary(act_name, kind, gate, format);
  return net_.binary(name, fb::BinaryKind::MUL, up, activated, fb::DataType::FLOAT, format);
}

// cos and sin [T, D], halves duplicated, for the RoPE op; signed rows for a rotation of plain ops.
void PackedEmitter::emit(std::size_t node, const ir::RopeTable& op) {
  const auto [cos, sin] = emit_half_tables(graph_.nodes[node].name, op);
  bool packed_reader = false;
  bool plain_reader = false;
  for (std::size_t n = node; n < graph_.nodes.size(); ++n) {
    const auto* rope = std::get_if<ir::Rope>(&graph_.nodes[n].op);
    if (rope == nullptr || rope->cos != op.cos) continue;
    (plan_.is_plain[n] ? plain_reader : packed_reader) = true;
  }
  if (plain_reader) emit_plain_rotary_rows(node, op, cos, sin);
  if (!packed_reader) return;
  const auto dim = 2 * static_cast<std::int64_t>(op.inv_freq.size());
  set_plain(op.cos, net_.concat(plain_name(op.cos), {cos, cos}, 1), dim);
  set_plain(op.sin, net_.concat(plain_name(op.sin), {sin, sin}, 1), dim);
}

void PackedEmitter::emit(std::size_t node, const ir::Rope& op) {
  if (plan_.is_plain[node]) {
    emit_plain_rope(node, op);
    return;
  }
  RopeParam param{op.rotary_dim, op.num_attention_heads, op.num_key_value_heads, op.head_dim, nullptr,
                  nullptr};
  NormParam q_norm, k_norm;
  ir::ValueId q = op.q;
  ir::ValueId k = op.k;
  if (const auto n = plan_.q_norm_of_rope[node]) {
    q_norm = inline_norm(*n);
    param.q_norm = &q_norm;
    q = std::get<ir::Norm>(graph_.nodes[*n].op).x;
  }
  if (const auto n = plan_.k_norm_of_rope[node]) {
    k_norm = inline_norm(*n);
    param.k_norm = &k_norm;
    k = std::get<ir::Norm>(graph_.nodes[*n].op).x;
  }
  const TensorId q_in = packed(q);
  const TensorId k_in = packed(k);
  const auto [q_out, k_out] = net_.rope(graph_.nodes[node].name, heads_name(op.q_out), heads_name(op.k_out),
                                        q_in, k_in, faces_[op.cos].plain, faces_[op.sin].plain, param);
  set_heads(op.q_out, q_out, op.num_attention_heads * op.head_dim);
  set_heads(op.k_out, k_out, op.num_key_value_heads * op.head_dim);
}

void PackedEmitter::emit(std::size_t node, const ir::Attention& op) {
  if (plan_.is_plain[node]) {
    emit_plain_attention(node, op);
    return;
  }
  const TensorId q = heads(op.q, op.num_attention_heads, op.head_dim);
  const TensorId k = heads(op.k, op.num_key_value_heads, op.head_dim);
  const TensorId v = packed(op.v);
  const TensorId mask = mask_of(op.mask);
  const TensorId sinks = sinks_of(node, op);
  const TensorId y = net_.attention(packed_name(op.y), q, k, v, mask, {op.layer_idx, true, sinks});
  set_packed(op.y, y, op.num_attention_heads * op.head_dim);
}

void PackedEmitter::emit(std::size_t, const ir::SelectTokens& op) {
  set_packed(op.y, select(packed_name(op.y), packed(op.x), 0, fb::DataFormat::NC4HW4), faces_[op.x].channels);
}

}  // namespace llm2mnn::mnn
