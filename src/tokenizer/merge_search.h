#pragma once
// The merges of a BPE vocabulary that comes without them: every way to put a piece together from two others.
// This is how transformers builds fast tokenizers from SentencePiece and tiktoken files.

#include <vector>

#include "tokenizer/piece_table.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// @param merged  the pieces, UTF-8, cut between characters only.
/// @param scores  by index of `merged`.
/// @param halves  the texts that may be halves; its ids order the cuts of one piece.
/// Highest score first, then the longest left half, then the order of `merged`.
/// @throws Error kFormat for pieces that are too long or too many to be searched, and for a half that is not
/// in `merged`.
std::vector<BpeMerge> merges_by_score(const PieceTable& merged, const std::vector<double>& scores,
                                      const PieceTable& halves);

/// @param ranked  the pieces as bytes, in the order of their ranks; the index is the rank. Ids become those
/// of the merges. In rank order, then by the ranks of the halves. Errors as above.
std::vector<BpeMerge> merges_by_rank(const PieceTable& ranked);

}  // namespace llm2mnn
