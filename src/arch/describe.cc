#include "arch/describe.h"

#include <algorithm>
#include <cmath>

#include "arch/config_keys.h"
#include "arch/config_reader.h"
#include "arch/mixer_describer.h"
#include "arch/moe_describer.h"
#include "arch/rope_resolver.h"
#include "arch/tensor_claims.h"
#include "base/near_match.h"

namespace llm2mnn {
namespace {

std::vector<std::string> read_architectures(const JsonValue& config) {
  const JsonValue* value = config.find("architectures");
  if (value == nullptr || value->is_null()) return {};
  std::vector<std::string> names;
  const auto expect = [](bool is_right) {
    if (!is_right) fail(ErrorKind::kFormat, "config.json: 'architectures' must be a list of strings");
  };
  expect(value->is_array());
  for (const JsonValue& item : value->as_array()) {
    expect(item.is_string());
    names.emplace_back(item.as_string());
  }
  return names;
}

bool is_base_model(const std::string& architecture) {
  return architecture.size() > 5 && architecture.substr(architecture.size() - 5) == "Model";
}

// Builds one DecoderSpec; the parts share the claims and the config.
class Describer {
 public:
  explicit Describer(const DescribeInput& input)
      : input_(input),
        family_(input.family),
        config_(input.family, input.config),
        quant_(read_source_quant(input.config)),
        claims_(input.family, config_, input.tensors, quant_),
        ropes_(input.family, config_),
        moe_(input.family, config_, claims_),
        mixers_(input.family, config_, claims_) {}

  DecoderSpec describe() {
    check_config();
    read_sizes();
    read_choices();
    spec_.embed_tokens = claims_.claim("embed_tokens");
    describe_positions();
    if (is_on("model.embed_norm")) spec_.embed_norm = make_norm("embed_norm", "embed_norm", -1);
    spec_.norm = make_norm("norm", "norm", -1);
    describe_head();
    describe_layers();
    spec_.ropes = ropes_.finish(spec_.notes);
    spec_.ignored = claims_.finish();
    spec_.scales = claims_.scales();
    if (!spec_.scales.empty())
      spec_.notes.push_back(fmt::format(
          "{} tensors of {} ('{}') are read with their scales; activations stay float", spec_.scales.size(),
          quant_.is_mxfp4() ? "4 bit floats" : "8 bit floats", quant_.method));
    return std::move(spec_);
  }

 private:
  void check_config() {
    architectures_ = read_architectures(input_.config);
    for (const std::string& name : architectures_) {
      const auto& known = family_.architectures;
      if (input_.by_type || known.empty() || std::find(known.begin(), known.end(), name) != known.end())
        continue;
      fail(ErrorKind::kUnsupported,
           "config.json: architecture {} is not supported by family '{}' (it knows {})", shown(name),
           family_.name, list_names(known, 6));
    }
    for (const auto& [text, refusal] : family_.refuse) {
      if (config_.evaluate(refusal.when, refusal.where) != 0)
        fail(ErrorKind::kUnsupported, "config.json: family '{}' does not support this model: {} ({})",
             family_.name, refusal.reason, shown(text, 120));
    }
    spec_.unread_config_keys = unread_config_keys(input_.config, family_, input_.known_keys);
  }

  void read_sizes() {
    const JsonValue* type = input_.config.find("model_type");
    if (type != nullptr && type->is_string()) spec_.model_type = type->as_string();
    spec_.family = family_.name;
    spec_.hidden_size = config_.size("hidden_size");
    spec_.vocab_size = config_.size("vocab_size");
    spec_.max_position_embeddings = config_.size("max_position_embeddings");
    num_layers_ = config_.size("num_hidden_layers");
    num_heads_ = config_.size("num_attention_heads");
    num_kv_heads_ = config_.size("num_key_value_heads");
    head_dim_ = config_.size("head_dim");
    if (num_heads_ % num_kv_heads_ != 0)
      fail(ErrorKind::kFormat, "config.json: num_attention_heads {} is no multiple of num_key_value_heads {}",
           num_heads_, num_kv_heads_);
  }

