#pragma once
// A tokenizer as a neutral description: what every source (tokenizer.json, SentencePiece, tiktoken, vocab
// files) is read into, and what the encoder and every writer (tokenizer.mtok, tokenizer.txt) read from. The
// words and the meaning of each part are those of Hugging Face's `tokenizers` 0.22; nested Sequences are
// flattened.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/utf8.h"
#include "tokenizer/piece_table.h"

namespace llm2mnn {

/// What a Replace or a Split looks for.
struct TextPattern {
  std::string text;  ///< Oniguruma syntax when is_regex, else literal text
  bool is_regex = false;
};

/// One step of the normalizer. Fields that a kind does not name are unused.
struct NormalizerStep {
  enum class Kind : std::uint8_t {
    kNfc,
    kNfd,
    kNfkc,
    kNfkd,
    kLowercase,
    kStripAccents,  ///< drops the marks (Mn)
    kStrip,         ///< strip_left, strip_right
    kReplace,       ///< pattern, content
    kPrepend,       ///< content, in front of text that is not empty
    kBert,          ///< clean_text, handle_chinese_chars, strip_accents, lowercase
    kNmt,
    kPrecompiled,  ///< charsmap
    kByteLevel,    ///< text becomes the byte alphabet
  };
  Kind kind = Kind::kNfc;
  TextPattern pattern;
  std::string content;
  bool strip_left = false, strip_right = false;
  bool clean_text = true, handle_chinese_chars = true, lowercase = true;
  std::optional<bool> strip_accents;  ///< as `lowercase` when absent
  std::string charsmap;               ///< bytes of SentencePiece's precompiled_charsmap (base64 undone)
};

enum class SplitBehavior : std::uint8_t {
  kIsolated,
  kRemoved,
  kMergedWithPrevious,
  kMergedWithNext,
  kContiguous
};

enum class PrependScheme : std::uint8_t { kAlways, kFirst, kNever };

/// One pre-tokenizer. Fields that a kind does not name are unused.
struct PreTokenizerStep {
  enum class Kind : std::uint8_t {
    kByteLevel,  ///< add_prefix_space, use_regex; text becomes the byte alphabet
    kSplit,      ///< pattern, invert, behavior
    kDigits,     ///< individual_digits
    kMetaspace,  ///< content (the replacement), prepend_scheme, split
    kBert,
    kWhitespace,          ///< `\w+|[^\w\s]+`, the rest removed
    kWhitespaceSplit,     ///< whitespace removed
    kPunctuation,         ///< behavior
    kCharDelimiterSplit,  ///< content (one character), removed
    kUnicodeScripts,
    kFixedLength,  ///< length
  };
  Kind kind = Kind::kByteLevel;
  bool add_prefix_space = false;
  bool use_regex = true;  ///< GPT-2's pattern
  TextPattern pattern;
  bool invert = false;
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool individual_digits = false;
  std::string content;
  PrependScheme prepend_scheme = PrependScheme::kAlways;
  bool split = true;
  std::uint32_t length = 5;  ///< characters
};

/// One step of the decoder. Fields that a kind does not name are unused.
struct DecoderStep {
  enum class Kind : std::uint8_t {
    kByteLevel,
    kBpe,        ///< content (the suffix)
    kWordPiece,  ///< content (the prefix), cleanup
    kMetaspace,  ///< content (the replacement), prepend_scheme
    kCtc,        ///< content (pad_token), word_delimiter, cleanup
    kReplace,    ///< pattern, content
    kFuse,
    kStrip,  ///< content (one character), start, stop
    kByteFallback,
  };
  Kind kind = Kind::kByteLevel;
  TextPattern pattern;
  std::string content;
  std::string word_delimiter;
  bool cleanup = true;
  PrependScheme prepend_scheme = PrependScheme::kAlways;
  std::uint32_t start = 0, stop = 0;
};

/// Ids of the two parts and of their concatenation; the position in the list is the rank.
struct BpeMerge {
  std::uint32_t left = 0;
  std::uint32_t right = 0;
  std::uint32_t merged = 0;
};

struct BpeModel {
  std::vector<BpeMerge> merges;
  std::string unk_token;  ///< a piece, or empty: unknown characters vanish
  /// Stated in place of it and no piece: an unknown character is an error.
  std::optional<std::string> missing_unk_token;
  bool fuse_unk = false;
  bool byte_fallback = false;  ///< `<0xHH>` pieces for the bytes of an unknown character
  bool ignore_merges = false;  ///< a pre-token that is a piece is never split
  std::string continuing_subword_prefix, end_of_word_suffix;
};

struct UnigramModel {
  std::vector<double> scores;           ///< by index of the piece table
  std::optional<std::uint32_t> unk_id;  ///< an id; absent: an unknown character is an error
  bool byte_fallback = false;
};

struct WordPieceModel {
  std::string unk_token;
  std::string continuing_subword_prefix = "##";
  std::uint32_t max_input_chars_per_word = 100;
};

struct WordLevelModel {
  std::string unk_token;
};

/// Text that is cut out before anything else, leftmost-longest: those with `normalized` false on the raw
/// text, then the others on the normalized text between them.
struct AddedToken {
  std::uint32_t id = 0;
  std::string content;
  bool special = false;
  bool lstrip = false;
  bool rstrip = false;
  bool normalized = false;   ///< Hugging Face matches it on the normalized text
  bool raw_too = false;      ///< with `normalized`: on the raw text before that
  bool single_word = false;  ///< only between characters that are no word characters
};

struct TokenizerModel {
  std::vector<NormalizerStep> normalizers;
  std::vector<PreTokenizerStep> pre_tokenizers;
  PieceTable pieces;  ///< the vocabulary of `model`
  std::variant<BpeModel, UnigramModel, WordPieceModel, WordLevelModel> model;
  std::vector<DecoderStep> decoders;      ///< empty: pieces are joined by blanks, as `tokenizers` does
  std::vector<AddedToken> added;          ///< ascending by id; contents are unique
  std::vector<std::uint32_t> prefix_ids;  ///< what the post-processor puts in front of plain text
  std::vector<std::uint32_t> suffix_ids;  ///< and behind it
  std::vector<std::string> notes;         ///< one line each about the source, for the summary

