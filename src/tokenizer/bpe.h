#pragma once
// Byte-pair encoding of single words, and the merges in the order that writers need.

#include <cstdint>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

struct RankedMerge {
  std::uint32_t left, right, merged, rank;
};

/// Merges ascending by (left, right). Of two with the same parts the later counts, as in `tokenizers`.
std::vector<RankedMerge> sorted_merges(const BpeModel& bpe);

/// Ids of `word`, spelt in the byte alphabet, by merges alone (no `ignore_merges`). Characters that are no
/// piece vanish. Time is quadratic in the length of the word.
/// @param merges  `sorted_merges` of the model.
std::vector<std::uint32_t> encode_word(const PieceTable& pieces, const std::vector<RankedMerge>& merges,
                                       std::string_view word);

/// Whole-word pieces that BPE merges cannot reach and that are safe to match as added tokens: a blank and
/// letters of which one is in U+1EA0..U+1EF9, that is a Vietnamese syllable, which is a word of its own
/// wherever it occurs. Only for models with `ignore_merges`; ascending by id.
/// @param merges  `sorted_merges` of the model.
std::vector<AddedToken> unreachable_syllables(const TokenizerModel& model,
                                              const std::vector<RankedMerge>& merges);

}  // namespace llm2mnn
