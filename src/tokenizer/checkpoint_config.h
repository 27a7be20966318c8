#pragma once
// The small files beside tokenizer.json: tokenizer_config.json, special_tokens_map.json,
// generation_config.json and the chat template's.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

struct TokenizerConfig {
  std::string tokenizer_class;
  std::string bos_token, eos_token;         ///< empty when there is none
  std::vector<std::string> special_tokens;  ///< every named one (bos, eos, unk, pad, additional ...), unique
  std::vector<AddedToken> added_tokens;     ///< `added_tokens_decoder`, in the file's order
  std::optional<bool> add_bos_token, add_eos_token;
  std::optional<bool> add_prefix_space, do_lower_case, strip_accents, tokenize_chinese_chars;
  bool has_bos_key = false, has_eos_key = false;  ///< named, if only as null: the class's own does not count
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

/// Reads what there is of these files in `dir`; all of them may be absent.
/// @throws Error kFormat for a broken one, with the file's name.
TokenizerConfig load_tokenizer_config(const std::filesystem::path& dir);

/// The text of a template's file, of at most 1 MiB. @throws Error kFormat when it is no UTF-8, kIo.
std::string read_chat_template(const std::filesystem::path& file);

/// `eos_token_id` of the generation_config.json in `dir`; empty when there is none. Errors as above.
std::vector<std::int64_t> load_generation_eos(const std::filesystem::path& dir);

}  // namespace llm2mnn
