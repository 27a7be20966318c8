#pragma once
// The small files beside a vocabulary: tokenizer_config.json, special_tokens_map.json, added_tokens.json,
// generation_config.json and the chat template's.

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// Roles of named special tokens, in the order in which transformers adds them.
enum class TokenRole : std::uint8_t { kBos, kEos, kUnk, kSep, kPad, kCls, kMask };
inline constexpr std::size_t kNumTokenRoles = 7;
inline constexpr std::array<const char*, kNumTokenRoles> kTokenRoleKeys = {
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};

/// A named token: plain text or an object with flags of its own.
struct NamedToken {
  std::string text;  ///< empty: null
  std::optional<AddedToken> object;
  bool is_default = false;  ///< the class's own: no file names it
};

struct TokenizerConfig {
  std::string tokenizer_class;
  std::string bos_token, eos_token;         ///< empty when there is none
  std::vector<std::string> special_tokens;  ///< every named one (bos, eos, unk, pad, additional ...), unique
  /// `added_tokens_decoder` or, where there is none, added_tokens.json; ascending by id.
  std::vector<AddedToken> added_tokens;
  bool has_added_tokens_decoder = false;
  std::optional<bool> add_bos_token, add_eos_token;
  std::optional<bool> add_prefix_space, do_lower_case, strip_accents, tokenize_chinese_chars, legacy;
  bool has_prefix_space_key = false;  ///< if only as null
  /// By role; absent: no key, so that the class's own counts.
  std::array<std::optional<NamedToken>, kNumTokenRoles> role_tokens;
  std::vector<NamedToken> additional_tokens;  ///< `additional_special_tokens`
  bool clean_up_tokenization_spaces = false;
  std::string chat_template;  ///< the default one; empty when the checkpoint has none
  /// All templates by name, `default` included, in the checkpoint's order.
  std::vector<std::pair<std::string, std::string>> chat_templates;
  /// "bos_token", "eos_token" ... with their texts, as transformers' `special_tokens_map` has them: what a
  /// template sees.
  std::vector<std::pair<std::string, std::string>> named_tokens;
  std::vector<std::int64_t> generation_eos;  ///< of generation_config.json
  std::vector<std::string> notes;
};

/// Makes bos_token, eos_token, special_tokens and named_tokens of role_tokens and additional_tokens.
void collect_special_tokens(TokenizerConfig& config);

/// Reads what there is of these files in `dir`; all of them may be absent. As in transformers,
/// special_tokens_map.json and added_tokens.json count only without `added_tokens_decoder`.
/// @throws Error kFormat for a broken one, with the file's name.
TokenizerConfig load_tokenizer_config(const std::filesystem::path& dir);

/// The text of a template's file, of at most 1 MiB. @throws Error kFormat when it is no UTF-8, kIo.
std::string read_chat_template(const std::filesystem::path& file);

/// `eos_token_id` of the generation_config.json in `dir`; empty when there is none. Errors as above.
std::vector<std::int64_t> load_generation_eos(const std::filesystem::path& dir);

}  // namespace llm2mnn
