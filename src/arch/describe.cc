#include "arch/describe.h"

#include <algorithm>
#include <cmath>

#include "arch/attention_describer.h"
#include "arch/config_keys.h"
#include "arch/config_reader.h"
#include "arch/mixer_describer.h"
#include "arch/moe_describer.h"
#include "arch/part_describer.h"
#include "arch/residual_describer.h"
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
        parts_(input.family, config_, claims_),
        ropes_(input.family, config_),
        attention_(input.family, config_, claims_, parts_, ropes_),
        moe_(input.family, config_, claims_),
        mixers_(input.family, config_, claims_),
        beside_(input.family, config_, claims_, parts_) {}

  DecoderSpec describe() {
    check_config();
    read_sizes();
    read_choices();
    spec_.embed_tokens = claims_.claim("embed_tokens");
    describe_positions();
    if (parts_.is_on("model.embed_norm")) spec_.embed_norm = parts_.norm("embed_norm", "embed_norm", -1);
    if (parts_.is_on("model.embed_proj")) {
      spec_.embed_in_proj = parts_.linear("embed_in_proj", "embed_in_proj", -1, false);
      spec_.embed_out_proj = parts_.linear("embed_out_proj", "embed_out_proj", -1, false);
    }
    if (parts_.is_on("norm.final")) spec_.norm = parts_.norm("norm", "norm", -1);
    describe_head();
    beside_.describe_model(spec_);
    describe_layers();
    spec_.ropes = ropes_.finish(spec_.notes);
    spec_.ignored = claims_.finish();
    spec_.scales = claims_.scales();
    if (!spec_.scales.empty())
      spec_.notes.push_back(
          fmt::format("{} tensors of {} ('{}') are read with their scales; activations stay float",
                      spec_.scales.size(), quant_.kind_text(), quant_.method));
    if (quant_.is_ternary()) {
      spec_.weights_per_byte = kTernaryPerByte;
      spec_.notes.emplace_back(
          "ternary weights keep their values with --sym, from --quant_bit 2 on; without it they do not");
    }
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
  }

  void read_choices() {
    spec_.embed_scale = parts_.positive("model.embed_scale");
    spec_.logit_scale = parts_.positive("model.logit_scale");
    spec_.logit_softcap = config_.evaluate("model.logit_softcap");
    if (spec_.logit_softcap < 0)
      fail(ErrorKind::kFormat, "config.json: 'model.logit_softcap' comes to {}, it must not be negative",
           spec_.logit_softcap);
    parts_.read_norms();
    attention_.read_choices();
    const std::string residual = family_.setting("block.residual").word;
    residual_ = residual == "sandwich" ? ResidualKind::kSandwich
                : residual == "post"   ? ResidualKind::kPost
                                       : ResidualKind::kPre;
    const bool has_norms_of_sums = parts_.is_on("block.norms_of_sums");
    is_parallel_ = parts_.is_on("block.parallel");
    shares_norm_ = parts_.is_on("block.shared_norm");
    if ((is_parallel_ && residual_ != ResidualKind::kPre) || (shares_norm_ && !is_parallel_))
      fail(ErrorKind::kUnsupported,
           "config.json: block.parallel needs residual 'pre', and block.shared_norm needs block.parallel");
    if (has_norms_of_sums && (residual_ != ResidualKind::kPre || is_parallel_))
      fail(ErrorKind::kUnsupported,
           "config.json: block.norms_of_sums needs residual 'pre' without block.parallel");
    if (has_norms_of_sums) residual_ = ResidualKind::kSums;
    mlp_kind_ = family_.setting("mlp.kind").word == "plain" ? MlpKind::kPlain : MlpKind::kGlu;
    activation_ = read_activation();
    if (activation_ == Activation::kXielu && mlp_kind_ != MlpKind::kPlain)
      fail(ErrorKind::kUnsupported, "config.json: the activation xielu needs an MLP without gate");
    limits_ = read_limits();
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

  void describe_positions() {
    if (!parts_.is_on("model.learned_positions")) return;
    Binding table = claims_.claim("position_embedding");
    if (table.is_empty()) return;
    const std::int64_t rows = spec_.max_position_embeddings;
    if (table.rows() > rows) table = table.gather_rows({{table.rows() - rows, rows, 1}});
    spec_.position_embedding = std::move(table);
    spec_.notes.push_back(fmt::format("learned positions: the context ends at {} tokens", rows));
  }

  void describe_head() {
    const bool flag = parts_.is_on("model.tied");
    const std::optional<TensorId> stored = claims_.find("lm_head");
    spec_.tied = flag || !stored.has_value();
    if (stored.has_value() && flag) claims_.ignore(*stored, "tied to the embedding");
    if (!stored.has_value() && !flag) check_absent_head();
    if (spec_.tied) {
      spec_.lm_head.address = "lm_head";
      spec_.lm_head.role = WeightRole::kLmHead;
      spec_.lm_head.weight = spec_.embed_tokens;
      if (parts_.is_on("model.head_bias")) spec_.lm_head.bias = claims_.claim("lm_head_bias");
    } else {
      spec_.lm_head = parts_.linear("lm_head", "lm_head", -1, parts_.is_on("model.head_bias"));
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
    note_differing_heads();
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

  // Reports name the heads of the first layer.
  void note_differing_heads() {
    const auto by_heads = [](const LayerSpec& a, const LayerSpec& b) {
      return a.attention.num_attention_heads < b.attention.num_attention_heads;
    };
    const auto [least, most] = std::minmax_element(spec_.layers.begin(), spec_.layers.end(), by_heads);
    const AttentionSpec &few = least->attention, &many = most->attention;
    if (few.num_attention_heads > 0 && few.num_attention_heads != many.num_attention_heads)
      spec_.notes.push_back(fmt::format("layers differ in their heads: {}/{} to {}/{}",
                                        few.num_attention_heads, few.num_key_value_heads,
                                        many.num_attention_heads, many.num_key_value_heads));
  }

  LayerSpec describe_layer(std::int64_t i) {
    const auto norm = [&](std::string_view role) {
      return parts_.norm(fmt::format("layers.{}.{}", i, role), role, i);
    };
    LayerSpec layer;
    layer.residual = residual_;
    layer.is_parallel = is_parallel_;
    if (residual_ != ResidualKind::kPost) layer.input_norm = norm("input_layernorm");
    const LayerKind kind = mixers_.layer_kind(i);
    if (kind == LayerKind::kShortConv)
      layer.short_conv = mixers_.short_conv(i);
    else if (kind == LayerKind::kGatedDelta)
      layer.gated_delta = mixers_.gated_delta(i, parts_.norm_eps());
    else
      layer.attention = attention_.describe(
          i, kind == LayerKind::kSliding ? MaskKind::kSliding : MaskKind::kFull, kind == LayerKind::kChunked);
    const bool has_post_norms = residual_ == ResidualKind::kSandwich || residual_ == ResidualKind::kPost;
    if (has_post_norms) layer.post_attention_norm = norm("post_attention_norm");
    if (residual_ != ResidualKind::kPost && !shares_norm_) layer.pre_mlp_norm = norm("pre_mlp_norm");
    if (moe_.is_sparse(i))
      layer.moe = moe_.describe(i, mlp_kind_, activation_, limits_);
    else
      layer.mlp = describe_mlp(i);
    if (has_post_norms) layer.post_mlp_norm = norm("post_mlp_norm");
    beside_.describe_layer(layer, i, activation_);
    return layer;
  }

  MlpSpec describe_mlp(std::int64_t i) {
    const auto linear = [&](std::string_view role, std::string_view bias) {
      return parts_.linear(fmt::format("layers.{}.mlp.{}", i, role), role, i, parts_.is_on(bias));
    };
    MlpSpec mlp;
    mlp.kind = mlp_kind_;
    mlp.activation = activation_;
    mlp.limits = limits_;
    mlp.sparsity_deviations = beside_.sparsity_deviations(i);
    if (mlp.sparsity_deviations && (mlp_kind_ != MlpKind::kGlu || limits_))
      fail(ErrorKind::kUnsupported, "config.json: mlp.sparsity goes with a gate without limits");
    if (mlp_kind_ == MlpKind::kGlu) mlp.gate_proj = linear("gate_proj", "mlp.gate_bias");
    mlp.up_proj = linear("up_proj", "mlp.up_bias");
    mlp.down_proj = linear("down_proj", "mlp.down_bias");
    if (parts_.is_on("mlp.sub_norm"))
      mlp.sub_norm = parts_.norm(fmt::format("layers.{}.mlp.sub_norm", i), "mlp_sub_norm", i);
    if (activation_ == Activation::kXielu)
      mlp.xielu = XieluSpec{claims_.claim("xielu_alpha_p", i), claims_.claim("xielu_alpha_n", i),
                            claims_.claim("xielu_beta", i)};
    return mlp;
  }

  const DescribeInput& input_;
  const Family& family_;
  ConfigReader config_;
  SourceQuant quant_;
  TensorClaims claims_;
  PartDescriber parts_;
  RopeResolver ropes_;
  AttentionDescriber attention_;
  MoeDescriber moe_;
  MixerDescriber mixers_;
  ResidualDescriber beside_;
  DecoderSpec spec_;
  std::vector<std::string> architectures_;
  std::int64_t num_layers_ = 0;
  ResidualKind residual_ = ResidualKind::kPre;
  bool is_parallel_ = false, shares_norm_ = false;
  MlpKind mlp_kind_ = MlpKind::kGlu;
  Activation activation_ = Activation::kSilu;
  std::optional<GluLimits> limits_;
};

}  // namespace

DecoderSpec describe_model(const DescribeInput& input) {
  if (!input.config.is_object()) fail(ErrorKind::kFormat, "config.json is no JSON object");
  return Describer(input).describe();
}

}  // namespace llm2mnn
