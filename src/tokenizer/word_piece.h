#pragma once
// WordPiece and WordLevel: words by lookup.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// Appends the ids of `word`: the longest piece first, then the longest continuation; the unknown token when
/// a rest has none or the word has too many characters.
/// @param longest  bytes of the longest piece: nothing longer is looked up.
/// @throws Error kUnsupported when the unknown token is needed and no piece.
void encode_word_piece(const PieceTable& pieces, const WordPieceModel& model, std::size_t longest,
                       std::string_view word, std::vector<std::uint32_t>& out);

/// Appends the id of `word` or of the unknown token.
/// @throws Error kUnsupported when the unknown token is needed and no piece.
void encode_word_level(const PieceTable& pieces, const WordLevelModel& model, std::string_view word,
                       std::vector<std::uint32_t>& out);

}  // namespace llm2mnn