  static double positive(std::string_view path, double value) {
    if (!(value > 0))
      fail(ErrorKind::kFormat, "config.json: '{}' comes to {}, it must be positive", path, value);
    return value;
  }
  double positive(std::string_view path) { return positive(path, config_.evaluate(path)); }

  bool is_on(std::string_view path) { return config_.evaluate(path) != 0; }

  void read_choices() {
    spec_.embed_scale = positive("model.embed_scale");
    spec_.logit_scale = positive("model.logit_scale");
    spec_.logit_softcap = config_.evaluate("model.logit_softcap");
    if (spec_.logit_softcap < 0)
      fail(ErrorKind::kFormat, "config.json: 'model.logit_softcap' comes to {}, it must not be negative",
           spec_.logit_softcap);
    norm_kind_ = family_.setting("norm.kind").word == "layer" ? NormKind::kLayer : NormKind::kRms;
    norm_eps_ = config_.evaluate("norm.eps");
    if (norm_eps_ < 0)
      fail(ErrorKind::kFormat, "config.json: {} comes to {}, it must not be negative",
           shown(family_.setting("norm.eps").expression.text()), norm_eps_);
    gamma_offset_ = static_cast<float>(config_.evaluate("norm.gamma_offset"));
    const std::string residual = family_.setting("block.residual").word;
    residual_ = residual == "sandwich" ? ResidualKind::kSandwich
                : residual == "post"   ? ResidualKind::kPost
                                       : ResidualKind::kPre;
    is_parallel_ = is_on("block.parallel");
    shares_norm_ = is_on("block.shared_norm");
    if ((is_parallel_ && residual_ != ResidualKind::kPre) || (shares_norm_ && !is_parallel_))
      fail(ErrorKind::kUnsupported,
           "config.json: block.parallel needs residual 'pre', and block.shared_norm needs block.parallel");
    mlp_kind_ = family_.setting("mlp.kind").word == "plain" ? MlpKind::kPlain : MlpKind::kGlu;
    activation_ = read_activation();
    if (activation_ == Activation::kXielu && mlp_kind_ != MlpKind::kPlain)
      fail(ErrorKind::kUnsupported, "config.json: the activation xielu needs an MLP without gate");
    logit_softcap_ = config_.evaluate("attention.logit_softcap");
    if (logit_softcap_ < 0)
      fail(ErrorKind::kFormat, "config.json: 'attention.logit_softcap' comes to {}, it must not be negative",
           logit_softcap_);
    limits_ = read_limits();
    const std::string qk_norm = family_.setting("attention.qk_norm").word;
    has_qk_norm_ = qk_norm != "none" && is_on("attention.qk_norm_on");
    qk_norm_kind_ = qk_norm == "heads" ? QkNormKind::kHeads
                    : qk_norm == "all" ? QkNormKind::kAll
                                       : QkNormKind::kHead;
  }

  std::optional<GluLimits> read_limits() {
    const GluLimits limits{config_.evaluate("mlp.gate_max"), config_.evaluate("mlp.up_min"),
                           config_.evaluate("mlp.up_max")};
    if (limits == GluLimits{}) return std::nullopt;
    if (mlp_kind_ != MlpKind::kGlu || !(limits.up_min < limits.up_max))
      fail(ErrorKind::kFormat, "config.json: an MLP's limits of {}, {} and {} need a gate and a range",
           limits.gate_max, limits.up_min, limits.up_max);
    return limits;
  }

  Activation read_activation() {
    const Setting setting = family_.setting("mlp.activation");
    for (const std::string& key : setting.keys) {
      const JsonValue* value = find_path(input_.config, key);
      if (value == nullptr || value->is_null()) continue;
      if (!value->is_string())
        fail(ErrorKind::kFormat, "config.json: {} must be a string, found {}", shown(key),
             shown(value->dump(), 60));
      const std::string name(value->as_string());
      const auto own = setting.words.find(name);
      const auto activation =
          own != setting.words.end() ? activation_of_word(own->second) : activation_of_hf_name(name);
      if (activation.has_value()) return *activation;
      fail(ErrorKind::kUnsupported, "config.json: {} is {}, an activation that is not supported", shown(key),
           shown(name));
    }
    return *activation_of_word(setting.word);
  }

