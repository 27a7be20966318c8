#include "arch/vocabulary.h"

#include <algorithm>
#include <array>

namespace llm2mnn {
namespace {

using Kind = CanonicalName::Kind;

constexpr std::array kVocabulary = {
    VocabularyKey{"model.embed_scale", KeyKind::kExpression, "", "1", "multiplies the embedding"},
    VocabularyKey{"model.learned_positions", KeyKind::kExpression, "", "0",
                  "not 0: position_embedding has a row for each position, which is added to the embedding"},
    VocabularyKey{"model.position_offset", KeyKind::kExpression, "", "0",
                  "row of position_embedding for position 0; the rows before it are not used", "-"},
    VocabularyKey{"model.embed_norm", KeyKind::kExpression, "", "0",
                  "not 0: a norm behind the embedding and its positions (role embed_norm)"},
    VocabularyKey{"model.embed_proj", KeyKind::kExpression, "", "0",
                  "not 0: the embedding has embed_size columns; embed_in_proj leads from it to the layers, "
                  "embed_out_proj from them to the head"},
    VocabularyKey{"model.logit_scale", KeyKind::kExpression, "", "1", "multiplies the logits"},
    VocabularyKey{"model.logit_softcap", KeyKind::kExpression, "", "0", "c of c * tanh(logits / c); 0: none"},
    VocabularyKey{"model.tied", KeyKind::kExpression, "", "tie_word_embeddings",
                  "not 0: the head is the embedding and a stored head is ignored", "-"},
    VocabularyKey{"model.head_bias", KeyKind::kExpression, "", "0", "not 0: lm_head has a bias"},
    VocabularyKey{"model.mtp_layers", KeyKind::kExpression, "", "0",
                  "layers behind the last one that predict further tokens: {n} in [ignore]", "-"},
    VocabularyKey{"norm.kind", KeyKind::kMenu, "rms layer", "rms", "of every norm; layer subtracts the mean",
                  "layer_norm"},
    VocabularyKey{"norm.eps", KeyKind::kExpression, "", "rms_norm_eps", "of every norm", "-"},
    VocabularyKey{"norm.gamma_offset", KeyKind::kExpression, "", "0", "added to every stored gamma"},
    VocabularyKey{"norm.weight", KeyKind::kExpression, "", "1",
                  "0: the norms of the hidden axis have no weights, as if they were 1",
                  "norms_without_weights"},
    VocabularyKey{"norm.bias", KeyKind::kExpression, "", "0",
                  "not 0: the norms of the hidden axis have a bias (roles *_bias)", "norm_bias"},
    VocabularyKey{"norm.final", KeyKind::kExpression, "", "1", "0: there is no norm behind the last layer",
                  "-"},
    VocabularyKey{"block.residual", KeyKind::kMenu, "pre sandwich post", "pre", "where the norms stand"},
    VocabularyKey{"block.parallel", KeyKind::kExpression, "", "0",
                  "not 0: the MLP reads the block's input, not the attention's output (pre only)",
                  "parallel_block"},
    VocabularyKey{"block.shared_norm", KeyKind::kExpression, "", "0",
                  "not 0: a parallel MLP reads the attention's norm; there is no pre_mlp_norm"},
    VocabularyKey{"block.norms_of_sums", KeyKind::kExpression, "", "0",
                  "not 0: the norms of pre stand behind each sum, not in front of each part (pre only)"},
    VocabularyKey{
        "block.laurel", KeyKind::kExpression, "", "0",
        "not 0: LAuReL: x + n(right(left x)) of the attention's input x is added to the attention's "
        "residual, and the sum divided by sqrt 2 (roles laurel_*)"},
    VocabularyKey{"altup.streams", KeyKind::kExpression, "", "0",
                  "AltUp: residual streams, of which a layer reads and writes one; 0: there is one (roles "
                  "altup_*)",
                  "altup"},
    VocabularyKey{"altup.active", KeyKind::kExpression, "", "0", "the stream that layers read and write",
                  "-"},
    VocabularyKey{"altup.router_scale", KeyKind::kExpression, "", "1",
                  "multiplies what altup_router_norm gives", "-"},
    VocabularyKey{"altup.coef_clip", KeyKind::kExpression, "", "0",
                  "altup_correction_coefs are limited to -c .. c, c this number; 0: they are not", "-"},
    VocabularyKey{"altup.output_scale", KeyKind::kExpression, "", "1",
                  "0: altup_output_scale is stored and not used", "-"},
    VocabularyKey{"per_layer_embedding.size", KeyKind::kExpression, "", "0",
                  "channels that each layer gets of a second embedding of the token (roles per_layer_*); 0: "
                  "there is none",
                  "per_layer_embedding"},
    VocabularyKey{"per_layer_embedding.table_scale", KeyKind::kExpression, "", "1",
                  "multiplies the rows of per_layer_embedding", "-"},
    VocabularyKey{"per_layer_embedding.projection_scale", KeyKind::kExpression, "", "1",
                  "multiplies what per_layer_model_projection makes of the embedding, in front of its norm",
                  "-"},
    VocabularyKey{"per_layer_embedding.sum_scale", KeyKind::kExpression, "", "1",
                  "multiplies the sum of both", "-"},
    VocabularyKey{"attention.kind", KeyKind::kMenu, "heads latent", "heads",
                  "heads: q, k and v of the hidden state; latent: MLA, roles q_a_proj to v_b_proj"},
    VocabularyKey{"attention.latent_norm_eps", KeyKind::kExpression, "", "1e-6", "of q_a_norm and kv_a_norm"},
    VocabularyKey{"attention.latent_bias", KeyKind::kExpression, "", "0",
                  "not 0: q_a_proj, kv_a_proj and k_rope_proj have a bias"},
    VocabularyKey{"attention.scale", KeyKind::kLayerExpression, "", "head_dim ^ -0.5",
                  "multiplies the scores; folded into q", "attention_scale"},
    VocabularyKey{"attention.q_bias", KeyKind::kExpression, "", "0", "not 0: q_proj has a bias"},
    VocabularyKey{"attention.k_bias", KeyKind::kExpression, "", "0", "not 0: k_proj has a bias"},
    VocabularyKey{"attention.v_bias", KeyKind::kExpression, "", "0", "not 0: v_proj has a bias"},
    VocabularyKey{"attention.o_bias", KeyKind::kExpression, "", "0", "not 0: o_proj has a bias"},
    VocabularyKey{
        "attention.qk_norm", KeyKind::kMenu, "none head heads all", "none",
        "q_norm and k_norm, before the rotary embedding; head: over each head, heads: the same with "
        "weights for each, all: over all of them at once"},
    VocabularyKey{"attention.qk_norm_on", KeyKind::kExpression, "", "1",
                  "0: there is no q_norm and no k_norm after all", "-"},
    VocabularyKey{"attention.qk_norm_weight", KeyKind::kExpression, "", "1",
                  "0: q_norm and k_norm have no weights, as if they were 1", "-"},
    VocabularyKey{"attention.qk_norm_layers", KeyKind::kMenu, "all rotary", "all",
                  "rotary: layers without a rotary embedding have no q_norm and k_norm", "-"},
    VocabularyKey{
        "attention.sinks", KeyKind::kExpression, "", "0",
        "not 0: each head has a logit that takes part in the softmax and has no value (role sinks)"},
    VocabularyKey{"attention.qk_norm_bias", KeyKind::kExpression, "", "0",
                  "not 0: q_norm and k_norm have a bias"},
    VocabularyKey{"attention.alibi", KeyKind::kExpression, "", "0",
                  "not 0: a head's slope times the key's position is added to the scores (ALiBi)"},
    VocabularyKey{"attention.alibi_bias_max", KeyKind::kExpression, "", "8",
                  "minus the binary logarithm of the least slope", "-"},
    VocabularyKey{"attention.alibi_rounded", KeyKind::kExpression, "", "0",
                  "not 0: slope, position and their product are rounded to bfloat16, and the product is "
                  "divided by the root of head_dim; every head has keys of its own",
                  "-"},
    VocabularyKey{"attention.qk_norm_after_rope", KeyKind::kExpression, "", "0",
                  "not 0: q_norm and k_norm come behind the rotary embedding"},
    VocabularyKey{"attention.logit_softcap", KeyKind::kExpression, "", "0",
                  "c of c * tanh(scores / c), in front of the mask; 0: none. No MNN package has it: "
                  "--allow_approximate",
                  "score_softcap"},
    VocabularyKey{"attention.sub_norm", KeyKind::kExpression, "", "0",
                  "not 0: a norm between attention and o_proj (role attention_sub_norm)",
                  "attention_sub_norm"},
    VocabularyKey{"attention.v_norm", KeyKind::kExpression, "", "0",
                  "not 0: each head of v goes through a norm without weights"},
    VocabularyKey{"attention.kv_shared_layers", KeyKind::kExpression, "", "0",
                  "layers, the last ones, that read the keys and values of the last layer of their type in "
                  "front of them; what is stored for theirs is left out"},
    VocabularyKey{"attention.clip_qkv", KeyKind::kExpression, "", "0",
                  "q, k and v are limited to -c .. c, c this number; 0: they are not"},
    VocabularyKey{"attention.sliding_window", KeyKind::kExpression, "", "0",
                  "keys that a query of a sliding layer sees, itself included"},
    VocabularyKey{"attention.chunk_size", KeyKind::kExpression, "", "0",
                  "positions of a chunk of chunked layers: a query sees the keys of its own chunk",
                  "chunked_attention"},
    VocabularyKey{"attention.temperature_scale", KeyKind::kExpression, "", "0",
                  "s of q times 1 + s * ln(1 + floor((position + 1) / temperature_interval)), in layers "
                  "without a rotary embedding; 0: none",
                  "temperature"},
    VocabularyKey{"attention.temperature_interval", KeyKind::kExpression, "", "1",
                  "positions with one temperature", "-"},
    VocabularyKey{"attention.layer_types", KeyKind::kLayerTypes, "full sliding mixer chunked", "full",
                  "the mask of each layer: a config list of full_attention, sliding_attention, "
                  "chunked_attention, conv and linear_attention, a pattern such as LLLG, or an expression of "
                  "i; mixer: no attention, what mixer.kind says"},
    VocabularyKey{"attention.full_layers", KeyKind::kLayerList, "", "none",
                  "a config list of the numbers of the layers with full attention, where layer_types has no "
                  "list; the others have what mixer.kind says",
                  "-"},
    VocabularyKey{"attention.output_gate", KeyKind::kExpression, "", "0",
                  "not 0: sigmoid(o_gate_proj x) multiplies what o_proj reads"},
    VocabularyKey{"mixer.kind", KeyKind::kMenu, "none short_conv gated_delta", "none",
                  "what layers without attention have in its place"},
    VocabularyKey{"mlp.kind", KeyKind::kMenu, "glu plain", "glu",
                  "glu: down(act(gate x) * up x); plain: down(act(up x))", "plain_mlp"},
    VocabularyKey{"mlp.activation", KeyKind::kActivation,
                  "silu gelu_tanh gelu_erf relu relu2 xielu quick_gelu", "silu",
                  "the MLP's nonlinearity; xielu (plain only) has the roles xielu_*"},
    VocabularyKey{"mlp.sub_norm", KeyKind::kExpression, "", "0",
                  "not 0: a norm in front of down_proj (role mlp_sub_norm)", "mlp_sub_norm"},
    VocabularyKey{"mlp.gate_max", KeyKind::kExpression, "", "0",
                  "bound of the gate from above, before its activation; with up_min and up_max 0: none",
                  "limits"},
    VocabularyKey{"mlp.up_min", KeyKind::kExpression, "", "0",
                  "bound of what the gate multiplies, from below", "-"},
    VocabularyKey{"mlp.up_max", KeyKind::kExpression, "", "0", "the same from above", "-"},
    VocabularyKey{
        "mlp.sparsity", KeyKind::kLayerExpression, "", "0",
        "share s of the gate that is set to 0: max(g - mean - deviation * z(s), 0) over its channels, "
        "z the quantile of the normal distribution, in front of the activation; 0: none"},
    VocabularyKey{"mlp.gate_bias", KeyKind::kExpression, "", "0", "not 0: gate_proj has a bias"},
    VocabularyKey{"mlp.up_bias", KeyKind::kExpression, "", "0", "not 0: up_proj has a bias"},
    VocabularyKey{"mlp.down_bias", KeyKind::kExpression, "", "0", "not 0: down_proj has a bias"},
    VocabularyKey{"moe.layers", KeyKind::kLayerExpression, "", "0",
                  "not 0: layer i has experts instead of a dense MLP", "experts"},
    VocabularyKey{"moe.dense_layers", KeyKind::kLayerList, "", "none",
                  "a config list of the layers that have a dense MLP all the same", "-"},
    VocabularyKey{"moe.sparse_layers", KeyKind::kLayerList, "", "none",
                  "a config list of the layers that have experts; where it is given, moe.layers is not asked",
                  "-"},
    VocabularyKey{"moe.scales_input", KeyKind::kExpression, "", "0",
                  "not 0: the weight of the one expert of a token multiplies what goes in", "-"},
    VocabularyKey{"moe.router", KeyKind::kMenu, "softmax sigmoid sparsemixer", "softmax",
                  "scores of the experts: softmax over all, sigmoid of each, or two arg-maxes with softmaxes "
                  "around them"},
    VocabularyKey{"moe.router_bias", KeyKind::kExpression, "", "0", "not 0: the router's matrix has a bias"},
    VocabularyKey{"moe.selection_bias", KeyKind::kExpression, "", "0",
                  "not 0: a bias is added to the scores for the choice of experts, not to their weights"},
    VocabularyKey{"moe.renormalise", KeyKind::kExpression, "", "0",
                  "not 0: the weights of the chosen experts are divided by their sum", "-"},
    VocabularyKey{"moe.renormalise_eps", KeyKind::kExpression, "", "0", "added to that sum", "-"},
    VocabularyKey{"moe.routed_scale", KeyKind::kExpression, "", "1",
                  "multiplies the weights of the chosen experts, at last", "-"},
    VocabularyKey{"moe.groups", KeyKind::kExpression, "", "1", "runs of experts, all of one length",
                  "expert_groups"},
    VocabularyKey{"moe.groups_per_token", KeyKind::kExpression, "", "1",
                  "experts are chosen from this many groups, the best ones", "-"},
    VocabularyKey{"moe.group_score", KeyKind::kMenu, "max top2", "max",
                  "what a group is worth: its best score, or the sum of its two best", "-"},
    VocabularyKey{"moe.jitter", KeyKind::kExpression, "", "0",
                  "of sparsemixer: half the relative distance to the largest logit that counts as near", "-"},
    VocabularyKey{"moe.bias", KeyKind::kExpression, "", "0", "not 0: the matrices of all experts have biases",
                  "-"},
    VocabularyKey{"moe.shared", KeyKind::kExpression, "", "0",
                  "not 0: there is a shared expert, which every token visits", "shared_expert"},
    VocabularyKey{"moe.shared_gate", KeyKind::kExpression, "", "0",
                  "not 0: the shared expert is multiplied by a sigmoid (role shared_expert_gate)", "-"},
    VocabularyKey{"rope.theta", KeyKind::kExpression, "", "rope_theta", "base of the rotary frequencies",
                  "-"},
    VocabularyKey{"rope.dim", KeyKind::kExpression, "", "head_dim",
                  "channels of a head that rotate, the first ones", "partial_rope"},
    VocabularyKey{
        "rope.pairing", KeyKind::kMenu, "half pair", "half",
        "half rotates channels (j, j + dim/2), pair (2j, 2j+1); pair becomes half by permuting q and k",
        "pair_rope"},
    VocabularyKey{"rope.scaling", KeyKind::kMenu, "config none", "config",
                  "config: rope_scaling or rope_parameters of config.json apply", "!rope_scaling"},
    VocabularyKey{"rope.original_context", KeyKind::kExpression, "", "0",
                  "context before longrope; 0: where the dictionary says it, else max_position_embeddings",
                  "-"},
    VocabularyKey{"rope.attention_factor", KeyKind::kExpression, "", "0",
                  "multiplies cos and sin; 0: what the scaling's rule says", "-"},
    VocabularyKey{"rope.exact_below", KeyKind::kExpression, "", "0",
                  "positions from which on the model's own rule is another one; 0: none", "-"},
    VocabularyKey{
        "rope.enabled", KeyKind::kLayerExpression, "", "1",
        "0: the layer has no rotary embedding; a config list has a number or true, false for each layer",
        "layers_without_rope"},
};

constexpr std::array kShorthands = {
    Shorthand{"attention.bias", "attention.q_bias attention.k_bias attention.v_bias attention.o_bias",
              "q_bias, k_bias, v_bias and o_bias where they are not named"},
    Shorthand{"mlp.bias", "mlp.gate_bias mlp.up_bias mlp.down_bias",
              "gate_bias, up_bias and down_bias where they are not named"},
};

constexpr std::array<std::string_view, 5> kFileKeys = {"source", "model_types", "architectures", "inherits",
                                                       "base_prefix"};
constexpr std::array<std::string_view, 5> kNamedSections = {"config", "tensors", "ignore", "harmless",
                                                            "refuse"};
constexpr std::array<std::string_view, 5> kConfigFields = {"key", "keys", "default", "null", "words"};
constexpr std::array<std::string_view, 6> kTensorFields = {"name", "rows",  "transposed",
                                                           "add",  "scale", "normalise"};
constexpr std::array<std::string_view, 4> kRowFields = {"begin", "count", "groups", "stride"};

constexpr std::array kCanonicalNames = {
    CanonicalName{"vocab_size", Kind::kSize, true, "rows of the embedding"},
    CanonicalName{"hidden_size", Kind::kSize, true, "width of the residual stream"},
    CanonicalName{"intermediate_size", Kind::kSize, true, "width of the MLP"},
    CanonicalName{"num_hidden_layers", Kind::kSize, true, "decoder layers"},
    CanonicalName{"num_attention_heads", Kind::kSize, true, "query heads"},
    CanonicalName{"num_key_value_heads", Kind::kSize, true, "key and value heads"},
    CanonicalName{"head_dim", Kind::kSize, true, "width of a head"},
    CanonicalName{"max_position_embeddings", Kind::kSize, true, "context length"},
    CanonicalName{"embed_size", Kind::kSize, false, "columns of the embedding"},
    CanonicalName{"rms_norm_eps", Kind::kNumber, false, "epsilon of the norms"},
    CanonicalName{"tie_word_embeddings", Kind::kBool, false, "whether the head is the embedding"},
    CanonicalName{"rope_theta", Kind::kNumber, false, "base of the rotary frequencies"},
    CanonicalName{"conv_kernel_dim", Kind::kSize, false, "tokens that a convolution sees, the last its own"},
    CanonicalName{"linear_num_key_heads", Kind::kSize, false, "heads of q and k of linear attention"},
    CanonicalName{"linear_num_value_heads", Kind::kSize, false, "heads of v of linear attention"},
    CanonicalName{"linear_key_head_dim", Kind::kSize, false,
                  "width of a head of q and k of linear attention"},
    CanonicalName{"linear_value_head_dim", Kind::kSize, false, "width of a head of v of linear attention"},
    CanonicalName{"q_lora_rank", Kind::kCount, false, "width of the latent of q; 0: q has none"},
    CanonicalName{"kv_lora_rank", Kind::kSize, false, "width of the latent of k and v"},
    CanonicalName{"qk_nope_head_dim", Kind::kSize, false, "channels of a head of q and k that do not rotate"},
    CanonicalName{"qk_rope_head_dim", Kind::kSize, false, "channels of a head of q and k that rotate"},
    CanonicalName{"v_head_dim", Kind::kSize, false, "width of a head of v"},
    CanonicalName{"sliding_window", Kind::kCount, false, "keys that a query of a sliding layer sees"},
    CanonicalName{"laurel_rank", Kind::kSize, false, "rank of LAuReL"},
    CanonicalName{"altup_num_inputs", Kind::kSize, false, "streams of AltUp"},
    CanonicalName{"hidden_size_per_layer_input", Kind::kCount, false,
                  "channels of a layer's part of the per-layer embedding"},
    CanonicalName{"vocab_size_per_layer_input", Kind::kSize, false, "rows of the per-layer embedding"},
    CanonicalName{"num_experts", Kind::kCount, false, "experts of a sparse layer"},
    CanonicalName{"num_experts_per_tok", Kind::kCount, false, "experts that a token visits"},
    CanonicalName{"moe_intermediate_size", Kind::kCount, false, "width of an expert"},
    CanonicalName{"shared_intermediate_size", Kind::kCount, false, "width of the shared expert"},
};

#define LLM2MNN_LINEAR(name, role, layer, rows, cols)                        \
  RoleInfo{name, WeightRole::role, false, layer, rows ", " cols}, RoleInfo { \
    name "_bias", WeightRole::role, true, layer, rows                        \
  }
#define LLM2MNN_EXPERT(name, role, rows, cols)                                    \
  RoleInfo{name, WeightRole::role, false, true, rows ", " cols, true}, RoleInfo { \
    name "_bias", WeightRole::role, true, true, rows, true                        \
  }
#define LLM2MNN_NORM(name, role, layer, rows)                      \
  RoleInfo{name, WeightRole::role, false, layer, rows}, RoleInfo { \
    name "_bias", WeightRole::role, true, layer, rows              \
  }

constexpr std::array kRoles = {
    RoleInfo{"embed_tokens", WeightRole::kEmbedTokens, false, false, "vocab_size, hidden_size"},
    RoleInfo{"position_embedding", WeightRole::kPositionEmbedding, false, false,
             "max_position_embeddings, hidden_size"},
    LLM2MNN_NORM("embed_norm", kEmbedNorm, false, "hidden_size"),
    RoleInfo{"embed_in_proj", WeightRole::kEmbedInProj, false, false, "hidden_size, embed_size"},
    RoleInfo{"embed_out_proj", WeightRole::kEmbedOutProj, false, false, "embed_size, hidden_size"},
    LLM2MNN_NORM("input_layernorm", kInputLayernorm, true, "hidden_size"),
    LLM2MNN_LINEAR("q_proj", kQProj, true, "num_attention_heads * head_dim", "hidden_size"),
    LLM2MNN_LINEAR("k_proj", kKProj, true, "num_key_value_heads * head_dim", "hidden_size"),
    LLM2MNN_LINEAR("v_proj", kVProj, true, "num_key_value_heads * head_dim", "hidden_size"),
    LLM2MNN_LINEAR("o_proj", kOProj, true, "hidden_size", "num_attention_heads * head_dim"),
    LLM2MNN_LINEAR("o_gate_proj", kOGateProj, true, "num_attention_heads * head_dim", "hidden_size"),
    RoleInfo{"conv_in_proj", WeightRole::kConvInProj, false, true, "3 * hidden_size, hidden_size"},
    RoleInfo{"conv_kernel", WeightRole::kConvKernel, false, true, "hidden_size, 1, conv_kernel_dim"},
    RoleInfo{"conv_out_proj", WeightRole::kConvOutProj, false, true, "hidden_size, hidden_size"},
    RoleInfo{"linear_q_proj", WeightRole::kLinearQkvProj, false, true,
             "linear_num_key_heads * linear_key_head_dim, hidden_size"},
    RoleInfo{"linear_k_proj", WeightRole::kLinearQkvProj, false, true,
             "linear_num_key_heads * linear_key_head_dim, hidden_size"},
    RoleInfo{"linear_v_proj", WeightRole::kLinearQkvProj, false, true,
             "linear_num_value_heads * linear_value_head_dim, hidden_size"},
    RoleInfo{"linear_z_proj", WeightRole::kLinearZProj, false, true,
             "linear_num_value_heads * linear_value_head_dim, hidden_size"},
    RoleInfo{"linear_a_proj", WeightRole::kLinearAProj, false, true, "linear_num_value_heads, hidden_size"},
    RoleInfo{"linear_b_proj", WeightRole::kLinearBProj, false, true, "linear_num_value_heads, hidden_size"},
    RoleInfo{"linear_dt_bias", WeightRole::kLinearAProj, true, true, "linear_num_value_heads"},
    RoleInfo{"linear_a_log", WeightRole::kLinearDecay, false, true, "linear_num_value_heads"},
    RoleInfo{
        "linear_kernel", WeightRole::kLinearKernel, false, true,
        "2 * linear_num_key_heads * linear_key_head_dim + linear_num_value_heads * linear_value_head_dim, 1, "
        "conv_kernel_dim"},
    RoleInfo{"linear_norm", WeightRole::kLinearNorm, false, true, "linear_value_head_dim"},
    RoleInfo{"linear_out_proj", WeightRole::kLinearOutProj, false, true,
             "hidden_size, linear_num_value_heads * linear_value_head_dim"},
    LLM2MNN_LINEAR("q_a_proj", kQAProj, true, "q_lora_rank", "hidden_size"),
    RoleInfo{"q_a_norm", WeightRole::kQANorm, false, true, "q_lora_rank"},
    RoleInfo{"q_b_proj", WeightRole::kQProj, false, true, "num_attention_heads * head_dim, q_lora_rank"},
    LLM2MNN_LINEAR("kv_a_proj", kKvAProj, true, "kv_lora_rank", "hidden_size"),
    RoleInfo{"kv_a_norm", WeightRole::kKvANorm, false, true, "kv_lora_rank"},
    LLM2MNN_LINEAR("k_rope_proj", kKRopeProj, true, "qk_rope_head_dim", "hidden_size"),
    RoleInfo{"k_b_proj", WeightRole::kKProj, false, true,
             "num_attention_heads * qk_nope_head_dim, kv_lora_rank"},
    RoleInfo{"v_b_proj", WeightRole::kVProj, false, true, "num_attention_heads * v_head_dim, kv_lora_rank"},
    LLM2MNN_NORM("q_norm", kQNorm, true, "head_dim"),
    LLM2MNN_NORM("k_norm", kKNorm, true, "head_dim"),
    RoleInfo{"sinks", WeightRole::kSinks, false, true, "num_attention_heads"},
    LLM2MNN_NORM("post_attention_norm", kPostAttentionNorm, true, "hidden_size"),
    LLM2MNN_NORM("pre_mlp_norm", kPreMlpNorm, true, "hidden_size"),
    LLM2MNN_NORM("post_mlp_norm", kPostMlpNorm, true, "hidden_size"),
    RoleInfo{"attention_sub_norm", WeightRole::kAttentionSubNorm, false, true,
             "num_attention_heads * head_dim"},
    RoleInfo{"mlp_sub_norm", WeightRole::kMlpSubNorm, false, true, "intermediate_size"},
    RoleInfo{"xielu_alpha_p", WeightRole::kXieluAlphaP, false, true, "1"},
    RoleInfo{"xielu_alpha_n", WeightRole::kXieluAlphaN, false, true, "1"},
    RoleInfo{"xielu_beta", WeightRole::kXieluBeta, false, true, "1"},
    LLM2MNN_LINEAR("gate_proj", kGateProj, true, "intermediate_size", "hidden_size"),
    LLM2MNN_LINEAR("up_proj", kUpProj, true, "intermediate_size", "hidden_size"),
    LLM2MNN_LINEAR("down_proj", kDownProj, true, "hidden_size", "intermediate_size"),
    LLM2MNN_LINEAR("router", kRouter, true, "num_experts", "hidden_size"),
    RoleInfo{"selection_bias", WeightRole::kSelectionBias, false, true, "num_experts"},
    LLM2MNN_EXPERT("expert_gate_proj", kExpertGateProj, "moe_intermediate_size", "hidden_size"),
    LLM2MNN_EXPERT("expert_up_proj", kExpertUpProj, "moe_intermediate_size", "hidden_size"),
    LLM2MNN_EXPERT("expert_down_proj", kExpertDownProj, "hidden_size", "moe_intermediate_size"),
    LLM2MNN_LINEAR("shared_gate_proj", kSharedGateProj, true, "shared_intermediate_size", "hidden_size"),
    LLM2MNN_LINEAR("shared_up_proj", kSharedUpProj, true, "shared_intermediate_size", "hidden_size"),
    LLM2MNN_LINEAR("shared_down_proj", kSharedDownProj, true, "hidden_size", "shared_intermediate_size"),
    RoleInfo{"shared_expert_gate", WeightRole::kSharedExpertGate, false, true, "1, hidden_size"},
    RoleInfo{"per_layer_embedding", WeightRole::kPerLayerEmbedding, false, false,
             "vocab_size_per_layer_input, num_hidden_layers * hidden_size_per_layer_input"},
    RoleInfo{"per_layer_model_projection", WeightRole::kPerLayerModelProjection, false, false,
             "num_hidden_layers * hidden_size_per_layer_input, hidden_size"},
    RoleInfo{"per_layer_projection_norm", WeightRole::kPerLayerProjectionNorm, false, false,
             "hidden_size_per_layer_input"},
    RoleInfo{"per_layer_input_gate", WeightRole::kPerLayerInputGate, false, true,
             "hidden_size_per_layer_input, hidden_size"},
    RoleInfo{"per_layer_projection", WeightRole::kPerLayerProjection, false, true,
             "hidden_size, hidden_size_per_layer_input"},
    RoleInfo{"post_per_layer_input_norm", WeightRole::kPostPerLayerInputNorm, false, true, "hidden_size"},
    RoleInfo{"laurel_left", WeightRole::kLaurelLeft, false, true, "laurel_rank, hidden_size"},
    RoleInfo{"laurel_right", WeightRole::kLaurelRight, false, true, "hidden_size, laurel_rank"},
    RoleInfo{"post_laurel_norm", WeightRole::kPostLaurelNorm, false, true, "hidden_size"},
    RoleInfo{"altup_projection", WeightRole::kAltupProjection, false, true, "hidden_size, hidden_size"},
    RoleInfo{"altup_unembed_projection", WeightRole::kAltupUnembedProjection, false, true,
             "hidden_size, hidden_size"},
    RoleInfo{"altup_router_norm", WeightRole::kAltupRouterNorm, false, true, "hidden_size"},
    RoleInfo{"altup_router", WeightRole::kAltupRouter, false, true, "altup_num_inputs, hidden_size"},
    RoleInfo{"altup_prediction_coefs", WeightRole::kAltupPredictionCoefs, false, true,
             "altup_num_inputs * altup_num_inputs, altup_num_inputs"},
    RoleInfo{"altup_correction_coefs", WeightRole::kAltupCorrectionCoefs, false, true,
             "altup_num_inputs, altup_num_inputs"},
    RoleInfo{"altup_output_scale", WeightRole::kAltupOutputScale, false, true, "hidden_size"},
    LLM2MNN_NORM("norm", kNorm, false, "hidden_size"),
    LLM2MNN_LINEAR("lm_head", kLmHead, false, "vocab_size", "hidden_size"),
};

#undef LLM2MNN_LINEAR
#undef LLM2MNN_EXPERT
#undef LLM2MNN_NORM

struct ActivationName {
  std::string_view name;
  Activation activation;
};

// The menu's words.
constexpr std::array kActivationWords = {
    ActivationName{"silu", Activation::kSilu},
    ActivationName{"gelu_tanh", Activation::kGeluTanh},
    ActivationName{"gelu_erf", Activation::kGeluErf},
    ActivationName{"relu", Activation::kRelu},
    ActivationName{"relu2", Activation::kRelu2},
    ActivationName{"xielu", Activation::kXielu},
    ActivationName{"quick_gelu", Activation::kQuickGelu},
};

// transformers activations.py, ACT2CLS. gelu_new, gelu_fast and gelu_accurate are the tanh approximation,
// written in different ways.
constexpr std::array kHfActivations = {
    ActivationName{"silu", Activation::kSilu},
    ActivationName{"swish", Activation::kSilu},
    ActivationName{"gelu", Activation::kGeluErf},
    ActivationName{"gelu_python", Activation::kGeluErf},
    ActivationName{"gelu_new", Activation::kGeluTanh},
    ActivationName{"gelu_fast", Activation::kGeluTanh},
    ActivationName{"gelu_accurate", Activation::kGeluTanh},
    ActivationName{"gelu_pytorch_tanh", Activation::kGeluTanh},
    ActivationName{"gelu_python_tanh", Activation::kGeluTanh},
    ActivationName{"relu", Activation::kRelu},
    ActivationName{"relu2", Activation::kRelu2},
    ActivationName{"xielu", Activation::kXielu},
    ActivationName{"quick_gelu", Activation::kQuickGelu},
};

template <typename Table, typename Member>
auto find_in(const Table& table, Member member, std::string_view name) -> decltype(table.data()) {
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const auto& row) { return row.*member == name; });
  return found == table.end() ? nullptr : &*found;
}

