// Per-layer embeddings, AltUp and sparse gates, of plain ops in both forms.

#include "base/checked.h"
#include "formats/mnn/emitter.h"

namespace llm2mnn::mnn {
namespace {

constexpr std::int32_t kPlainChannelAxis = 2;

}  // namespace

TensorId Emitter::channels(const std::string& name, TensorId x, std::int64_t begin, std::int64_t end) {
  return net_.strided_slice(name, x, net_.vector1(checked_cast<std::int32_t>(begin)),
                            net_.vector1(checked_cast<std::int32_t>(end)), kPlainChannelAxis);
}

// The engine looks up rows of H + size values: the embedding, and the table's row behind it.
void Emitter::emit(std::size_t, const ir::TokenEmbedding& op) {
  const std::int64_t hidden = graph_.hidden_size;
  set_plain(op.y, channels(plain_name(op.y), embedded_, hidden, hidden + op.size), op.size);
}

void Emitter::emit(std::size_t, const ir::SliceChannels& op) {
  set_plain(op.y, channels(plain_name(op.y), plain(op.x), op.begin, op.begin + op.size), op.size);
}

// [1, T, to, from] times [1, T, from, size].
void Emitter::emit(std::size_t node, const ir::MixHeads& op) {
  const std::string& prefix = graph_.nodes[node].name;
  const TensorId x = net_.reshape(prefix + "/streams", plain(op.x), {1, -1, op.from, op.size});
  const TensorId coefs = net_.reshape(prefix + "/matrix", plain(op.coefs), {1, -1, op.to, op.from});
  const TensorId mixed = net_.mat_mul(prefix + "/mixed", coefs, x);
  set_plain(op.y, net_.reshape(plain_name(op.y), mixed, {1, -1, op.to * op.size}), op.to * op.size);
}

void Emitter::emit(std::size_t node, const ir::RootMeanSquare& op) {
  const std::string& prefix = graph_.nodes[node].name;
  const TensorId square = net_.unary(prefix + "/square", fb::UnaryKind::SQUARE, plain(op.x));
  TensorId mean = net_.reduce(prefix + "/mean", fb::ReductionKind::MEAN, square, true);
  if (op.least > 0)
    mean = net_.binary(prefix + "/least", fb::BinaryKind::MAXIMUM, mean,
                       net_.scalar(static_cast<float>(op.least)));
  if (!op.inverse) {
    set_plain(op.y, net_.unary(plain_name(op.y), fb::UnaryKind::SQRT, mean), 1);
    return;
  }
  const TensorId root = net_.unary(prefix + "/root", fb::UnaryKind::SQRT, mean);
  set_plain(op.y, net_.binary(plain_name(op.y), fb::BinaryKind::REALDIV, net_.scalar(1.0F), root), 1);
}

//  x -- mean -- x - mean -- square -- mean -- sqrt -- * deviations -- (x - mean) - that -- relu
void Emitter::emit(std::size_t node, const ir::Sparsify& op) {
  const std::string& prefix = graph_.nodes[node].name;
  const std::int64_t count = faces_[op.x].channels;
  const TensorId x = plain(op.x);
  const TensorId mean = net_.reduce(prefix + "/mean", fb::ReductionKind::MEAN, x, true);
  const TensorId centred = net_.binary(prefix + "/centred", fb::BinaryKind::SUB, x, mean);
  const TensorId square = net_.unary(prefix + "/square", fb::UnaryKind::SQUARE, centred);
  const TensorId variance = net_.reduce(prefix + "/variance", fb::ReductionKind::MEAN, square, true);
  const TensorId deviation = net_.unary(prefix + "/deviation", fb::UnaryKind::SQRT, variance);
  const TensorId cutoff = net_.binary(prefix + "/cutoff", fb::BinaryKind::MUL, deviation,
                                      net_.scalar(static_cast<float>(op.deviations)));
  const TensorId above = net_.binary(prefix + "/above", fb::BinaryKind::SUB, centred, cutoff);
  set_plain(op.y, net_.relu(plain_name(op.y), above), count);
}

}  // namespace llm2mnn::mnn
