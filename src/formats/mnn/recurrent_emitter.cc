// Short convolutions and linear attention: one op of the runtime, which keeps the state.

#include "formats/mnn/emitter.h"

namespace llm2mnn::mnn {

//  x [1, T, C] -- transpose -- [1, C, T] -- LinearAttention -- [1, T, n, D]
void Emitter::emit(std::size_t node, const ir::ShortConv& op) {
  const std::string& prefix = graph_.nodes[node].name;
  const TensorId x = net_.transpose(prefix + "/x", plain(op.x));
  const TensorId kernel =
      net_.external_vector(prefix + "/kernel", stored_vector(op.kernel), {op.channels, 1, op.taps});
  // It reads neither gate nor beta, but counts its inputs.
  const TensorId nothing = net_.scalar(0.0F);
  const TensorId y = net_.linear_attention(heads_name(op.y), x, nothing, nothing, kernel,
                                           {"short_conv", 1, 1, op.channels, op.channels, false});
  set_heads(op.y, y, op.channels);
}

void Emitter::emit(std::size_t node, const ir::GatedDelta& op) {
  const std::string& prefix = graph_.nodes[node].name;
  const std::int64_t values = op.num_value_heads * op.value_dim;
  const std::int64_t channels = 2 * op.num_key_heads * op.key_dim + values;
  const TensorId x = net_.transpose(prefix + "/x", plain(op.x));
  const TensorId kernel =
      net_.external_vector(prefix + "/kernel", stored_vector(op.kernel), {channels, 1, op.taps});
  const TensorId gate = plain(op.gate);
  const TensorId y = net_.linear_attention(
      heads_name(op.y), x, gate, plain(op.beta), kernel,
      {"gated_delta_rule", op.num_key_heads, op.num_value_heads, op.key_dim, op.value_dim, true});
  set_heads(op.y, y, values);
}

// max(x, 0) + ln(1 + exp(-|x|)): the exponential of a large x would overflow.
TensorId Emitter::softplus(const std::string& name, TensorId x) {
  const TensorId size = net_.unary(name + "/size", fb::UnaryKind::ABS, x);
  const TensorId power =
      net_.unary(name + "/exp", fb::UnaryKind::EXP, net_.unary(name + "/minus", fb::UnaryKind::NEG, size));
  const TensorId sum = net_.binary(name + "/sum", fb::BinaryKind::ADD, power, net_.scalar(1.0F));
  const TensorId log = net_.unary(name + "/log", fb::UnaryKind::LOG, sum);
  const TensorId positive = net_.relu(name + "/positive", x);
  return net_.binary(name, fb::BinaryKind::ADD, positive, log);
}

}  // namespace llm2mnn::mnn
