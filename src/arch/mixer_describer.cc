#include "arch/mixer_describer.h"

namespace llm2mnn {

namespace {

// The words of a list, whose items may be runs: [[word, word], times].
std::vector<const JsonValue*> unrolled(const JsonValue& list, std::size_t most) {
  std::vector<const JsonValue*> items;
  if (!list.is_array()) return items;
  for (const JsonValue& item : list.as_array()) {
    const bool is_run = item.is_array() && item.as_array().size() == 2 && item.as_array()[0].is_array() &&
                        item.as_array()[1].is_number();
    if (!is_run) {
      items.push_back(&item);
      continue;
    }
    const std::int64_t times = item.as_array()[1].as_int64();
    const auto& words = item.as_array()[0].as_array();
    for (std::int64_t n = 0; n < times && !words.empty() && items.size() <= most; ++n)
      for (const JsonValue& word : words)
        items.push_back(&word);
  }
  return items;
}

}  // namespace

LayerKind MixerDescriber::mixer() const {
  const std::string kind = family_.setting("mixer.kind").word;
  if (kind == "short_conv") return LayerKind::kShortConv;
  if (kind == "gated_delta") return LayerKind::kGatedDelta;
  fail(ErrorKind::kUnsupported,
       "config.json: some layers have no attention, but family '{}' says nothing else for them (mixer.kind)",
       family_.name);
}

namespace {

// One letter for each layer, over and over: L slides, G does not, and neither does the last layer (the rule
// of the published code that reads such patterns).
LayerKind pattern_kind(std::string_view pattern, const std::string& key, std::int64_t i,
                       std::int64_t num_layers) {
  if (pattern.empty() || pattern.find_first_not_of("LG") != std::string_view::npos)
    fail(ErrorKind::kUnsupported, "config.json: {} is {}; supported is a pattern of L and G", shown(key),
         shown(pattern, 60));
  const bool is_local = pattern[static_cast<std::size_t>(i) % pattern.size()] == 'L';
  return is_local && i + 1 < num_layers ? LayerKind::kSliding : LayerKind::kFull;
}

}  // namespace

std::optional<LayerKind> MixerDescriber::listed_kind(std::int64_t i) const {
  const std::string mixer = family_.setting("mixer.kind").word;
  for (const std::string& key : layer_types_->keys) {
    const JsonValue* list = find_path(config_.config(), key);
    if (list == nullptr || list->is_null()) continue;
    if (list->is_number()) continue;  // an expression reads it
    if (list->is_array() && list->as_array().empty()) continue;
    const std::int64_t num_layers = config_.size("num_hidden_layers");
    if (list->is_string()) return pattern_kind(list->as_string(), key, i, num_layers);
    const std::vector<const JsonValue*> items = unrolled(*list, static_cast<std::size_t>(num_layers));
    if (items.size() != static_cast<std::size_t>(num_layers))
      fail(ErrorKind::kFormat, "config.json: {} must be a list with one word for each of {} layers",
           shown(key), num_layers);
    const JsonValue& item = *items[static_cast<std::size_t>(i)];
    std::string word = item.is_string() ? std::string(item.as_string()) : item.is_number() ? item.dump() : "";
    const auto own = layer_types_->words.find(word);
    if (own != layer_types_->words.end()) word = own->second + "_attention";
    if (word == "full_attention") return LayerKind::kFull;
    if (word == "sliding_attention") return LayerKind::kSliding;
    if (word == "chunked_attention" && has_chunks()) return LayerKind::kChunked;
    if (word == "conv" && mixer == "short_conv") return LayerKind::kShortConv;
    if (word == "linear_attention" && mixer == "gated_delta") return LayerKind::kGatedDelta;
    fail(item.is_string() ? ErrorKind::kUnsupported : ErrorKind::kFormat,
         "config.json: {}[{}] is {}; supported are full_attention and sliding_attention{}", shown(key), i,
         shown(item.dump(), 60),
         mixer == "short_conv"    ? ", and conv"
         : mixer == "gated_delta" ? ", and linear_attention"
         : has_chunks()           ? ", and chunked_attention"
                                  : "");
  }
  return std::nullopt;
}

std::optional<LayerKind> MixerDescriber::kind_by_full_layers(std::int64_t i) {
  for (const std::string& key : family_.setting("attention.full_layers").keys) {
    const JsonValue* list = find_path(config_.config(), key);
    if (list == nullptr || list->is_null()) continue;
    if (!full_layers_.has_value()) {
      const std::int64_t num_layers = config_.size("num_hidden_layers");
      full_layers_.emplace();
      if (!list->is_array())
        fail(ErrorKind::kFormat, "config.json: {} must be a list of layer numbers", shown(key));
      for (const JsonValue& item : list->as_array()) {
        const double number = item.is_number() ? item.as_double() : -1;
        if (!(number >= 0) || number >= static_cast<double>(num_layers))
          fail(ErrorKind::kFormat, "config.json: {} holds {}; expected numbers of {} layers", shown(key),
               shown(item.dump(), 60), num_layers);
        full_layers_->insert(static_cast<std::int64_t>(number));
      }
    }
    return full_layers_->contains(i) ? LayerKind::kFull : mixer();
  }
  return std::nullopt;
}

LayerKind MixerDescriber::layer_kind(std::int64_t i) {
  if (!layer_types_.has_value()) layer_types_ = family_.setting("attention.layer_types");
  if (const std::optional<LayerKind> kind = listed_kind(i)) return *kind;
  if (const std::optional<LayerKind> kind = kind_by_full_layers(i)) return *kind;
  // full 0, sliding 1, mixer 2, chunked 3: the order of the menu.
  const double word = config_.evaluate(layer_types_->expression, layer_types_->where, i);
  if (word == 0) return LayerKind::kFull;
  if (word == 3) return LayerKind::kChunked;
  return word == 2 ? mixer() : LayerKind::kSliding;
}

bool MixerDescriber::has_chunks() const {
  return !family_.setting("attention.chunk_size").expression.is_zero();
}

LinearSpec MixerDescriber::linear(std::int64_t i, std::string_view block, std::string_view name,
                                  std::string_view role) {
  LinearSpec linear;
  linear.address = fmt::format("layers.{}.{}.{}", i, block, name);
  linear.role = find_role(role)->role;
  linear.weight = claims_.claim(role, i);
  return linear;
}

std::int64_t MixerDescriber::taps() const {
  const std::int64_t taps = config_.size("conv_kernel_dim");
  constexpr std::int64_t kMost = 64;
  if (taps < 2 || taps > kMost)
    fail(ErrorKind::kUnsupported, "config.json: a convolution over {} tokens; 2 to {} are supported", taps,
         kMost);
  return taps;
}

ShortConvSpec MixerDescriber::short_conv(std::int64_t i) {
  ShortConvSpec conv;
  conv.taps = taps();
  conv.in_proj = linear(i, "conv", "in_proj", "conv_in_proj");
  conv.kernel = claims_.claim("conv_kernel", i);
  conv.out_proj = linear(i, "conv", "out_proj", "conv_out_proj");
  return conv;
}

GatedDeltaSpec MixerDescriber::gated_delta(std::int64_t i, double norm_eps) {
  GatedDeltaSpec delta;
  delta.taps = taps();
  delta.num_key_heads = config_.size("linear_num_key_heads");
  delta.num_value_heads = config_.size("linear_num_value_heads");
  delta.key_dim = config_.size("linear_key_head_dim");
  delta.value_dim = config_.size("linear_value_head_dim");
  if (delta.num_value_heads % delta.num_key_heads != 0)
    fail(ErrorKind::kFormat,
         "config.json: linear_num_value_heads {} is no multiple of linear_num_key_heads {}",
         delta.num_value_heads, delta.num_key_heads);
  const auto part = [&](std::string_view name, std::string_view role) {
    return linear(i, "linear_attn", name, role);
  };
  delta.qkv_proj = part("qkv_proj", "linear_q_proj");
  const Binding k = claims_.claim("linear_k_proj", i);
  const Binding v = claims_.claim("linear_v_proj", i);
  delta.z_proj = part("z_proj", "linear_z_proj");
  delta.a_proj = part("a_proj", "linear_a_proj");
  delta.a_proj.bias = claims_.claim("linear_dt_bias", i);
  delta.b_proj = part("b_proj", "linear_b_proj");
  delta.kernel = claims_.claim("linear_kernel", i);
  delta.decay = claims_.claim("linear_a_log", i);
  delta.norm = {fmt::format("layers.{}.linear_attn.norm", i),
                WeightRole::kLinearNorm,
                NormKind::kRms,
                norm_eps,
                claims_.claim("linear_norm", i),
                Binding()};
  delta.out_proj = part("out_proj", "linear_out_proj");
  claims_.fail_if_missing(i);
  delta.qkv_proj.weight = Binding::concat_rows({delta.qkv_proj.weight, k, v});
  delta.decay = delta.decay.exponential().scale(-1);
  return delta;
}

}  // namespace llm2mnn