  NormSpec make_norm(std::string address, std::string_view role, std::int64_t layer) {
    NormSpec norm;
    norm.address = std::move(address);
    norm.role = find_role(role)->role;
    norm.kind = norm_kind_;
    norm.eps = norm_eps_;
    const bool is_of_qk = norm.role == WeightRole::kQNorm || norm.role == WeightRole::kKNorm;
    const std::string bias = std::string(role) + "_bias";
    const bool has_bias_role = find_role(bias) != nullptr;
    if (has_bias_role && !is_of_qk && !is_on("norm.weight")) {
      norm.weight = Binding::constant(spec_.hidden_size, 1);
    } else {
      norm.weight = claims_.claim(role, layer);
      if (gamma_offset_ != 0 && !norm.weight.is_empty()) norm.weight = norm.weight.add(gamma_offset_);
    }
    if (has_bias_role && is_on(is_of_qk ? "attention.qk_norm_bias" : "norm.bias"))
      norm.bias = claims_.claim(bias, layer);
    return norm;
  }

  LinearSpec make_linear(std::string address, std::string_view role, std::int64_t layer, bool has_bias) {
    LinearSpec linear;
    linear.address = std::move(address);
    linear.role = find_role(role)->role;
    linear.weight = claims_.claim(role, layer);
    if (has_bias) linear.bias = claims_.claim(std::string(role) + "_bias", layer);
    return linear;
  }

  void describe_positions() {
    if (!is_on("model.learned_positions")) return;
    Binding table = claims_.claim("position_embedding");
    if (table.is_empty()) return;
    const std::int64_t rows = spec_.max_position_embeddings;
    if (table.rows() > rows) table = table.gather_rows({{table.rows() - rows, rows, 1}});
    spec_.position_embedding = std::move(table);
    spec_.notes.push_back(fmt::format("learned positions: the context ends at {} tokens", rows));
  }

  void describe_head() {
    const bool flag = is_on("model.tied");
    const std::optional<TensorId> stored = claims_.find("lm_head");
    spec_.tied = flag || !stored.has_value();
    if (stored.has_value() && flag) claims_.ignore(*stored, "tied to the embedding");
    if (!stored.has_value() && !flag) check_absent_head();
    if (spec_.tied) {
      spec_.lm_head.address = "lm_head";
      spec_.lm_head.role = WeightRole::kLmHead;
      spec_.lm_head.weight = spec_.embed_tokens;
      if (is_on("model.head_bias")) spec_.lm_head.bias = claims_.claim("lm_head_bias");
    } else {
      spec_.lm_head = make_linear("lm_head", "lm_head", -1, is_on("model.head_bias"));
    }
  }

  // A checkpoint without a head uses the embedding. But one that says it has a head of its own has lost it;
  // only a base model ("...Model") may say so without one.
  void check_absent_head() {
    bool is_said = false;
    const Setting tied = family_.setting("model.tied");
    for (const std::string& name : tied.expression.variables())
      is_said = is_said || config_.is_given(name);
    const bool is_base =
        !architectures_.empty() && std::all_of(architectures_.begin(), architectures_.end(), is_base_model);
    if (is_said && !is_base) {
      claims_.claim("lm_head");  // remembered as missing, named with the first layer's
      return;
    }
    spec_.notes.push_back("the checkpoint has no head: the embedding is used as head");
  }

  void describe_layers() {
    claims_.fail_if_missing(-1);
    for (std::int64_t i = 0; i < num_layers_; ++i) {
      spec_.layers.push_back(describe_layer(i));
      claims_.fail_if_missing(i);
    }
    const bool slides = std::any_of(spec_.layers.begin(), spec_.layers.end(), [](const LayerSpec& layer) {
      return layer.attention.mask == MaskKind::kSliding;
    });
    if (!slides) return;
    const double window = config_.evaluate("attention.sliding_window");
    if (!(window >= 1) || window != std::floor(window) || window > 0x1p31)
      fail(ErrorKind::kFormat,
           "config.json: some layers slide, but {} comes to {}; it must be a positive number",
           shown(family_.setting("attention.sliding_window").expression.text()), window);
    spec_.sliding_window = static_cast<std::int64_t>(window);
  }

