#pragma once
// tokenizer.mtok as a description. All texts point into the file's bytes.

#include <cstdint>
#include <string_view>
#include <vector>

#include "verify/piece_index.h"
#include "verify/section_reader.h"

namespace llm2mnn::verify {

struct MtokReplacement {
  char32_t code = 0;
  std::string_view text;
};

struct MtokNormalizer {
  enum class Kind : std::uint8_t { kNone, kOldNfkc, kPrepend, kReplace, kSequence, kBert, kTable, kStrip };
  Kind kind = Kind::kNone;
  std::string_view pattern, content;
  bool clean = false, chinese = false, strip_accents = false, lower = false;
  bool left = false, right = false;
  std::vector<MtokReplacement> table;  ///< ascending code points
  std::vector<MtokNormalizer> steps;
};

struct MtokPreTokenizer {
  enum class Kind : std::uint8_t { kNone, kByteLevel, kDigits, kMetaspace, kSplit, kBert, kSequence };
  enum class Behavior : std::uint8_t { kIsolated, kRemoved, kMergedWithPrevious };
  Kind kind = Kind::kNone;
  bool flag = false;  ///< use_regex, individual or add_prefix_space
  std::string_view text;
  bool invert = false;
  Behavior behavior = Behavior::kIsolated;
  std::vector<MtokPreTokenizer> steps;
};

struct MtokPiece {
  std::string_view text;
  std::uint32_t id = 0;
};

struct MtokMerge {
  std::uint32_t left = 0, right = 0, rank = 0;
  std::uint32_t merged = 0;  ///< the piece that the two texts make
};

struct MtokModel {
  enum class Kind : std::uint8_t { kBpe, kWordPiece, kUnigram };
  Kind kind = Kind::kBpe;
  std::vector<MtokPiece> pieces;             ///< ascending texts
  std::vector<std::string_view> id_to_text;  ///< as many as pieces; empty for an id without one
  PieceIndex index;                          ///< text to id
  bool byte_level = false;
  std::vector<MtokMerge> merges;  ///< ascending (left, right)
  std::string_view unk_text, subword_prefix;
  std::uint32_t max_bytes = 0;
  std::uint32_t unk_id = 0;
  bool byte_fallback = false;
  std::vector<double> scores;  ///< by id
};

/// What of the decoder matters while text streams.
struct MtokDecoder {
  bool byte_level = false;
  bool word_piece = false;
  std::string_view word_piece_prefix;
};

struct MtokAddedToken {
  std::uint32_t id = 0;
  bool lstrip = false, rstrip = false;
  std::string_view content;
};

struct MtokFile {
  MtokNormalizer normalizer;
  MtokPreTokenizer pre_tokenizer;
  MtokModel model;
  MtokDecoder decoder;
  std::vector<MtokAddedToken> added_tokens;
  std::string_view chat_template, eos_token, bos_token;
};

/// Everything behind the header. What the runtime reads but encoding and streaming do not depend on is
/// checked, not kept.
/// @throws Error kFormat with section and byte offset.
MtokFile read_mtok(SectionReader& reader);

}  // namespace llm2mnn::verify
