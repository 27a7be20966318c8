#pragma once
// The canonical decoder: what a family file and a config.json become, and all that lowering ever sees.
// Words and letters: docs/architecture.md (H hidden, V vocab, L layers, Hq/Hkv heads, Dh head size, F
// intermediate).

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "arch/binding.h"

namespace llm2mnn {

enum class NormKind : std::uint8_t { kRms, kLayer };
enum class Activation : std::uint8_t { kSilu, kGeluTanh, kGeluErf, kRelu, kRelu2, kXielu, kQuickGelu };
/// Where a block's norms stand (x input, A attention, M mlp, n norms).
enum class ResidualKind : std::uint8_t {
  kPre,       ///< h = x + A(n1 x);      y = h + M(n2 h)
  kSandwich,  ///< h = x + n2 A(n1 x);   y = h + n4 M(n3 h)
  kPost,      ///< h = x + n1 A(x);      y = h + n2 M(h)
  kSums,      ///< h = n1(x + A(x));     y = n2(h + M(h))
};
enum class MlpKind : std::uint8_t {
  kGlu,    ///< down(act(gate x) * up x)
  kPlain,  ///< down(act(up x))
};
enum class MaskKind : std::uint8_t { kFull, kSliding };
/// How a router scores its experts.
enum class RouterKind : std::uint8_t {
  kSoftmax,      ///< softmax over all experts
  kSigmoid,      ///< of each expert alone
  kSparsemixer,  ///< two arg-maxes, each weighed by a softmax over the logits near it
};
/// What a group of experts is worth.
enum class GroupScore : std::uint8_t {
  kMax,   ///< its best expert
  kTop2,  ///< the sum of its two best
};

/// Which weight of the model a tensor is; the quantisation recipe selects by it.
enum class WeightRole : std::uint8_t {
  kEmbedTokens,
  kPositionEmbedding,
  kEmbedNorm,
  kEmbedInProj,
  kEmbedOutProj,
  kInputLayernorm,
  kQProj,
  kKProj,
  kVProj,
  kOProj,
  kQAProj,  ///< of latent attention, as the next four
  kQANorm,
  kKvAProj,
  kKvANorm,
  kKRopeProj,
  kOGateProj,  ///< of the attention's output
  kConvInProj,
  kConvKernel,
  kConvOutProj,
  kLinearQkvProj,  ///< of linear attention, as the next seven
  kLinearZProj,
  kLinearAProj,
  kLinearBProj,
  kLinearKernel,
  kLinearDecay,
  kLinearNorm,
  kLinearOutProj,
  kQNorm,
  kKNorm,
  kSinks,
  kPostAttentionNorm,  ///< on the attention's output (sandwich, post)
  kPreMlpNorm,         ///< "post_attention_layernorm" in most checkpoints
  kPostMlpNorm,
  kAttentionSubNorm,
  kMlpSubNorm,
  kXieluAlphaP,
  kXieluAlphaN,
  kXieluBeta,
  kGateProj,
  kUpProj,
  kDownProj,
  kRouter,
  kSelectionBias,
  kExpertGateProj,
  kExpertUpProj,
  kExpertDownProj,
  kSharedGateProj,
  kSharedUpProj,
  kSharedDownProj,
  kSharedExpertGate,
  kPerLayerEmbedding,  ///< the table; the next five make something of its rows
  kPerLayerModelProjection,
  kPerLayerProjectionNorm,
  kPerLayerInputGate,
  kPerLayerProjection,
  kPostPerLayerInputNorm,
  kLaurelLeft,
  kLaurelRight,
  kPostLaurelNorm,
  kAltupProjection,
  kAltupUnembedProjection,
  kAltupRouterNorm,
  kAltupRouter,
  kAltupPredictionCoefs,
  kAltupCorrectionCoefs,
  kAltupOutputScale,
  kNorm,  ///< final
  kLmHead,
};

/// "q_proj", "input_layernorm", ...
std::string_view role_name(WeightRole role);

/// y = x W^T + b.
struct LinearSpec {
  std::string address;  ///< canonical: "layers.3.mlp.down_proj", "lm_head"
  WeightRole role = WeightRole::kQProj;
  Binding weight;  ///< [O, I]
  Binding bias;    ///< [O], or empty
};

struct NormSpec {
  std::string address;  ///< "layers.3.input_layernorm"
  WeightRole role = WeightRole::kInputLayernorm;
  NormKind kind = NormKind::kRms;
  double eps = 1e-6;
  Binding weight;  ///< gamma [n], any `1 + w` already in the binding
  Binding bias;    ///< beta [n] of a LayerNorm, or empty
};

/// Rotary table: angle(position, j) = position * inv_freq[j]; cos and sin are multiplied by
/// `attention_factor`. Rotation pairs (j, j + rotary_dim/2); checkpoints with interleaved pairs have their q
/// and k rows permuted.
struct RopeSpec {
  std::string kind;             ///< "default", "linear", "dynamic", "llama3", "yarn", "longrope": for reports
  std::int64_t rotary_dim = 0;  ///< even, at most Dh
  std::vector<float> inv_freq;  ///< [rotary_dim / 2]
  double attention_factor = 1;
  /// First position at which the checkpoint's rule would change the frequencies and this table does not
  /// (dynamic NTK, longrope); 0 when there is none.
  std::int64_t exact_below = 0;
};

/// What the norms of q and k run over, and the size of their gamma (n heads).
enum class QkNormKind : std::uint8_t {
  kHead,   ///< each head; [Dh], for all of them
  kHeads,  ///< each head; [n*Dh], a gamma for each
  kAll,    ///< all heads at once; [n*Dh]
};

/// Latent attention (MLA): keys and values are made from a latent of width R, and one rotary key of width r
/// is shared by all heads. A head of q and k has its r rotary channels first.
struct LatentSpec {
  std::optional<LinearSpec> q_a_proj;  ///< [Q, H]; q_proj then reads n(q_a x), of width Q
  std::optional<NormSpec> q_a_norm;    ///< [Q]
  LinearSpec kv_a_proj;                ///< [R, H]
  NormSpec kv_a_norm;                  ///< [R]
  LinearSpec k_rope_proj;              ///< [r, H]
  std::int64_t rope_dim = 0;           ///< r
  std::int64_t value_dim = 0;          ///< width of a head of v, at most Dh
};

/// With `latent`: q_proj [Hq*Dh, Q or H], k_proj [Hq*(Dh-r), R] without the rotary channels, v_proj
/// [Hq*value_dim, R], o_proj [H, Hq*value_dim].
/// A position in two channels: the position over kAlibiSplit and the remainder. fp16 holds both exactly.
inline constexpr std::int64_t kAlibiChannels = 2;
inline constexpr std::int64_t kAlibiSplit = 2048;

/// q times 1 + scale * ln(1 + floor((position + 1) / interval)), arXiv:2501.19399 in steps.
struct TemperatureSpec {
  double scale = 0;
  std::int64_t interval = 0;
};

struct AttentionSpec {
  LinearSpec q_proj;  ///< [Hq*Dh, H]
  LinearSpec k_proj;  ///< [Hkv*Dh, H]
  LinearSpec v_proj;  ///< [Hkv*Dh, H]
  LinearSpec o_proj;  ///< [H, Hq*Dh]
  std::optional<NormSpec> q_norm;
  std::optional<NormSpec> k_norm;
  bool qk_norm_after_rope = false;  ///< else before it
  QkNormKind qk_norm_kind = QkNormKind::kHead;
  Binding sinks;  ///< [Hq], a logit of each head that the softmax counts and drops; or empty
  std::optional<NormSpec> sub_norm;  ///< in front of o_proj
  double logit_softcap = 0;          ///< c of c * tanh(scores / c), in front of the mask; 0: none
  double clip_qkv = 0;               ///< q, k and v lie in -c .. c, behind their biases; 0: anywhere
  std::optional<LatentSpec> latent;
  std::optional<LinearSpec> gate_proj;  ///< [Hq*Dh, H]: its sigmoid multiplies what o_proj reads
  std::int64_t num_attention_heads = 0;
  std::int64_t num_key_value_heads = 0;
  std::int64_t head_dim = 0;
  /// ALiBi: each head of q_proj has kAlibiChannels rows in front, which are zero, and the head's slope in
  /// their biases; the graph puts the key's position into the same channels of k. head_dim does not count
  /// them.
  bool has_alibi = false;
  /// With clip_qkv, which would limit slopes in biases: [Hq*(Dh+kAlibiChannels)], added behind it.
  Binding alibi_query;
  /// ALiBi that is rounded to bfloat16 (has_alibi is false): the slope of each of Hq = Hkv heads, rounded
  /// itself. Each head of q_proj and k_proj has one row in front, which is zero; its bias is 1 in q, and the
  /// graph adds the rounded product of slope and position in k. head_dim does not count it.
  std::vector<float> rounded_slopes;
  std::optional<NormSpec> v_norm;  ///< of each head of v, [Dh]
  /// The layer whose k (in front of its rotation) and v this one reads; k_proj, k_norm, v_proj and v_norm are
  /// empty then.
  std::optional<std::size_t> kv_source;
  MaskKind mask = MaskKind::kFull;
  /// Above 0: positions fall into chunks of this many, and a query sees the keys of its own chunk only.
  std::int64_t chunk_size = 0;
  std::optional<TemperatureSpec> temperature;
  int rope_idx = 0;  ///< into DecoderSpec::ropes; -1: no rotary embedding in this layer
};

/// [positions, slopes]: their products, position and product rounded to bfloat16.
Binding rounded_alibi(const std::vector<float>& slopes, std::int64_t positions);

/// A short convolution in place of attention: out_proj(c * conv(b * u)), where in_proj x = (b, c, u).
struct ShortConvSpec {
  LinearSpec in_proj;   ///< [3H, H]
  Binding kernel;       ///< [H * taps]: the factors of each channel, the oldest token's first
  LinearSpec out_proj;  ///< [H, H]
  std::int64_t taps = 0;
};

/// Linear attention by the gated delta rule in place of attention: nk key heads of Dk channels, nv value
/// heads of Dv, C = 2 nk Dk + nv Dv. With gate = decay * softplus(a x) and beta = sigmoid(b x) the rule makes
/// a row of qkv x (ir::GatedDelta); y = out_proj(n(rule) * silu(z x)), n over each head.
struct GatedDeltaSpec {
  LinearSpec qkv_proj;  ///< [C, H]
  LinearSpec z_proj;    ///< [nv*Dv, H]
  LinearSpec a_proj;    ///< [nv, H], with the step's bias
  LinearSpec b_proj;    ///< [nv, H]
  Binding kernel;       ///< [C * taps]
  Binding decay;        ///< [nv], negative
  NormSpec norm;        ///< [Dv]
  LinearSpec out_proj;  ///< [H, nv*Dv]
  std::int64_t num_key_heads = 0, num_value_heads = 0, key_dim = 0, value_dim = 0, taps = 0;
};

/// xIELU, arXiv:2411.13010: a x^2 + b x where x > 0, else (b + n) (expm1(x) - x) + b x, with a = softplus
/// (alpha_p) and n = softplus(alpha_n). The reference takes expm1 of the lesser of x and -1e-6, which moves y
/// by less than 1e-6 near 0; that is left out.
struct XieluSpec {
  Binding alpha_p, alpha_n, beta;  ///< [1] each, as stored
};

/// down(act(min(gate x, gate_max)) * clamp(up x, up_min, up_max)).
struct GluLimits {
  double gate_max = 0, up_min = 0, up_max = 0;
  bool operator==(const GluLimits&) const = default;
};

struct MlpSpec {
  MlpKind kind = MlpKind::kGlu;
  Activation activation = Activation::kSilu;
  std::optional<GluLimits> limits;      ///< kGlu only
  std::optional<LinearSpec> gate_proj;  ///< [F, H], kGlu only
  LinearSpec up_proj;                   ///< [F, H]
  LinearSpec down_proj;                 ///< [H, F]
  std::optional<NormSpec> sub_norm;     ///< in front of down_proj
  std::optional<XieluSpec> xielu;       ///< of Activation::kXielu, kPlain only
  /// kGlu only: the gate becomes max(gate - (mean + this * deviation), 0), over its channels.
  std::optional<double> sparsity_deviations;
};

/// A part of `size` channels for each layer and token: (n(projection x) + table_scale * table[id]), with x
/// the scaled embedding and n over each layer's part.
struct PerLayerEmbeddingSpec {
  Binding table;             ///< [V, L * size]
  double table_scale = 1;    ///< of the table's rows
  LinearSpec projection;     ///< [L * size, H]
  NormSpec projection_norm;  ///< [size]
  std::int64_t size = 0;
};

/// What a layer makes of its part p of the per-layer embedding: n(projection(act(gate x) * p)).
struct PerLayerInputSpec {
  LinearSpec gate;  ///< [size, H]
  Activation activation = Activation::kGeluTanh;
  LinearSpec projection;  ///< [H, size]
  NormSpec norm;          ///< [H]
};

/// LAuReL of low rank, arXiv:2411.07501: x + n(right(left x)).
struct LaurelSpec {
  LinearSpec left;   ///< [R, H]
  LinearSpec right;  ///< [H, R]
  NormSpec norm;     ///< [H]
};

/// AltUp, arXiv:2301.13310: n streams x_j, of which the block B reads and writes one, a. With r(x) =
/// tanh(router norm(x)) the block reads p_a of p_j = sum_i prediction(r(x_a))[j * n + i] x_i; with y =
/// B(p_a), d = y - p_a and q = correction(r(y)) the streams become p_j + q[2 j] d + q[2 j + 1] f, where f is
/// the layer's per-layer input of output_scale * (p_a + q[2 a] d).
struct AltupSpec {
  std::int64_t num_streams = 0, active = 0;  ///< n, a
  NormSpec router_norm;                      ///< [H]
  LinearSpec router;                         ///< [n, H]
  LinearSpec prediction;                     ///< [n * n, n], the identity in its biases
  LinearSpec correction;                     ///< [2 n, n]
  Binding output_scale;                      ///< [H], or empty
};

/// Which experts a token visits, and with what weights. For logits l [E] of `proj`: s = softmax(l) or
/// sigmoid(l); the experts_per_token experts with the largest s + selection_bias; their s, over the sum of
/// them plus `renormalise_eps` when `renormalise` is set, times `scale`.
struct RouterSpec {
  LinearSpec proj;  ///< [E, H]
  RouterKind kind = RouterKind::kSoftmax;
  Binding selection_bias;  ///< [E], or empty
  std::int64_t experts_per_token = 0;
  /// The E experts fall into `num_groups` runs; only those of the best `groups_per_token` runs can be chosen.
  std::int64_t num_groups = 1;
  std::int64_t groups_per_token = 1;
  GroupScore group_score = GroupScore::kMax;
  bool renormalise = false;
  double renormalise_eps = 0;
  double scale = 1;
  double jitter = 0;  ///< kSparsemixer: half the relative distance to the largest logit that counts as near
};

/// A mixture of experts in place of a dense MLP: y = sum of weight_e * expert_e(x) over the chosen experts,
/// plus the shared expert, which all tokens visit.
struct MoeSpec {
  RouterSpec router;
  std::vector<MlpSpec> experts;           ///< E of them, all of one shape and kind; kGlu
  std::optional<MlpSpec> shared;          ///< kGlu
  std::optional<LinearSpec> shared_gate;  ///< [1, H]: its sigmoid multiplies the shared expert
  /// The weight of the one chosen expert multiplies what goes in, not what comes out.
  bool scales_input = false;
};

struct LayerSpec {
  ResidualKind residual = ResidualKind::kPre;
  bool is_parallel = false;  ///< kPre only: y = x + A(n1 x) + M(n2 x); without n2 the MLP reads n1 x
  std::optional<NormSpec> input_norm;           ///< n1 of kPre, kSandwich and kSums
  std::optional<NormSpec> post_attention_norm;  ///< n2 of kSandwich, n1 of kPost
  /// n2 of kPre and kSums, n3 of kSandwich; may be absent in a parallel block.
  std::optional<NormSpec> pre_mlp_norm;
  std::optional<NormSpec> post_mlp_norm;  ///< n4 of kSandwich, n2 of kPost
  AttentionSpec attention;                ///< empty when there is one of the next two in its place
  std::optional<ShortConvSpec> short_conv;
  std::optional<GatedDeltaSpec> gated_delta;
  MlpSpec mlp;                 ///< empty when there is `moe`
  std::optional<MoeSpec> moe;  ///< in place of `mlp`
  std::optional<LaurelSpec>
      laurel;  ///< h = (x + n2 A(n1 x) + laurel(n1 x)) / sqrt 2; not parallel, not kPost
  /// Added to y, or what AltupSpec says.
  std::optional<PerLayerInputSpec> per_layer_input;
  std::optional<AltupSpec> altup;  ///< with per_layer_input only
};

/// The whole model. Attention scores are scaled by Dh^-0.5; another scale is already folded into q by its
/// bindings.
struct DecoderSpec {
  std::string model_type;  ///< the checkpoint's
  std::string family;      ///< the family file's name
  std::int64_t hidden_size = 0;
  std::int64_t vocab_size = 0;  ///< rows of the embedding tensor
  std::int64_t max_position_embeddings = 0;
  std::int64_t sliding_window = 0;          ///< keys a query sees, itself included; 0 when no layer slides
  Binding embed_tokens;                     ///< [V, E]; E is H unless there is embed_in_proj
  std::optional<LinearSpec> embed_in_proj;  ///< [H, E], behind the scaled embedding
  double embed_scale = 1;                   ///< multiplies the embedding at the graph's entry
  std::optional<NormSpec> embed_norm;       ///< behind the embedding and its positions
  Binding position_embedding;  ///< [P, H]: row p is added to the scaled embedding at position p, or empty
  std::optional<PerLayerEmbeddingSpec> per_layer_embedding;
  /// AltUp: stream j > 0 begins as a projection of stream 0, and ends as one before all are averaged; each is
  /// as long as stream 0. [H, H] each.
  std::vector<LinearSpec> altup_projections, altup_unembed_projections;
  std::vector<RopeSpec> ropes;
  std::vector<LayerSpec> layers;
  std::optional<NormSpec> norm;
  std::optional<LinearSpec> embed_out_proj;  ///< [E, H], in front of lm_head
  bool tied = false;                         ///< lm_head is the embedding
  LinearSpec lm_head;                        ///< [V, E]; when tied its weight is embed_tokens
  double logit_scale = 1;                    ///< multiplies the logits
  double logit_softcap = 0;                  ///< c * tanh(x / c); 0: none

  /// Tensors that a named rule leaves out, with the rule ("rotary buffer", "tied to the embedding").
  struct Ignored {
    TensorId tensor;
    std::string rule;
  };
  std::vector<Ignored> ignored;
  /// Tensors that hold scales of other tensors: no parameters of the model.
  std::vector<TensorId> scales;
  /// Weights in a byte of a tensor of codes (U8).
  std::int64_t weights_per_byte = 2;
  /// Config keys that nobody reads and that cannot change the computation; named in --dry_run and the
  /// manifest.
  std::vector<std::string> unread_config_keys;
  /// One line each, for the summary ("dynamic rope: exact up to 2048 positions").
  std::vector<std::string> notes;
};

}  // namespace llm2mnn
