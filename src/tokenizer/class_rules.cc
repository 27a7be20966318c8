#include "tokenizer/class_rules.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "base/json.h"

namespace llm2mnn {

namespace {

using Space = PrefixSpaceRule;

constexpr ClassRule bert_like(std::string_view name) {
  return {name, false, false, true, Space::kFalse, nullptr, nullptr};
}

constexpr ClassRule kOther{};

constexpr std::array<ClassRule, 20> kRules = {{
    {"LlamaTokenizer", true, true, false, Space::kKept, "<s>", "</s>"},
    {"CodeLlamaTokenizer", true, true, false, Space::kFalse, "<s>", "</s>"},
    {"GemmaTokenizer", true, true, false, Space::kFalse, "<bos>", "<eos>"},
    {"CohereTokenizer", true, true, false, Space::kFalseAll, "<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>"},
    {"GPTNeoXTokenizer", true, false, false, Space::kFalse, "<|endoftext|>", "<|endoftext|>"},
    {"GPT2Tokenizer", false, false, false, Space::kFalse, "<|endoftext|>", "<|endoftext|>"},
    {"CodeGenTokenizer", false, false, false, Space::kFalse, "<|endoftext|>", "<|endoftext|>"},
    {"Qwen2Tokenizer", false, false, false, Space::kFalse, nullptr, "<|endoftext|>"},
    {"BloomTokenizer", false, false, false, Space::kFalseAll, "<s>", "</s>"},
    {"RobertaTokenizer", false, false, false, Space::kFalse, "<s>", "</s>"},
    {"BlenderbotTokenizer", false, false, false, Space::kTrue, "<s>", "</s>"},
    bert_like("BertTokenizer"),
    bert_like("ConvBertTokenizer"),
    bert_like("DistilBertTokenizer"),
    bert_like("ElectraTokenizer"),
    bert_like("LayoutLMTokenizer"),
    bert_like("LxmertTokenizer"),
    bert_like("MobileBertTokenizer"),
    bert_like("SqueezeBertTokenizer"),
    {"FunnelTokenizer", false, false, true, Space::kFalse, "<s>", "</s>"},
}};

bool is_of_type(const JsonValue* component, std::string_view type) {
  const JsonValue* member = component == nullptr ? nullptr : component->find("type");
  return member != nullptr && member->is_string() && member->as_string() == type;
}

void set_prefix_space(const TokenizerJson& document, const ClassRule& rule, std::optional<bool> configured,
                      TokenizerModel& model) {
  if (rule.prefix_space == Space::kKept && !configured) return;
  const bool value = configured.value_or(rule.prefix_space == Space::kTrue);
  const bool is_alone = is_of_type(document.component("pre_tokenizer"), "ByteLevel");
  if (!is_alone && !(value && rule.prefix_space == Space::kFalseAll)) return;
  for (PreTokenizerStep& step : model.pre_tokenizers) {
    if (step.kind == PreTokenizerStep::Kind::kByteLevel) step.add_prefix_space = value;
  }
}

void set_bert_normalizer(const TokenizerJson& document, const TokenizerConfig& config,
                         TokenizerModel& model) {
  if (!is_of_type(document.component("normalizer"), "BertNormalizer")) return;
  for (NormalizerStep& step : model.normalizers) {
    step.lowercase = config.do_lower_case.value_or(true);
    step.strip_accents = config.strip_accents;
    step.handle_chinese_chars = config.tokenize_chinese_chars.value_or(true);
  }
}

void rebuild_post_processor(const ClassRule& rule, const TokenizerConfig& config, TokenizerModel& model) {
  model.prefix_ids.clear();
  model.suffix_ids.clear();
  const auto add = [&](const std::string& text, const char* key, std::vector<std::uint32_t>& ids) {
    const auto id = model.find_id(text);
    if (text.empty() || !id) {
      fail(ErrorKind::kFormat,
           "tokenizer_config.json: {} is true for {}, but its token {} is in no vocabulary", key,
           shown(config.tokenizer_class), shown(text));
    }
    ids.push_back(*id);
  };
  if (config.add_bos_token.value_or(rule.adds_bos && !config.bos_token.empty()))
    add(config.bos_token, "add_bos_token", model.prefix_ids);
  if (config.add_eos_token.value_or(false)) add(config.eos_token, "add_eos_token", model.suffix_ids);
}

}  // namespace

const ClassRule& class_rule(std::string_view tokenizer_class) {
  constexpr std::string_view kFast = "Fast";
  if (tokenizer_class.ends_with(kFast)) tokenizer_class.remove_suffix(kFast.size());
  const auto rule = std::find_if(kRules.begin(), kRules.end(),
                                 [&](const ClassRule& each) { return each.name == tokenizer_class; });
  return rule == kRules.end() ? kOther : *rule;
}

void apply_class_defaults(TokenizerConfig& config) {
  const ClassRule& rule = class_rule(config.tokenizer_class);
  const auto complete = [&](std::string& text, bool has_key, const char* fallback) {
    if (has_key || fallback == nullptr || !text.empty()) return;
    text = fallback;
    auto& special = config.special_tokens;
    if (std::find(special.begin(), special.end(), text) == special.end()) special.push_back(text);
  };
  complete(config.bos_token, config.has_bos_key, rule.bos);
  complete(config.eos_token, config.has_eos_key, rule.eos);
}

void apply_class_rule(const TokenizerJson& document, const TokenizerConfig& config, TokenizerModel& model) {
  const ClassRule& rule = class_rule(config.tokenizer_class);
  set_prefix_space(document, rule, config.add_prefix_space, model);
  if (rule.sets_bert_normalizer) set_bert_normalizer(document, config, model);
  if (rule.rebuilds_post_processor) rebuild_post_processor(rule, config, model);
}

}  // namespace llm2mnn