  LayerSpec describe_layer(std::int64_t i) {
    const auto norm = [&](std::string_view role) {
      return make_norm(fmt::format("layers.{}.{}", i, role), role, i);
    };
    LayerSpec layer;
    layer.residual = residual_;
    layer.is_parallel = is_parallel_;
    if (residual_ != ResidualKind::kPost) layer.input_norm = norm("input_layernorm");
    const LayerKind kind = mixers_.layer_kind(i);
    if (kind == LayerKind::kShortConv)
      layer.short_conv = mixers_.short_conv(i);
    else if (kind == LayerKind::kGatedDelta)
      layer.gated_delta = mixers_.gated_delta(i, norm_eps_);
    else
      layer.attention =
          describe_attention(i, kind == LayerKind::kSliding ? MaskKind::kSliding : MaskKind::kFull);
    if (residual_ != ResidualKind::kPre) layer.post_attention_norm = norm("post_attention_norm");
    if (residual_ != ResidualKind::kPost && !shares_norm_) layer.pre_mlp_norm = norm("pre_mlp_norm");
    if (moe_.is_sparse(i))
      layer.moe = moe_.describe(i, mlp_kind_, activation_, limits_);
    else
      layer.mlp = describe_mlp(i);
    if (residual_ != ResidualKind::kPre) layer.post_mlp_norm = norm("post_mlp_norm");
    return layer;
  }

  MlpSpec describe_mlp(std::int64_t i) {
    const auto linear = [&](std::string_view role, std::string_view bias) {
      return make_linear(fmt::format("layers.{}.mlp.{}", i, role), role, i, is_on(bias));
    };
    MlpSpec mlp;
    mlp.kind = mlp_kind_;
    mlp.activation = activation_;
    mlp.limits = limits_;
    if (mlp_kind_ == MlpKind::kGlu) mlp.gate_proj = linear("gate_proj", "mlp.gate_bias");
    mlp.up_proj = linear("up_proj", "mlp.up_bias");
    mlp.down_proj = linear("down_proj", "mlp.down_bias");
    if (is_on("mlp.sub_norm"))
      mlp.sub_norm = make_norm(fmt::format("layers.{}.mlp.sub_norm", i), "mlp_sub_norm", i);
    if (activation_ == Activation::kXielu)
      mlp.xielu = XieluSpec{claims_.claim("xielu_alpha_p", i), claims_.claim("xielu_alpha_n", i),
                            claims_.claim("xielu_beta", i)};
    return mlp;
  }

  AttentionSpec describe_attention(std::int64_t i, MaskKind mask) {
    const auto linear = [&](std::string_view role, std::string_view bias) {
      return make_linear(fmt::format("layers.{}.self_attn.{}", i, role), role, i, is_on(bias));
    };
    AttentionSpec attention;
    attention.num_attention_heads = num_heads_;
    attention.num_key_value_heads = num_kv_heads_;
    attention.head_dim = head_dim_;
    attention.mask = mask;
    if (is_on("attention.output_gate"))
      attention.gate_proj = make_linear(fmt::format("layers.{}.self_attn.o_gate_proj", i), "o_gate_proj", i,
                                        is_on("attention.q_bias"));
    if (family_.setting("attention.kind").word == "latent") return describe_latent(std::move(attention), i);
    attention.q_proj = linear("q_proj", "attention.q_bias");
    attention.k_proj = linear("k_proj", "attention.k_bias");
    attention.v_proj = linear("v_proj", "attention.v_bias");
    attention.o_proj = linear("o_proj", "attention.o_bias");
    attention.qk_norm_kind = qk_norm_kind_;
    attention.qk_norm_after_rope = is_on("attention.qk_norm_after_rope");
    attention.clip_qkv = config_.evaluate("attention.clip_qkv");
    attention.logit_softcap = logit_softcap_;
    if (is_on("attention.sub_norm"))
      attention.sub_norm = make_norm(fmt::format("layers.{}.self_attn.sub_norm", i), "attention_sub_norm", i);
    if (has_qk_norm_) {
      attention.q_norm = make_norm(fmt::format("layers.{}.self_attn.q_norm", i), "q_norm", i);
      attention.k_norm = make_norm(fmt::format("layers.{}.self_attn.k_norm", i), "k_norm", i);
    }
    if (is_on("attention.sinks")) attention.sinks = claims_.claim("sinks", i);
    claims_.fail_if_missing(i);
    scale_queries(attention, i);
    const RopeUse rope = ropes_.use(attention.mask, i);
    attention.rope_idx = rope.idx;
    if (rope.idx >= 0 && rope.is_pair) pair_to_half(attention, rope.rotary_dim);
    if (is_on("attention.alibi")) add_slopes(attention);
    return attention;
  }

