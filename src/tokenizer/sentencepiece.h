#pragma once
// SentencePiece model files (tokenizer.model, spiece.model): the bytes, and what the tokenizer classes of
// transformers make of them.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/checkpoint_config.h"
#include "tokenizer/piece_table.h"
#include "tokenizer/source_options.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// Largest model file that is read; the largest public ones (256,000 pieces) have 5 MB.
inline constexpr std::uint64_t kMaxSentencePieceBytes = 8u << 20;

struct SentencePieceFile {
  enum class PieceType : std::uint8_t { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };
  PieceTable pieces;             ///< valid UTF-8, not empty, unique; the id is the position in the file
  std::vector<double> scores;    ///< finite, by id
  std::vector<PieceType> types;  ///< by id
  bool is_unigram = false;       ///< otherwise BPE
  bool byte_fallback = false;
  std::uint32_t unk_id = 0;  ///< a piece
  std::string unk_piece;
  std::string charsmap;  ///< empty: text is not normalized
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
  bool treat_whitespace_as_suffix = false;
};

/// @throws Error kFormat for broken bytes, kUnsupported for word and char models. Memory: a small multiple of
/// the file's size. Source: sentencepiece_model.proto of SentencePiece 0.2.
SentencePieceFile parse_sentencepiece(std::string_view bytes);

/// What the class that `options` names makes of the file; `config` gets the class's own special tokens.
/// @throws Error kUnsupported for a class that is not known, kFormat for a vocabulary that it cannot use.
/// Source: transformers 4.57, convert_slow_tokenizer.py.
TokenizerModel build_sentencepiece(const SentencePieceFile& file, const SourceOptions& options,
                                   TokenizerConfig& config);

}  // namespace llm2mnn
