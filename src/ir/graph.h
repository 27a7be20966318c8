#pragma once
// The semantic graph between a model and a file format: a few ops that a decoder is made of, in topological
// order. Shapes: T tokens now, one sequence. A value is [T, C] unless an op says otherwise. Weights are
// referred to by id; their bytes are nobody's business here.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tensor/dtype.h"

namespace llm2mnn::ir {

using ValueId = std::uint32_t;
using WeightId = std::uint32_t;
inline constexpr ValueId kNoValue = UINT32_MAX;

/// A weight the graph reads: a matrix [O, I] of a Linear, a vector [n] (bias, gamma, beta) or a table [P, C]
/// of a PositionEmbedding or TokenEmbedding.
struct Weight {
  std::string address;  ///< canonical, unique: "layers.3.mlp.down_proj.weight", "norm.weight"
  Shape shape;
};

struct Value {
  std::string name;  ///< an address such as "/layers.3/self_attn/q_proj/output"
};

enum class UnaryKind : std::uint8_t {
  kSilu,
  kGeluTanh,
  kGeluErf,
  kRelu,
  kRelu2,
  kTanh,
  kSigmoid,
  kSoftplus,
  kQuickGelu
};
/// Of kQuickGelu: x * sigmoid(1.702 x).
inline constexpr float kQuickGeluFactor = 1.702F;
enum class MaskKind : std::uint8_t { kFull, kSliding };
enum class RouterKind : std::uint8_t { kSoftmax, kSigmoid, kSparsemixer };

/// y [T, O] = x [T, I] W^T + b.
struct Linear {
  ValueId x, y;
  WeightId weight;
  std::optional<WeightId> bias;
  std::int64_t in_features, out_features;
};
/// Normalises over the last `size` channels: the hidden axis (size == C), or each head of [T, heads*size].
struct Norm {
  ValueId x, y;
  WeightId gamma;
  std::optional<WeightId> beta;
  bool rms;  ///< false: subtract the mean
  double eps;
  std::int64_t size, heads;  ///< C == size * heads; heads is 1 on the hidden axis
};
struct Add {
  ValueId a, b, y;  ///< same shape
};
/// y = a * b; `b` may have one channel for all of a's.
struct Multiply {
  ValueId a, b, y;
};
/// y = x * factor.
struct Scale {
  ValueId x, y;
  double factor;
};
/// y = x * weight, channel by channel: [T, C] * [C].
struct ChannelScale {
  ValueId x, y;
  WeightId weight;
};
/// y = x, limited to -limit .. limit.
struct Clamp {
  ValueId x, y;
  double limit;
};
/// xIELU: y = a relu(x)^2 + b elu(x) + n (elu(x) - x), elu(x) = relu(x) + expm1(min(x, 0)).
struct Xielu {
  ValueId x, y;
  WeightId a, b, n;  ///< [1] each
};
struct Unary {
  ValueId x, y;
  UnaryKind kind;
};
/// Bounds of a gate from above, and of what it multiplies.
struct GluLimits {
  double gate_max, up_min, up_max;
};
/// y = act(gate) * up: [T, F]; with limits act(min(gate, gate_max)) * clamp(up, up_min, up_max).
struct GatedUnit {
  ValueId gate, up, y;
  UnaryKind kind;
  std::optional<GluLimits> limits = {};
};
/// y [T, heads * (shared_size + own_size)]: each head is `shared` [T, shared_size], then its part of `own`
/// [T, heads * own_size].
struct JoinHeads {
  ValueId shared, own, y;
  std::int64_t heads, shared_size, own_size;
};
/// The first `to` channels of each head of x [T, heads * from], or all of them and zeros: y [T, heads * to].
struct ResizeHeads {
  ValueId x, y;
  std::int64_t heads, from, to;
};
/// Rotary tables from position_ids: cos and sin [T, rotary_dim], halves duplicated, times `attention_factor`.
struct RopeTable {
  ValueId cos, sin;
  std::vector<float> inv_freq;  ///< [rotary_dim / 2]
  double attention_factor;
  std::int64_t num_positions;  ///< positions the table must cover
};
/// y [T, size]: row (position + offset) / stride of a table, rounded down, for each of position_ids. A
/// position beyond the table takes its last row.
struct PositionEmbedding {
  ValueId y;
  WeightId table;
  std::int64_t num_rows, size;
  std::int64_t stride = 1, offset = 0;
};
/// y [T, size]: a row of a table for each token, by its id; the tokens are those of the graph's input.
struct TokenEmbedding {
  ValueId y;
  WeightId table;
  std::int64_t num_rows, size;
};
/// y [T, size]: channels [begin, begin + size) of x.
struct SliceChannels {
  ValueId x, y;
  std::int64_t begin, size;
};
/// y [T, to * size]: with the heads x_i [T, size] of x [T, from * size], head j of y is the sum over i of
/// coefs[:, j * from + i] * x_i. coefs [T, to * from].
struct MixHeads {
  ValueId x, coefs, y;
  std::int64_t from, to, size;
};
/// y [T, 1]: the root of the mean of squares of x, which is at least `least`, or one over that root.
struct RootMeanSquare {
  ValueId x, y;
  double least;
  bool inverse;
};
/// y = max(x - (mean + deviations * deviation), 0), mean and standard deviation over the channels of x.
struct Sparsify {
  ValueId x, y;
  double deviations;
};
/// Rotates the first `rotary_dim` channels of each head of q [T, Hq*Dh] and k [T, Hkv*Dh], pairs (j, j +
/// rotary_dim/2).
struct Rope {
  ValueId q, k, cos, sin, q_out, k_out;
  std::int64_t num_attention_heads, num_key_value_heads, head_dim, rotary_dim;
};
/// Causal attention with an internal KV cache, scores scaled by Dh^-0.5: y [T, Hq*Dh]. The softmax of a head
/// counts its sink beside the scores; its share of the values is nothing.
struct Attention {
  ValueId q, k, v, y;
  std::int64_t num_attention_heads, num_key_value_heads, head_dim;
  std::int64_t layer_idx;
  MaskKind mask;
  std::optional<WeightId> sinks = {};  ///< [Hq]
  double softcap = 0;                  ///< c of c * tanh(scores / c), in front of the mask; 0: none
};
/// With b, c, u the three parts of x [T, 3C]: y [T, C] = c * conv(b * u), where conv sums `taps` tokens of a
/// channel, the last of them its own. Keeps the tokens that the next call needs.
struct ShortConv {
  ValueId x, y;
  WeightId kernel;  ///< [C * taps], the oldest token's factor first
  std::int64_t channels, taps, layer_idx;
};
/// Linear attention by the gated delta rule. x [T, 2 Hk Dk + Hv Dv] holds q, k and v; silu(conv(x)) as in
/// ShortConv; q and k of each head over their Euclidean lengths (epsilon 1e-6 under the root), q times
/// Dk^-0.5. With a state S [Dk, Dv] for each head of v, and its key head: S = exp(gate) S; S += beta k (v -
/// S^T k)^T; y [T, Hv Dv] = S^T q. gate, beta [T, Hv]. Keeps the state and the tokens that the next call
/// needs.
struct GatedDelta {
  ValueId x, gate, beta, y;
  WeightId kernel;  ///< [channels of x * taps]
  std::int64_t num_key_heads, num_value_heads, key_dim, value_dim, taps, layer_idx;
};
/// Chooses the experts of each token: `weights` [T, top_k] and `indices` [T, top_k], integers below
/// num_experts, from logits x [T, num_experts].
/// kSoftmax, kSigmoid: s = softmax(x) or sigmoid(x), c = s + selection_bias; with groups, c is 0 outside the
/// `top_groups` runs with the largest score (the best c of the run, or the sum of its two best); the top_k
/// largest c win; weights are their s, over (their sum + renormalise_eps) when `renormalise`, times `scale`.
/// kSparsemixer: twice (top_k 2), m = the largest logit not chosen yet; its weight is its softmax among the
/// logits l not chosen yet with (m - l) / max(|l|, m) <= 2 jitter.
struct Route {
  ValueId x, weights, indices;
  RouterKind kind;
  std::int64_t num_experts, top_k;
  std::optional<WeightId> selection_bias;  ///< [num_experts]
  std::int64_t num_groups, top_groups;     ///< 1, 1: no groups
  bool group_top2;                         ///< the two best count
  bool renormalise;
  double renormalise_eps, scale, jitter;
};
/// A matrix of an expert, [O, I], and its bias [O].
struct ExpertLinear {
  WeightId weight;
  std::optional<WeightId> bias;
};
/// down(act(gate x) * up x).
struct Expert {
  ExpertLinear gate, up, down;
};
/// y [T, H] = sum over j of weights[:, j] * expert number indices[:, j] of x [T, H].
struct Experts {
  ValueId x, weights, indices, y;
  UnaryKind kind;
  std::int64_t hidden_size, intermediate_size, top_k, layer_idx;
  std::vector<Expert> experts;
  std::optional<GluLimits> limits = {};  ///< as of GatedUnit
};
/// Keeps the rows from `logits_index` on (-1: the last; 0: all).
struct SelectTokens {
  ValueId x, y;
};

using Op = std::variant<Linear, Norm, Add, Multiply, Scale, ChannelScale, Clamp, Xielu, Unary, GatedUnit,
                        JoinHeads, ResizeHeads, RopeTable, PositionEmbedding, TokenEmbedding, SliceChannels,
                        MixHeads, RootMeanSquare, Sparsify, Rope, Attention, ShortConv, GatedDelta, Route,
                        Experts, SelectTokens>;

struct Node {
  std::string name;  ///< an address: "/layers.3/self_attn/q_proj"
  Op op;
};

/// A decoder: `input` holds embedded tokens [T, H]; `logits` is [T', V]; `hidden_states` the final norm's
/// output.
struct Graph {
  std::vector<Weight> weights;
  std::vector<Value> values;
  std::vector<Node> nodes;
  ValueId input = kNoValue;
  ValueId hidden_states = kNoValue;
  ValueId logits = kNoValue;
  std::int64_t hidden_size = 0;
  std::int64_t vocab_size = 0;
  bool has_sliding_layers = false;

  WeightId add_weight(std::string address, Shape shape);
  ValueId add_value(std::string name);
  void add_node(std::string name, Op op);
};

/// Inputs and outputs of a node, in a fixed order.
std::vector<ValueId> inputs_of(const Op& op);
std::vector<ValueId> outputs_of(const Op& op);
/// Weights that a node reads, in a fixed order.
std::vector<WeightId> weights_of(const Op& op);
/// Per weight: whether it is the table of a PositionEmbedding or a TokenEmbedding.
std::vector<bool> lookup_tables(const Graph& graph);
/// The graph's only TokenEmbedding, or null.
const TokenEmbedding* token_embedding(const Graph& graph);
/// "Linear", "Norm", ...
std::string_view op_name(const Op& op);

/// Throws Error(kInternal) unless the graph is well formed: every id in range, each value produced once and
/// before its use, names unique, weight shapes agreeing with the ops that read them.
void verify(const Graph& graph);

/// One node per line, for people and tests.
std::string print(const Graph& graph);

}  // namespace llm2mnn::ir