  // The slopes of `count` heads: powers of 2 ^ -(bias_max / n), n the power of two from `count` on; the even
  // powers first when there are fewer heads than powers. arXiv:2108.12409, and its code for other counts.
  std::vector<double> alibi_slopes(std::int64_t count) {
    const double bias_max = positive("attention.alibi_bias_max");
    std::int64_t powers = 1;
    while (powers < count)
      powers *= 2;
    std::vector<double> slopes;
    const auto add = [&](std::int64_t first, std::int64_t step) {
      for (std::int64_t m = first; m <= powers && std::ssize(slopes) < count; m += step)
        slopes.push_back(std::exp2(-bias_max * static_cast<double>(m) / static_cast<double>(powers)));
    };
    if (powers == count) {
      add(1, 1);
    } else {
      add(2, 2);
      add(1, 2);
    }
    return slopes;
  }

  // slope * position = (slope * split) * (position / split) + slope * (position % split): a constant of q
  // times a channel of k, twice. Another multiple for each row of scores changes no probability.
  void add_slopes(AttentionSpec& attention) {
    if (attention.rope_idx >= 0 || attention.q_norm.has_value() || !attention.sinks.is_empty() ||
        attention.clip_qkv != 0 || attention.logit_softcap != 0)
      fail(ErrorKind::kUnsupported,
           "config.json: attention.alibi together with a rotary embedding, norms or limits of q and k, sinks "
           "or attention.logit_softcap");
    attention.has_alibi = true;
    LinearSpec& q = attention.q_proj;
    const Binding zeros = q.weight.gather_rows({{0, 1, 1}}).scale(0).gather_rows({{0, 1, 1}, {0, 1, 1}});
    const std::vector<double> slopes = alibi_slopes(num_heads_);
    const double root = std::sqrt(static_cast<double>(head_dim_));
    std::vector<Binding> rows, biases;
    for (std::int64_t head = 0; head < num_heads_; ++head) {
      const double factor = slopes.at(static_cast<std::size_t>(head)) * root;
      const RowRun own{head * head_dim_, head_dim_, 1};
      rows.insert(rows.end(), {zeros, q.weight.gather_rows({own})});
      biases.push_back(Binding::constant(1, static_cast<float>(factor * static_cast<double>(kAlibiSplit))));
      biases.push_back(Binding::constant(1, static_cast<float>(factor)));
      biases.push_back(q.bias.is_empty() ? Binding::constant(head_dim_, 0) : q.bias.gather_rows({own}));
    }
    q.weight = Binding::concat_rows(std::move(rows));
    q.bias = Binding::concat_rows(std::move(biases));
  }

