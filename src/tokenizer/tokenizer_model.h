#pragma once
// A tokenizer as a neutral description: what every source (tokenizer.json today) is read into and every
// writer (tokenizer.mtok, tokenizer.txt) reads from. The words are those of Hugging Face's `tokenizers`.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/piece_table.h"

namespace llm2mnn {

enum class NormalizerKind : std::uint8_t { kNfc };

enum class SplitBehavior : std::uint8_t { kIsolated, kRemoved, kMergedWithPrevious };

/// One pre-tokenizer. Fields that a kind does not name are unused.
struct PreTokenizerStep {
  enum class Kind : std::uint8_t {
    kByteLevel,  ///< add_prefix_space, use_regex; text becomes the byte alphabet
    kSplit,      ///< pattern, is_regex, invert, behavior
    kDigits,     ///< individual_digits
  };
  Kind kind = Kind::kByteLevel;
  bool add_prefix_space = false;
  bool use_regex = true;  ///< GPT-2's pattern
  std::string pattern;    ///< Oniguruma syntax when is_regex, else literal text
  bool is_regex = false;
  bool invert = false;
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool individual_digits = false;
};

/// Ids of the two parts and of their concatenation; the position in the list is the rank.
struct BpeMerge {
  std::uint32_t left = 0;
  std::uint32_t right = 0;
  std::uint32_t merged = 0;
};

/// Byte-level BPE: pieces are spelt in GPT-2's byte alphabet.
struct BpeModel {
  PieceTable pieces;
  std::vector<BpeMerge> merges;
  bool ignore_merges = false;  ///< a pre-token that is a piece is never split
};

/// Text that is cut out before anything else, matched leftmost-longest on the raw text.
struct AddedToken {
  std::uint32_t id = 0;
  std::string content;
  bool special = false;
  bool lstrip = false;
  bool rstrip = false;
  bool normalized = false;  ///< Hugging Face matches it on the normalised text
};

struct TokenizerModel {
  std::vector<NormalizerKind> normalizers;
  std::vector<PreTokenizerStep> pre_tokenizers;
  BpeModel bpe;
  std::vector<AddedToken> added;          ///< ascending by id; contents are unique
  std::vector<std::uint32_t> prefix_ids;  ///< what the post-processor puts in front of plain text
  std::vector<std::uint32_t> suffix_ids;  ///< and behind it
  std::vector<std::string> notes;         ///< one line each: what a runtime cannot express

  /// Takes the added tokens, ascending by id.
  void set_added(std::vector<AddedToken> tokens);
  /// Id of an added token or a piece; added tokens first.
  std::optional<std::uint32_t> find_id(std::string_view text) const;
  /// Null when there is none; constant time.
  const AddedToken* find_added(std::string_view text) const;
  /// 1 + the largest id.
  std::uint32_t num_ids() const;
  /// Text of `id` as stored (byte alphabet for pieces, plain for added tokens); empty for a hole. By search.
  std::string text_of(std::uint32_t id) const;

 private:
  PieceTable added_index_;  // content of each of `added`
};

/// GPT-2's byte alphabet: the code point that stands for `byte`.
char32_t byte_alphabet(std::uint8_t byte);
/// `text` (UTF-8) spelt in the byte alphabet.
std::string to_byte_alphabet(std::string_view text);
/// The bytes that `piece` spells; false when it has a character outside the alphabet.
bool from_byte_alphabet(std::string_view piece, std::string& out);
/// Whether there is a piece for every byte: then nothing is ever unknown.
bool has_whole_alphabet(const PieceTable& pieces);
/// Appends `code_point` as UTF-8.
void append_utf8(std::string& out, char32_t code_point);
/// The code point that starts at `pos` of valid UTF-8; moves `pos` behind it.
char32_t next_code_point(std::string_view text, std::size_t& pos);

}  // namespace llm2mnn
