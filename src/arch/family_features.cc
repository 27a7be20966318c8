#include "arch/family_features.h"

#include <algorithm>

namespace llm2mnn {
namespace {

bool is_fallback(const Setting& setting, const VocabularyKey& key) {
  if (key.kind == KeyKind::kMenu || key.kind == KeyKind::kActivation) return setting.word == key.fallback;
  if (!setting.keys.empty()) return false;
  const Expression fallback = Expression::parse(std::string(key.fallback), split_words(key.words));
  return fallback.constant_value().has_value()
             ? setting.expression.constant_value() == fallback.constant_value()
             : setting.expression.text() == fallback.text();
}

std::string label_of(const Setting& setting, const VocabularyKey& key) {
  if (!key.feature.empty()) return std::string(key.feature);
  if (key.kind == KeyKind::kActivation) return setting.word;
  const std::string name(key.path.substr(key.path.find('.') + 1));
  return key.kind == KeyKind::kMenu ? name + " " + setting.word : name;
}

}  // namespace

std::vector<std::string> features_of(const Family& family) {
  std::vector<std::string> features;
  for (const VocabularyKey& key : vocabulary()) {
    const bool is_off = key.path == "attention.qk_norm" && family.never_uses("q_norm");
    if (key.feature == "-" || is_off) continue;
    const Setting setting = family.setting(key.path);
    const bool inverted = !key.feature.empty() && key.feature.front() == '!';
    if (is_fallback(setting, key) != inverted) continue;
    features.push_back(inverted ? std::string(key.feature.substr(1)) : label_of(setting, key));
  }
  const bool two_ropes = std::any_of(family.settings.begin(), family.settings.end(), [](const auto& item) {
    return item.first.rfind("rope.full.", 0) == 0 || item.first.rfind("rope.sliding.", 0) == 0;
  });
  if (two_ropes) features.emplace_back("rope_by_layer_type");
  return features;
}

}  // namespace llm2mnn