  // Latent attention. In the checkpoint the rotary channels are the last ones of a head; the runtime's op
  // wants them in front.
  AttentionSpec describe_latent(AttentionSpec attention, std::int64_t i) {
    const auto address = [i](std::string_view role) {
      return fmt::format("layers.{}.self_attn.{}", i, role);
    };
    const auto linear = [&](std::string_view role, std::string_view name, std::string_view bias) {
      return make_linear(address(name), role, i, !bias.empty() && is_on(bias));
    };
    const auto norm = [&](std::string_view role) {
      NormSpec spec = make_norm(address(role), role, i);
      spec.kind = NormKind::kRms;
      spec.eps = positive("attention.latent_norm_eps");
      return spec;
    };
    LatentSpec latent;
    latent.rope_dim = config_.size("qk_rope_head_dim");
    latent.value_dim = config_.size("v_head_dim");
    const std::int64_t rest = config_.size("qk_nope_head_dim");
    check_latent_sizes(latent, rest);
    if (config_.number("q_lora_rank") != 0) {
      latent.q_a_proj = linear("q_a_proj", "q_a_proj", "attention.latent_bias");
      latent.q_a_norm = norm("q_a_norm");
      attention.q_proj = linear("q_b_proj", "q_b_proj", "");
    } else {
      attention.q_proj = linear("q_proj", "q_proj", "attention.q_bias");
    }
    latent.kv_a_proj = linear("kv_a_proj", "kv_a_proj", "attention.latent_bias");
    latent.k_rope_proj = linear("k_rope_proj", "k_rope_proj", "attention.latent_bias");
    latent.kv_a_norm = norm("kv_a_norm");
    attention.k_proj = linear("k_b_proj", "k_b_proj", "");
    attention.v_proj = linear("v_b_proj", "v_b_proj", "");
    attention.o_proj = linear("o_proj", "o_proj", "attention.o_bias");
    claims_.fail_if_missing(i);
    scale_queries(attention, i);
    const RopeUse rope = ropes_.use(attention.mask, i);
    attention.rope_idx = rope.idx;
    const bool is_pair = rope.idx >= 0 && rope.is_pair;
    for (Binding* binding : {&attention.q_proj.weight, &attention.q_proj.bias})
      reorder_rotary(*binding, num_heads_, rest, latent.rope_dim, is_pair);
    for (Binding* binding : {&latent.k_rope_proj.weight, &latent.k_rope_proj.bias})
      reorder_rotary(*binding, 1, 0, latent.rope_dim, is_pair);
    attention.latent = std::move(latent);
    return attention;
  }

  void check_latent_sizes(const LatentSpec& latent, std::int64_t rest) {
    if (num_kv_heads_ != num_heads_ || latent.rope_dim + rest != head_dim_)
      fail(ErrorKind::kFormat,
           "config.json: latent attention has {} heads of {} + {} channels, not {} key heads and {} channels",
           num_heads_, rest, latent.rope_dim, num_kv_heads_, head_dim_);
    if (latent.value_dim > head_dim_)
      fail(ErrorKind::kUnsupported,
           "config.json: a head of v has {} channels and one of k {}; the runtime's attention needs at most "
           "as many",
           latent.value_dim, head_dim_);
    if (has_qk_norm_)
      fail(ErrorKind::kUnsupported,
           "config.json: attention.kind = latent goes with attention.qk_norm = none");
    for (const char* path : {"attention.alibi", "attention.clip_qkv", "attention.logit_softcap",
                             "attention.sinks", "attention.sub_norm"})
      if (is_on(path))
        fail(ErrorKind::kUnsupported, "config.json: attention.kind = latent goes without {}", path);
  }

  // Rows of heads of `rest` channels and `rotary_dim` behind them: the rotary ones to the front, as halves.
  static void reorder_rotary(Binding& binding, std::int64_t num_heads, std::int64_t rest,
                             std::int64_t rotary_dim, bool is_pair) {
    if (binding.is_empty() || (rest == 0 && !is_pair)) return;
    std::vector<RowRun> runs;
    for (std::int64_t head = 0; head < num_heads; ++head) {
      const std::int64_t begin = head * (rest + rotary_dim);
      if (is_pair) {
        runs.push_back({begin + rest, rotary_dim / 2, 2});
        runs.push_back({begin + rest + 1, rotary_dim / 2, 2});
      } else {
        runs.push_back({begin + rest, rotary_dim, 1});
      }
      if (rest > 0) runs.push_back({begin, rest, 1});
    }
    binding = binding.gather_rows(std::move(runs));
  }

