#include "tokenizer/class_rules.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "base/json.h"

namespace llm2mnn {

namespace {

using Space = PrefixSpaceRule;

constexpr const char* kEndOfText = "<|endoftext|>";
constexpr std::array<const char*, kNumTokenRoles> kPlain = {"<s>", "</s>", "<unk>"};
constexpr std::array<const char*, kNumTokenRoles> kEnds = {kEndOfText, kEndOfText, kEndOfText};
constexpr std::array<const char*, kNumTokenRoles> kWrapped = {"<s>",   "</s>", "<unk>", "</s>",
                                                              "<pad>", "<s>",  "<mask>"};

constexpr ClassRule bert_like(std::string_view name) {
  return {name, false,         false,
          true, Space::kFalse, {nullptr, nullptr, "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"}};
}

constexpr ClassRule kOther{};

constexpr std::array<ClassRule, 20> kRules = {{
    {"LlamaTokenizer", true, true, false, Space::kKept, kPlain},
    {"CodeLlamaTokenizer", true, true, false, Space::kFalse, kPlain},
    {"GemmaTokenizer", true, true, false, Space::kFalse, {"<bos>", "<eos>", "<unk>", nullptr, "<pad>"}},
    {"CohereTokenizer",
     true,
     true,
     false,
     Space::kFalseAll,
     {"<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>", "<UNK>"}},
    {"GPTNeoXTokenizer", true, false, false, Space::kFalse, kEnds},
    {"GPT2Tokenizer", false, false, false, Space::kFalse, kEnds},
    {"CodeGenTokenizer", false, false, false, Space::kFalse, kEnds},
    {"Qwen2Tokenizer",
     false,
     false,
     false,
     Space::kFalse,
     {nullptr, kEndOfText, kEndOfText, nullptr, kEndOfText},
     NamedObjects::kPlain},
    {"BloomTokenizer", false, false, false, Space::kFalseAll, {"<s>", "</s>", "<unk>", nullptr, "<pad>"}},
    {"RobertaTokenizer", false, false, false, Space::kFalse, kWrapped, NamedObjects::kLstripMask},
    {"BlenderbotTokenizer", false, false, false, Space::kFalse, kWrapped, NamedObjects::kLstripMask},
    bert_like("BertTokenizer"),
    bert_like("ConvBertTokenizer"),
    bert_like("DistilBertTokenizer"),
    bert_like("ElectraTokenizer"),
    bert_like("LayoutLMTokenizer"),
    bert_like("LxmertTokenizer"),
    bert_like("MobileBertTokenizer"),
    bert_like("SqueezeBertTokenizer"),
    {"FunnelTokenizer",
     false,
     false,
     true,
     Space::kFalse,
     {"<s>", "</s>", "<unk>", "<sep>", "<pad>", "<cls>", "<mask>"}},
}};

bool is_of_type(const JsonValue* component, std::string_view type) {
  const JsonValue* member = component == nullptr ? nullptr : component->find("type");
  return member != nullptr && member->is_string() && member->as_string() == type;
}

void set_prefix_space(const TokenizerJson& document, const ClassRule& rule, std::optional<bool> configured,
                      TokenizerModel& model) {
  if (rule.prefix_space == Space::kKept && !configured) return;
  const bool value = configured.value_or(false);
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

bool is_object(NamedObjects objects, TokenRole role) {
  if (objects == NamedObjects::kLstripMask) return role == TokenRole::kMask;
  return objects == NamedObjects::kPlain && (role == TokenRole::kBos || role == TokenRole::kEos ||
                                             role == TokenRole::kUnk || role == TokenRole::kPad);
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
  for (std::size_t role = 0; role < kNumTokenRoles; ++role) {
    auto& token = config.role_tokens[role];
    if (!token && rule.tokens[role] != nullptr) token = NamedToken{rule.tokens[role], std::nullopt, true};
    if (token && !token->object && !token->text.empty() &&
        is_object(rule.objects, static_cast<TokenRole>(role))) {
      AddedToken& object = token->object.emplace();
      object.content = token->text;
      object.special = true;
      object.lstrip = rule.objects == NamedObjects::kLstripMask;
    }
  }
  collect_special_tokens(config);
}

void apply_class_rule(const TokenizerJson& document, const TokenizerConfig& config, TokenizerModel& model) {
  const ClassRule& rule = class_rule(config.tokenizer_class);
  set_prefix_space(document, rule, config.add_prefix_space, model);
  if (rule.sets_bert_normalizer) set_bert_normalizer(document, config, model);
  if (rule.rebuilds_post_processor) rebuild_post_processor(rule, config, model);
}

}  // namespace llm2mnn
