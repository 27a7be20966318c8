// Inheritance, and the checks that need a family as a whole.

#include <algorithm>
#include <array>

#include "arch/family_data.h"
#include "base/near_match.h"

namespace llm2mnn {
namespace {

constexpr std::array<std::string_view, 2> kLayerTypes = {"full", "sliding"};

Setting make_fallback(const VocabularyKey& key) {
  Setting setting;
  const std::string text(key.fallback);
  switch (key.kind) {
    case KeyKind::kMenu:
    case KeyKind::kActivation:
      setting.word = text;
      break;
    case KeyKind::kExpression:
    case KeyKind::kLayerExpression:
      setting.expression = Expression::parse(text);
      break;
    case KeyKind::kLayerList:
      break;
    case KeyKind::kLayerTypes:
      setting.expression = Expression::parse(text, split_words(key.words));
      break;
  }
  return setting;
}

// Parsed once: every family asks for most of them many times, and the parser is slow to build.
const Setting& fallback_setting(const VocabularyKey& key) {
  static const std::map<std::string_view, Setting> all = [] {
    std::map<std::string_view, Setting> settings;
    for (const VocabularyKey& one : vocabulary())
      settings.emplace(one.path, make_fallback(one));
    return settings;
  }();
  return all.at(key.path);
}

// Names that a choice of the family reads.
struct ChoiceNames {
  std::string_view path, word;
  std::vector<std::string_view> names;
};
const std::vector<ChoiceNames>& choice_names() {
  static const std::vector<ChoiceNames> table = {
      {"attention.kind",
       "latent",
       {"q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"}},
      {"mixer.kind", "short_conv", {"conv_kernel_dim"}},
      {"mixer.kind",
       "gated_delta",
       {"conv_kernel_dim", "linear_num_key_heads", "linear_num_value_heads", "linear_key_head_dim",
        "linear_value_head_dim"}},
  };
  return table;
}

// Names that the shapes of a feature's roles read, where its number is not 0.
struct FeatureNames {
  std::string_view path;
  std::vector<std::string_view> names;
};
const std::vector<FeatureNames>& feature_names() {
  static const std::vector<FeatureNames> table = {
      {"block.laurel", {"laurel_rank"}},
      {"altup.streams", {"altup_num_inputs"}},
      {"per_layer_embedding.size", {"hidden_size_per_layer_input", "vocab_size_per_layer_input"}},
  };
  return table;
}

void add_names(std::set<std::string>& names, const std::optional<Expression>& expression) {
  if (!expression.has_value()) return;
  for (const std::string& name : expression->variables()) {
    if (name != "i" && name != "e") names.insert(name);
  }
}

// Every setting that can take effect, with the path to name it by.
std::vector<std::pair<std::string, Setting>> effective_settings(const Family& family) {
  std::vector<std::pair<std::string, Setting>> settings;
  for (const VocabularyKey& key : vocabulary()) {
    if (key.path.substr(0, 5) != "rope.") {
      settings.emplace_back(key.path, family.setting(key.path));
      continue;
    }
    for (const std::string_view type : kLayerTypes)
      settings.emplace_back(key.path, family.rope_setting(type, key.path.substr(5)));
  }
  return settings;
}

std::vector<const Expression*> expressions_of(const TensorPattern& whole) {
  std::vector<const Expression*> all;
  for (const TensorPattern* pattern : patterns_of(whole)) {
    if (const auto& rows = pattern->rows; rows.has_value())
      all.insert(all.end(), {&rows->begin, &rows->count, &rows->groups, &rows->stride});
    for (const auto* expression : {&pattern->add, &pattern->scale, &pattern->normalise})
      if (expression->has_value()) all.push_back(&**expression);
  }
  return all;
}

class Checker {
 public:
  explicit Checker(const Family& family) : family_(family) {
    for (const auto& [name, entry] : family.config)
      declared_.push_back(name);
  }