  // A norm behind q_proj would undo a factor in its rows, so the norm's gamma takes it then.
  void scale_queries(AttentionSpec& attention, std::int64_t i) {
    const double factor = query_factor(attention, i);
    const bool is_scaled = std::abs(factor - 1) >= 1e-12;
    // A factor in the rows of q would come before the limit.
    if (attention.clip_qkv < 0 || (attention.clip_qkv != 0 && is_scaled))
      fail(ErrorKind::kUnsupported,
           "config.json: 'attention.clip_qkv' comes to {}; it must not be negative, and is supported with "
           "scores scaled by head_dim ^ -0.5 only",
           attention.clip_qkv);
    if (!is_scaled) return;
    const auto scale = [&](Binding& binding) {
      if (!binding.is_empty()) binding = binding.scale(static_cast<float>(factor));
    };
    if (attention.q_norm.has_value()) {
      scale(attention.q_norm->weight);
      scale(attention.q_norm->bias);
      return;
    }
    scale(attention.q_proj.weight);
    scale(attention.q_proj.bias);
  }

  // Scores are scaled by Dh^-0.5 downstream; what differs from that goes into q.
  double query_factor(const AttentionSpec& attention, std::int64_t i) {
    const Setting setting = family_.setting("attention.scale");
    const double scale = positive("attention.scale", config_.layer_value(setting, i));
    return scale * std::sqrt(static_cast<double>(attention.head_dim));
  }

  // Channel 2j of a head moves to j and 2j+1 to r/2 + j. Scores do not change, since q and k move alike.
  void pair_to_half(AttentionSpec& attention, std::int64_t rotary_dim) const {
    const auto permute = [&](Binding& binding, std::int64_t num_heads) {
      if (binding.is_empty()) return;
      std::vector<RowRun> runs;
      for (std::int64_t head = 0; head < num_heads; ++head) {
        const std::int64_t begin = head * head_dim_;
        runs.push_back({begin, rotary_dim / 2, 2});
        runs.push_back({begin + 1, rotary_dim / 2, 2});
        if (rotary_dim < head_dim_) runs.push_back({begin + rotary_dim, head_dim_ - rotary_dim, 1});
      }
      binding = binding.gather_rows(std::move(runs));
    };
    permute(attention.q_proj.weight, num_heads_);
    permute(attention.q_proj.bias, num_heads_);
    permute(attention.k_proj.weight, num_kv_heads_);
    permute(attention.k_proj.bias, num_kv_heads_);
    for (std::optional<NormSpec>* norm : {&attention.q_norm, &attention.k_norm}) {
      if (!norm->has_value()) continue;
      const std::int64_t num_heads = (*norm)->weight.rows() / head_dim_;
      permute((*norm)->weight, num_heads);
      permute((*norm)->bias, num_heads);
    }
  }

  const DescribeInput& input_;
  const Family& family_;
  ConfigReader config_;
  SourceQuant quant_;
  TensorClaims claims_;
  RopeResolver ropes_;
  MoeDescriber moe_;
  MixerDescriber mixers_;
  DecoderSpec spec_;
  std::vector<std::string> architectures_;
  std::int64_t num_layers_ = 0, num_heads_ = 0, num_kv_heads_ = 0, head_dim_ = 0;
  NormKind norm_kind_ = NormKind::kRms;
  double norm_eps_ = 0;
  float gamma_offset_ = 0;
  ResidualKind residual_ = ResidualKind::kPre;
  bool is_parallel_ = false, shares_norm_ = false;
  MlpKind mlp_kind_ = MlpKind::kGlu;
  Activation activation_ = Activation::kSilu;
  double logit_softcap_ = 0;
  std::optional<GluLimits> limits_;
  bool has_qk_norm_ = false;
  QkNormKind qk_norm_kind_ = QkNormKind::kHead;
};

}  // namespace

DecoderSpec describe_model(const DescribeInput& input) {
  if (!input.config.is_object()) fail(ErrorKind::kFormat, "config.json is no JSON object");
  return Describer(input).describe();
}

}  // namespace llm2mnn