template <typename Table>
std::optional<Activation> find_activation(const Table& table, std::string_view name) {
  const ActivationName* row = find_in(table, &ActivationName::name, name);
  return row == nullptr ? std::nullopt : std::optional(row->activation);
}

}  // namespace

std::span<const VocabularyKey> vocabulary() { return kVocabulary; }
std::span<const CanonicalName> canonical_names() { return kCanonicalNames; }
std::span<const RoleInfo> roles() { return kRoles; }
std::span<const Shorthand> shorthands() { return kShorthands; }
std::span<const std::string_view> file_keys() { return kFileKeys; }
std::span<const std::string_view> named_sections() { return kNamedSections; }
std::span<const std::string_view> config_fields() { return kConfigFields; }
std::span<const std::string_view> tensor_fields() { return kTensorFields; }
std::span<const std::string_view> row_fields() { return kRowFields; }

const VocabularyKey* find_vocabulary_key(std::string_view path) {
  return find_in(kVocabulary, &VocabularyKey::path, path);
}
const CanonicalName* find_canonical_name(std::string_view name) {
  return find_in(kCanonicalNames, &CanonicalName::name, name);
}
const RoleInfo* find_role(std::string_view name) { return find_in(kRoles, &RoleInfo::name, name); }

std::vector<std::string> split_words(std::string_view words) {
  std::vector<std::string> parts;
  while (!words.empty()) {
    const std::size_t end = std::min(words.find(' '), words.size());
    parts.emplace_back(words.substr(0, end));
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return parts;
}

std::optional<Activation> activation_of_hf_name(std::string_view name) {
  return find_activation(kHfActivations, name);
}
std::optional<Activation> activation_of_word(std::string_view word) {
  return find_activation(kActivationWords, word);
}

std::string_view role_name(WeightRole role) {
  return std::find_if(kRoles.begin(), kRoles.end(),
                      [&](const RoleInfo& row) { return row.role == role && !row.is_bias; })
      ->name;
}

}  // namespace llm2mnn