  void check() {
    for (const CanonicalName& name : canonical_names()) {
      if (name.required && family_.config.count(std::string(name.name)) == 0)
        fail_at(family_.top, "[config] lacks '{}' ({})", name.name, name.meaning);
    }
    for (const auto& [name, entry] : family_.config)
      check_entry(name, entry);
    for (const auto& [path, setting] : effective_settings(family_))
      check_setting(path, setting);
    for (const auto& [role, pattern] : family_.tensors) {
      for (const Expression* expression : expressions_of(pattern))
        check_names(*expression, pattern.where, role, false, find_role(role)->is_expert);
      if (pattern.where.file == family_.top.file && family_.never_uses(role)) fail_role_is_off(role, pattern);
    }
    for (const auto& [text, refusal] : family_.refuse)
      check_names(refusal.when, refusal.where, "refuse", false);
    check_head_norms();
    check_choice_names();
    check_feature_names();
    if (has_experts()) check_expert_names();
    if (!family_.setting("model.embed_proj").expression.is_zero() && family_.config.count("embed_size") == 0)
      fail_at(family_.top, "[config] lacks 'embed_size' ({}), and model.embed_proj asks for it",
              find_canonical_name("embed_size")->meaning);
    check_harmless();
    check_own_names_are_used();
  }

 private:
  bool has_experts() const { return !family_.setting("moe.layers").expression.is_zero(); }

  void check_expert_names() {
    for (const char* name : {"num_experts", "num_experts_per_tok", "moe_intermediate_size"}) {
      if (family_.config.count(name) == 0)
        fail_at(family_.top, "[config] lacks '{}' ({}), and moe.layers asks for experts", name,
                find_canonical_name(name)->meaning);
    }
    if (!family_.setting("moe.shared").expression.is_zero() &&
        family_.config.count("shared_intermediate_size") == 0)
      fail_at(family_.top, "[config] lacks 'shared_intermediate_size' ({}), and moe.shared asks for it",
              find_canonical_name("shared_intermediate_size")->meaning);
  }

  void check_names(const Expression& expression, const Location& where, std::string_view what, bool per_layer,
                   bool per_expert = false) {
    for (const std::string& name : expression.variables()) {
      if ((name == "i" && per_layer) || (name == "e" && per_expert)) continue;
      if (name == "i")
        fail_at(where, "'{}' has one value for all layers, but {} reads i", what, shown(expression.text()));
      if (name == "e")
        fail_at(where, "'{}' is no part of an expert, but {} reads e", what, shown(expression.text()));
      if (family_.config.count(name) != 0) continue;
      fail_at(where, "'{}' reads {}, which [config] does not declare{}", what, shown(name),
              did_you_mean(name, declared_));
    }
  }

  void check_choice_names() {
    for (const ChoiceNames& choice : choice_names()) {
      if (family_.setting(choice.path).word != choice.word) continue;
      for (const std::string_view name : choice.names) {
        if (family_.config.count(std::string(name)) == 0)
          fail_at(family_.top, "[config] lacks '{}' ({}), and {} = {} asks for it", name,
                  find_canonical_name(name)->meaning, choice.path, choice.word);
      }
    }
  }

  void check_feature_names() {
    for (const FeatureNames& feature : feature_names()) {
      if (family_.setting(feature.path).expression.is_zero()) continue;
      for (const std::string_view name : feature.names) {
        if (family_.config.count(std::string(name)) == 0)
          fail_at(family_.top, "[config] lacks '{}' ({}), and {} asks for it", name,
                  find_canonical_name(name)->meaning, feature.path);
      }
    }
  }

  [[noreturn]] void fail_role_is_off(const std::string& role, const TensorPattern& pattern) {
    const std::string path = family_.off_switch(role);
    const Setting state = family_.setting(path);
    fail_at(pattern.where, "role '{}' has a tensor, but {} = {} never uses it", role, path,
            shown(state.word.empty() ? state.expression.text() : state.word));
  }

  void check_entry(const std::string& name, const ConfigEntry& entry) {
    for (const auto& expression : {entry.if_missing, entry.if_null}) {
      if (expression.has_value()) check_names(*expression, entry.where, "config." + name, false);
    }
    std::set<std::string> seen;
    check_cycle(name, name, seen);
  }

  // Defaults may read other names; none may lead back to itself.
  void check_cycle(const std::string& root, const std::string& name, std::set<std::string>& seen) {
    if (!seen.insert(name).second) return;
    const ConfigEntry& entry = family_.config.at(name);
    std::set<std::string> next;
    add_names(next, entry.if_missing);
    add_names(next, entry.if_null);
    for (const std::string& other : next) {
      if (other == root)
        fail_at(entry.where, "the default of '{}' depends on itself through '{}'", root, name);
      if (family_.config.count(other) != 0) check_cycle(root, other, seen);
    }
  }

