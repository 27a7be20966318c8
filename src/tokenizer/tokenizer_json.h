#pragma once
// Reads the bytes of a Hugging Face tokenizer.json. Only the shape of the document is judged here; what its
// components mean is `build_tokenizer_model`'s business.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "tokenizer/piece_table.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// Largest tokenizer.json that is read. The largest public ones (250,000 pieces, indented) are 34 MB; the
/// parser's index of a hostile document can be four times its size.
inline constexpr std::uint64_t kMaxTokenizerJsonBytes = 40u << 20;

/// The two parts of each merge, in rank order, in one block of memory.
class MergeTexts {
 public:
  void add(std::string_view left, std::string_view right);
  std::size_t size() const { return entries_.size(); }
  std::string_view left(std::size_t rank) const;
  std::string_view right(std::size_t rank) const;
  /// left + right.
  std::string_view merged(std::size_t rank) const;

 private:
  struct Entry {
    std::uint32_t begin;
    std::uint32_t left_size;
    std::uint32_t right_size;
  };
  std::string text_;
  std::vector<Entry> entries_;
};

/// tokenizer.json with its vocabulary, merges and added tokens in compact form and the rest as small trees.
struct TokenizerJson {
  JsonValue::Object components;  ///< members of the document apart from `model` and `added_tokens`
  JsonValue::Object model;       ///< members of `model` apart from `vocab` and `merges`
  bool has_model = false;
  bool has_vocab_map = false;   ///< `vocab` is an object (BPE, WordPiece, WordLevel)
  bool has_vocab_list = false;  ///< `vocab` is a list of pieces and scores (Unigram); ids are positions
  std::vector<double> scores;   ///< of a list, by id
  PieceTable vocab;             ///< unique pieces, ids below 2^31, not yet checked for duplicates
  MergeTexts merges;
  std::vector<AddedToken> added;  ///< in the file's order

  const JsonValue* component(std::string_view name) const;
  const JsonValue* model_member(std::string_view name) const;
};

/// @throws Error kFormat for what is no tokenizer.json; the message does not name the file.
TokenizerJson parse_tokenizer_json(std::string_view text);
/// The same from a file, whose name stands in front of every message.
TokenizerJson load_tokenizer_json(const std::filesystem::path& path);

/// An object of `added_tokens` or of tokenizer_config.json's `added_tokens_decoder` (which has no `id`).
/// @throws Error kFormat for wrong kinds.
AddedToken parse_added_token(const JsonValue& value);

}  // namespace llm2mnn
