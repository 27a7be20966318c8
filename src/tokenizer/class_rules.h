#pragma once
// What the fast tokenizer classes of transformers change in a tokenizer.json when they load it. Source:
// transformers 4.57.

#include <array>
#include <cstdint>
#include <string_view>

#include "tokenizer/checkpoint_config.h"
#include "tokenizer/tokenizer_json.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// What becomes of the `add_prefix_space` of ByteLevel pre-tokenizers.
enum class PrefixSpaceRule : std::uint8_t {
  kFalse,     ///< one that is no part of a Sequence takes the configured value, false by default
  kFalseAll,  ///< as kFalse, and a configured true reaches those in a Sequence
  kKept,      ///< the document's, unless there is a configured value
};

/// Named tokens of plain text that the class makes objects with flags of.
enum class NamedObjects : std::uint8_t {
  kNone,
  kPlain,       ///< bos, eos, unk and pad, without flags
  kLstripMask,  ///< the mask token, with lstrip
};

struct ClassRule {
  std::string_view name;                 ///< without "Fast"
  bool rebuilds_post_processor = false;  ///< from add_bos_token and add_eos_token
  bool adds_bos = false;                 ///< add_bos_token by default
  bool sets_bert_normalizer = false;     ///< from do_lower_case, strip_accents, tokenize_chinese_chars
  PrefixSpaceRule prefix_space = PrefixSpaceRule::kFalse;
  /// By role, for keys that the files do not have.
  std::array<const char*, kNumTokenRoles> tokens{};
  NamedObjects objects = NamedObjects::kNone;
};

/// The rule of `tokenizer_class`, with or without "Fast"; one that only has kFalse for other classes.
const ClassRule& class_rule(std::string_view tokenizer_class);

/// Gives `config` the named tokens of its class where the files do not have the key.
void apply_class_defaults(TokenizerConfig& config);

/// Changes `model`, whose vocabulary and added tokens are complete, as the class does.
/// @throws Error kFormat when a token that the class puts around a text is not in the vocabulary.
void apply_class_rule(const TokenizerJson& document, const TokenizerConfig& config, TokenizerModel& model);

}  // namespace llm2mnn