  void check_setting(const std::string& path, const Setting& setting) {
    const KeyKind kind = find_vocabulary_key(path)->kind;
    const bool per_layer = kind == KeyKind::kLayerTypes || kind == KeyKind::kLayerExpression;
    const bool by_default = setting.where.file == nullptr;
    check_names(setting.expression, by_default ? family_.top : setting.where, path, per_layer);
  }

  void check_head_norms() {
    for (const char* role : {"q_norm", "k_norm"}) {
      const auto found = family_.tensors.find(role);
      if (found == family_.tensors.end() || family_.setting("attention.qk_norm").word == "heads") continue;
      for (const TensorPattern* pattern : patterns_of(found->second))
        if (pattern->name.find("{h}") != std::string::npos)
          fail_at(pattern->where, "role '{}': '{{h}}' needs attention.qk_norm = \"heads\"", role);
    }
  }

  void check_harmless() {
    const std::set<std::string> consumed = family_.consumed_keys();
    for (const auto& [key, rule] : family_.harmless) {
      if (consumed.count(key) != 0)
        fail_at(rule.where, "[harmless] names {}, which the family reads", shown(key));
    }
  }

  void check_own_names_are_used() {
    const std::set<std::string> used = family_.used_names();
    for (const auto& [name, entry] : family_.config) {
      const bool is_own = entry.where.file == family_.top.file;
      if (!is_own || used.count(name) != 0 || find_canonical_name(name) != nullptr) continue;
      std::vector<std::string> known(used.begin(), used.end());
      for (const CanonicalName& canonical : canonical_names())
        known.emplace_back(canonical.name);
      fail_at(entry.where, "[config] declares {}, which nothing reads{}", shown(name),
              did_you_mean(name, known));
    }
  }