  /// Null when the model is another kind.
  const BpeModel* bpe() const { return std::get_if<BpeModel>(&model); }
  /// Takes the added tokens, ascending by id.
  void set_added(std::vector<AddedToken> tokens);
  /// Id of an added token or a piece; added tokens first.
  std::optional<std::uint32_t> find_id(std::string_view text) const;
  /// Null when there is none; constant time.
  const AddedToken* find_added(std::string_view text) const;
  /// 1 + the largest id.
  std::uint32_t num_ids() const;
  /// Text of `id` as stored (byte alphabet for byte-level pieces, plain for added tokens); empty for a hole.
  /// By search.
  std::string text_of(std::uint32_t id) const;

 private:
  PieceTable added_index_;  // content of each of `added`
};

/// Whether the pieces are spelt in GPT-2's byte alphabet: a ByteLevel pre-tokenizer or normalizer.
bool is_byte_level(const TokenizerModel& model);
/// "byte-level BPE", "BPE", "Unigram", "WordPiece" or "WordLevel".
std::string kind_name(const TokenizerModel& model);

/// U+2581, SentencePiece's blank.
inline constexpr std::string_view kMetaspace = "\xE2\x96\x81";

/// `<0xHH>`, SentencePiece's name of `byte`.
std::string byte_piece(unsigned byte);
/// The byte that `<0xHH>` names, in digits of either case.
std::optional<std::uint8_t> byte_of_piece(std::string_view piece);

/// @throws Error kFormat when two pieces have one id; `where` stands in front.
void check_unique_ids(const PieceTable& pieces, std::string_view where);

/// GPT-2's byte alphabet: the code point that stands for `byte`.
char32_t byte_alphabet(std::uint8_t byte);
/// `text` (UTF-8) spelt in the byte alphabet.
std::string to_byte_alphabet(std::string_view text);
/// The bytes that `piece` spells; false when it has a character outside the alphabet.
bool from_byte_alphabet(std::string_view piece, std::string& out);
/// Whether there is a piece for every byte: then nothing is ever unknown.
bool has_whole_alphabet(const PieceTable& pieces);

}  // namespace llm2mnn
