#include "formats/mnn/emitter.h"

namespace llm2mnn::mnn {

void CompatEmitter::emit(std::size_t, const ir::Norm& op) { emit_plain_norm(op); }

void CompatEmitter::emit(std::size_t, const ir::Add& op) {
  const TensorId a = plain(op.a);
  set_plain(op.y, net_.binary(plain_name(op.y), fb::BinaryKind::ADD, a, plain(op.b)), faces_[op.a].channels);
}

void CompatEmitter::emit(std::size_t node, const ir::RopeTable& op) {
  const auto [cos, sin] = emit_half_tables(graph_.nodes[node].name, op);
  emit_plain_rotary_rows(node, op, cos, sin);
}

void CompatEmitter::emit(std::size_t node, const ir::Rope& op) { emit_plain_rope(node, op); }

void CompatEmitter::emit(std::size_t node, const ir::Attention& op) { emit_plain_attention(node, op); }

void CompatEmitter::emit(std::size_t, const ir::SelectTokens& op) {
  set_plain(op.y, select(plain_name(op.y), plain(op.x), 1, fb::DataFormat::NCHW), faces_[op.x].channels);
}

}  // namespace llm2mnn::mnn