  const Family& family_;
  std::vector<std::string> declared_;
};

ConfigEntry merge_entry(const ConfigEntry& parent, ConfigEntry child) {
  if (child.keys.empty()) child.keys = parent.keys;
  if (!child.if_missing.has_value()) child.if_missing = parent.if_missing;
  if (!child.if_null.has_value()) child.if_null = parent.if_null;
  if (child.words.empty()) child.words = parent.words;
  return child;
}

}  // namespace

std::vector<const TensorPattern*> patterns_of(const TensorPattern& pattern) {
  std::vector<const TensorPattern*> all{&pattern};
  for (const TensorPattern& alternative : pattern.alternatives)
    all.push_back(&alternative);
  return all;
}

std::string Location::text() const { return fmt::format("{}:{}", file == nullptr ? "family" : *file, line); }

Setting Family::setting(std::string_view path) const {
  const auto found = settings.find(std::string(path));
  if (found != settings.end()) return found->second;
  const VocabularyKey* key = find_vocabulary_key(path);
  LLM2MNN_CHECK(key != nullptr);
  return fallback_setting(*key);
}

Setting Family::rope_setting(std::string_view layer_type, std::string_view key) const {
  const auto found = settings.find(fmt::format("rope.{}.{}", layer_type, key));
  return found != settings.end() ? found->second : setting(fmt::format("rope.{}", key));
}

std::string Family::switch_of(std::string_view role) {
  const RoleInfo* info = find_role(role);
  if (info == nullptr) return {};
  switch (info->role) {
    case WeightRole::kQNorm:
    case WeightRole::kKNorm:
      return info->is_bias ? "attention.qk_norm_bias" : "attention.qk_norm";
    case WeightRole::kSinks:
      return "attention.sinks";
    case WeightRole::kAttentionSubNorm:
      return "attention.sub_norm";
    case WeightRole::kMlpSubNorm:
      return "mlp.sub_norm";
    case WeightRole::kXieluAlphaP:
    case WeightRole::kXieluAlphaN:
    case WeightRole::kXieluBeta:
      return "mlp.activation";
    case WeightRole::kInputLayernorm:
    case WeightRole::kPreMlpNorm:
    case WeightRole::kPostAttentionNorm:
    case WeightRole::kPostMlpNorm:
      return info->is_bias ? "norm.bias" : "block.residual";
    case WeightRole::kNorm:
      return info->is_bias ? "norm.bias" : "norm.final";
    case WeightRole::kQAProj:
    case WeightRole::kKvAProj:
    case WeightRole::kKRopeProj:
      return info->is_bias ? "attention.latent_bias" : "attention.kind";
    case WeightRole::kQANorm:
    case WeightRole::kKvANorm:
      return "attention.kind";
    case WeightRole::kOGateProj:
      return info->is_bias ? "attention.q_bias" : "attention.output_gate";
    case WeightRole::kConvInProj:
    case WeightRole::kConvKernel:
    case WeightRole::kConvOutProj:
    case WeightRole::kLinearQkvProj:
    case WeightRole::kLinearZProj:
    case WeightRole::kLinearAProj:
    case WeightRole::kLinearBProj:
    case WeightRole::kLinearKernel:
    case WeightRole::kLinearDecay:
    case WeightRole::kLinearNorm:
    case WeightRole::kLinearOutProj:
      return "mixer.kind";
    case WeightRole::kQProj:
    case WeightRole::kKProj:
    case WeightRole::kVProj:
    case WeightRole::kOProj:
      if (role.substr(1, 3) == "_b_") return "attention.kind";
      return info->is_bias ? fmt::format("attention.{}_bias", role.substr(0, 1)) : "";
    case WeightRole::kGateProj:
      return info->is_bias ? "mlp.gate_bias" : "mlp.kind";
    case WeightRole::kUpProj:
      return info->is_bias ? "mlp.up_bias" : "";
    case WeightRole::kDownProj:
      return info->is_bias ? "mlp.down_bias" : "";
    case WeightRole::kRouter:
      return info->is_bias ? "moe.router_bias" : "moe.layers";
    case WeightRole::kSelectionBias:
      return "moe.selection_bias";
    case WeightRole::kExpertGateProj:
    case WeightRole::kExpertUpProj:
    case WeightRole::kExpertDownProj:
      return info->is_bias ? "moe.bias" : "moe.layers";
    case WeightRole::kSharedGateProj:
    case WeightRole::kSharedUpProj:
    case WeightRole::kSharedDownProj:
      return info->is_bias ? "moe.bias" : "moe.shared";
    case WeightRole::kSharedExpertGate:
      return "moe.shared_gate";
    case WeightRole::kLmHead:
      return info->is_bias ? "model.head_bias" : "";
    case WeightRole::kPositionEmbedding:
      return "model.learned_positions";
    case WeightRole::kEmbedNorm:
      return info->is_bias ? "norm.bias" : "model.embed_norm";
    case WeightRole::kEmbedInProj:
    case WeightRole::kEmbedOutProj:
      return "model.embed_proj";
    case WeightRole::kPerLayerEmbedding:
    case WeightRole::kPerLayerModelProjection:
    case WeightRole::kPerLayerProjectionNorm:
    case WeightRole::kPerLayerInputGate:
    case WeightRole::kPerLayerProjection:
    case WeightRole::kPostPerLayerInputNorm:
      return "per_layer_embedding.size";
    case WeightRole::kLaurelLeft:
    case WeightRole::kLaurelRight:
    case WeightRole::kPostLaurelNorm:
      return "block.laurel";
    case WeightRole::kAltupProjection:
    case WeightRole::kAltupUnembedProjection:
    case WeightRole::kAltupRouterNorm:
    case WeightRole::kAltupRouter:
    case WeightRole::kAltupPredictionCoefs:
    case WeightRole::kAltupCorrectionCoefs:
    case WeightRole::kAltupOutputScale:
      return "altup.streams";
    case WeightRole::kEmbedTokens:
      break;
  }
  return {};
}

namespace {

/// Whether the role is the weight of a norm of the hidden axis.
bool is_hidden_norm(std::string_view role) {
  const RoleInfo* info = find_role(role);
  if (info == nullptr || info->is_bias) return false;
  switch (info->role) {
    case WeightRole::kInputLayernorm:
    case WeightRole::kPostAttentionNorm:
    case WeightRole::kPreMlpNorm:
    case WeightRole::kPostMlpNorm:
    case WeightRole::kNorm:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::string Family::off_switch(std::string_view role) const {
  std::string path = switch_of(role);
  if (path == "attention.qk_norm" && setting(path).word != "none") path = "attention.qk_norm_on";
  if (is_hidden_norm(role) && setting("norm.weight").expression.is_zero()) path = "norm.weight";
  return path;
}

bool Family::never_uses(std::string_view role) const {
  if (is_hidden_norm(role) && setting("norm.weight").expression.is_zero()) return true;
  const std::string path = switch_of(role);
  if (path.empty()) return false;
  const Setting state = setting(path);
  if (path == "attention.qk_norm")
    return state.word == "none" || setting("attention.qk_norm_on").expression.is_zero();
  if (path == "attention.kind") return state.word != "latent";
  if (path == "mixer.kind") return state.word != (role.starts_with("conv_") ? "short_conv" : "gated_delta");
  if (path == "mlp.kind") return state.word == "plain";
  if (path == "mlp.activation") return state.keys.empty() && state.word != "xielu";
  if (path == "block.residual") {
    const bool is_post = role.substr(0, 5) == "post_";
    return state.word == (is_post ? "pre" : "post");
  }
  return state.expression.is_zero();
}

std::set<std::string> Family::used_names() const {
  std::set<std::string> used;
  for (const CanonicalName& canonical : canonical_names()) {
    if (canonical.required) used.insert(std::string(canonical.name));
  }
  for (const auto& [path, setting] : effective_settings(*this))
    add_names(used, setting.expression);
  for (const auto& [role, pattern] : tensors) {
    for (const Expression* expression : expressions_of(pattern))
      add_names(used, *expression);
  }
  for (const auto& [text, refusal] : refuse)
    add_names(used, refusal.when);
  for (const ChoiceNames& choice : choice_names())
    if (setting(choice.path).word == choice.word) used.insert(choice.names.begin(), choice.names.end());
  if (!setting("model.embed_proj").expression.is_zero()) used.insert("embed_size");
  for (const FeatureNames& feature : feature_names())
    if (!setting(feature.path).expression.is_zero()) used.insert(feature.names.begin(), feature.names.end());
  if (!setting("moe.layers").expression.is_zero()) {
    used.insert({"num_experts", "num_experts_per_tok", "moe_intermediate_size"});
    if (!setting("moe.shared").expression.is_zero()) used.insert("shared_intermediate_size");
  }
  // Defaults read further names.
  std::vector<std::string> open(used.begin(), used.end());
  while (!open.empty()) {
    const auto entry = config.find(open.back());
    open.pop_back();
    if (entry == config.end()) continue;
    std::set<std::string> next;
    add_names(next, entry->second.if_missing);
    add_names(next, entry->second.if_null);
    for (const std::string& other : next) {
      if (used.insert(other).second) open.push_back(other);
    }
  }
  return used;
}

std::set<std::string> Family::consumed_keys() const {
  std::set<std::string> keys = {"model_type", "architectures", "quantization_config", "compression_config"};
  for (const std::string& used : used_names()) {
    const auto entry = config.find(used);
    if (entry == config.end()) continue;
    const std::vector<std::string>& own = entry->second.keys;
    if (own.empty()) keys.insert(used);
    for (const std::string& key : own)
      keys.insert({key, key.substr(0, key.find('.'))});
  }
  for (const auto& [path, setting] : effective_settings(*this)) {
    keys.insert(setting.keys.begin(), setting.keys.end());
    if (path == "rope.scaling" && setting.word == "config") keys.insert({"rope_scaling", "rope_parameters"});
  }
  return keys;
}

Family inherit(Family child, const Family* parent) {
  if (parent != nullptr) {
    if (!child.base_prefix.has_value()) child.base_prefix = parent->base_prefix;
    for (const auto& [name, entry] : parent->config) {
      const auto [own, inserted] = child.config.emplace(name, entry);
      if (!inserted) own->second = merge_entry(entry, own->second);
    }
    child.harmless.insert(parent->harmless.begin(), parent->harmless.end());
    child.settings.insert(parent->settings.begin(), parent->settings.end());
    child.tensors.insert(parent->tensors.begin(), parent->tensors.end());
    child.ignore.insert(parent->ignore.begin(), parent->ignore.end());
    child.refuse.insert(parent->refuse.begin(), parent->refuse.end());
  }
  Checker(child).check();
  return child;
}

}  // namespace llm2mnn
