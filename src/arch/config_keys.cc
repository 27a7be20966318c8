#include "arch/config_keys.h"

#include <algorithm>
#include <array>

#include "arch/config_reader.h"

namespace llm2mnn {
namespace {

// A word of a key (between underscores) that begins like this speaks of the computation.
constexpr std::string_view kStems[] = {
    "rope",       "rotary", "mrope",    "attn",  "attention",   "norm",    "layernorm", "rms",  "scal",
    "multiplier", "mup",    "softcap",  "capp",  "window",      "sliding", "swa",       "bias", "expert",
    "moe",        "rout",   "residual", "clip",  "alibi",       "mask",    "causal",    "qk",   "kv",
    "query",      "head",   "eps",      "theta", "temperature", "sparse",  "chunk",     "conv", "ssm",
    "mamba",      "mtp",    "nextn",    "altup", "laurel",      "gate",    "sink"};
// Words that must stand alone: "act" is also the beginning of "actor".
constexpr std::string_view kWords[] = {"act",  "activation", "acts", "layers", "nope", "dense",
                                       "logn", "ntk",        "cap",  "mult",   "qkv"};

constexpr std::string_view kHarmless[] = {
    "_name_or_path",
    "_commit_hash",
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_attn_implementation_internal",
    "_flash_attn_2_enabled",
    "add_bos_token",
    "add_eos_token",
    "attn_implementation",
    "auto_map",
    "begin_suppress_tokens",
    "bos_token_id",
    "chunk_size_feed_forward",
    "custom_pipelines",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dtype",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "eos_token_id",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "head_dropout",
    "id2label",
    "initializer_factor",
    "initializer_range",
    "label2id",
    "length_penalty",
    "max_length",
    "max_seq_len",
    "max_new_tokens",
    "min_length",
    "model_max_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_labels",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_router_logits",
    "output_scores",
    "pad_token_id",
    "prefix",
    "pretraining_tp",  // computes the same in slices
    "problem_type",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "router_aux_loss_coef",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "typical_p",
    "unsloth_fixed",
    "unsloth_version",
    "use_bfloat16",
    "use_cache",
};

// A value at which a key that we know does nothing.
struct Neutral {
  std::string_view key;
  std::string_view value;  // compact JSON
};
constexpr std::array kNeutral = {
    Neutral{"is_causal", "true"},
    Neutral{"causal", "true"},
    Neutral{"position_embedding_type", "\"rope\""},
    Neutral{"partial_rotary_factor", "1"},
    Neutral{"rotary_pct", "1"},
    Neutral{"rotary_percent", "1"},
    Neutral{"output_gate_type", "\"swish\""},
    Neutral{"mamba_ssm_dtype", "\"float32\""},
};

std::vector<std::string> words_of(std::string_view key) {
  std::vector<std::string> words(1);
  for (const char c : key) {
    if (c == '_' || c == '.' || c == '-')
      words.emplace_back();
    else
      words.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return words;
}

bool has_stem(const std::vector<std::string>& words, std::string_view stem) {
  return std::any_of(words.begin(), words.end(),
                     [&](const std::string& word) { return word.rfind(stem, 0) == 0; });
}

// A factor does nothing at 1, everything else at 0.
bool is_factor(const std::vector<std::string>& words) {
  for (const std::string_view stem : {"mult", "scal", "factor", "temperature", "mup"}) {
    if (has_stem(words, stem)) return true;
  }
  return false;
}

bool is_full_attention_list(const JsonValue& value) {
  if (!value.is_array()) return false;
  const auto& items = value.as_array();
  return std::all_of(items.begin(), items.end(), [](const JsonValue& item) {
    return item.is_string() && item.as_string() == "full_attention";
  });
}

bool number_equals(const JsonValue& value, double number) {
  try {
    return value.as_double() == number;
  } catch (const Error&) {
    return false;  // beyond a double: certainly not neutral
  }
}

}  // namespace

bool is_neutral_value(std::string_view key, const JsonValue& value, const JsonValue& config) {
  if (value.is_null()) return true;
  for (const Neutral& row : kNeutral) {
    if (row.key != key) continue;
    return value.dump() == row.value || (value.is_number() && row.value == "1" && number_equals(value, 1));
  }
  switch (value.kind()) {
    case JsonValue::Kind::kNull:
      return true;
    case JsonValue::Kind::kBool:
      return !value.as_bool();
    case JsonValue::Kind::kString:
      return value.as_string().empty();
    case JsonValue::Kind::kArray:
      return value.as_array().empty() || (key == "layer_types" && is_full_attention_list(value));
    case JsonValue::Kind::kObject:
      return value.as_object().empty();
    case JsonValue::Kind::kNumber:
      break;
  }
  // The switch beside these two keys turns them off.
  const JsonValue* use_window = config.find("use_sliding_window");
  const bool is_off = use_window != nullptr && use_window->is_bool() && !use_window->as_bool();
  if (is_off && (key == "sliding_window" || key == "max_window_layers")) return true;
  return number_equals(value, is_factor(words_of(key)) ? 1 : 0);
}

bool speaks_of_computation(std::string_view key) {
  const std::vector<std::string> words = words_of(key);
  for (const std::string_view stem : kStems) {
    if (has_stem(words, stem)) return true;
  }
  return std::any_of(std::begin(kWords), std::end(kWords), [&](std::string_view whole) {
    return std::find(words.begin(), words.end(), whole) != words.end();
  });
}

bool is_harmless_key(std::string_view key) {
  if (std::find(std::begin(kHarmless), std::end(kHarmless), key) != std::end(kHarmless)) return true;
  for (const std::string_view end : {"_token_id", "_token_ids", "_token_index"}) {
    if (key.size() > end.size() && key.substr(key.size() - end.size()) == end) return true;
  }
  // Dropout and the choice of an attention kernel change nothing at inference.
  for (const std::string_view part : {"dropout", "pdrop", "flash_attn", "flash_attention", "sdpa"}) {
    if (key.find(part) != std::string_view::npos) return true;
  }
  return false;
}

namespace {

// The keys that the family does not read, without those that are harmless or neutral: (those that may matter,
// those whose names do not speak of computation).
std::pair<std::vector<std::string>, std::vector<std::string>> sort_unread(
    const JsonValue& config, const Family& family, const std::set<std::string>& known) {
  const std::set<std::string> consumed = family.consumed_keys();
  std::pair<std::vector<std::string>, std::vector<std::string>> unread;
  for (const auto& [key, value] : config.as_object()) {
    if (consumed.count(key) != 0 || is_harmless_key(key) || family.harmless.count(key) != 0) continue;
    const bool matters = known.count(key) != 0 || speaks_of_computation(key);
    if (matters && is_neutral_value(key, value, config)) continue;
    (matters ? unread.first : unread.second).push_back(key);
  }
  return unread;
}

}  // namespace

std::vector<std::string> refused_config_keys(const JsonValue& config, const Family& family,
                                             const std::set<std::string>& known) {
  return sort_unread(config, family, known).first;
}

std::vector<std::string> unread_config_keys(const JsonValue& config, const Family& family,
                                            const std::set<std::string>& known) {
  auto [refused, unread] = sort_unread(config, family, known);
  if (!refused.empty())
    fail(ErrorKind::kUnsupported,
         "config.json: key {} is {}, but family '{}' does not read it and it may change the computation; "
         "if it does not, list it under [harmless] in a file for --family",
         shown(refused.front()), shown(config.find(refused.front())->dump(), 60), family.name);
  return std::move(unread);
}

}  // namespace llm2mnn
