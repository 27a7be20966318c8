#pragma once
// What the files beside a vocabulary say about it: the tokenizer class, its flags, the named special tokens
// and the added tokens. Shared by every source but tokenizer.json, whose document holds all of this itself.

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/added_token_ids.h"
#include "tokenizer/checkpoint_config.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// What a tokenizer class of transformers does with its named tokens.
struct ClassTokens {
  std::array<const char*, kNumTokenRoles> text{};  ///< by role; null: none by default
  bool normalized = false;                         ///< of a token given as a plain string
  bool lstrip_mask = false;                        ///< the mask token takes the blanks in front of it
};

struct SourceOptions {
  std::string tokenizer_class;    ///< without "Fast"; empty when tokenizer_config.json does not say
  const TokenizerConfig& config;  ///< must stay

  explicit SourceOptions(const TokenizerConfig& of_checkpoint);
  /// The named token as transformers passes it on, or the class's own; absent when there is none.
  std::optional<AddedToken> named(TokenRole role, const ClassTokens& defaults) const;
  std::vector<AddedToken> additional() const;
};

/// @throws Error kUnsupported, with the list, unless the tokenizer class is one of `known`.
void require_class(const SourceOptions& options, std::span<const std::string_view> known,
                   std::string_view source);

/// Adds those that `options` lists, then the named ones. @throws Error kFormat when a listed one gets another
/// id than it states.
void put_configured(const SourceOptions& options, const ClassTokens& defaults, AddedTokenIds& added);

/// Id of `role`'s token, which `key` asks for. @throws Error kFormat when there is none.
std::uint32_t required_id(const TokenizerModel& model, const SourceOptions& options, TokenRole role,
                          const ClassTokens& defaults, std::string_view key);

/// Completes the named tokens of `config` by the class's own.
void apply_class_tokens(const ClassTokens& defaults, TokenizerConfig& config);

/// Largest vocabulary of text lines that is read; the largest public ones have 5 MB.
inline constexpr std::uint64_t kMaxVocabularyBytes = 8u << 20;

/// The lines of a text as Python's universal newlines give them.
class LineReader {
 public:
  explicit LineReader(std::string_view text) : rest_(text) {}
  /// Moves to the next line; false behind the last one. What stands behind the last line end is a line too,
  /// also when it is empty.
  bool next();
  std::string_view line() const { return line_; }
  /// Whether the line has an end.
  bool is_ended() const { return is_ended_; }
  /// From 1.
  std::size_t number() const { return number_; }

 private:
  std::string_view rest_, line_;
  bool is_ended_ = true;
  std::size_t number_ = 0;
};

/// A regular file of valid UTF-8, at most `kMaxVocabularyBytes` long; messages start with its name.
std::string read_vocabulary(const std::filesystem::path& path);

}  // namespace llm2mnn
