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
/// @param merges  `sorted_merges` of `bpe`.
std::vector<std::uint32_t> encode_word(const BpeModel& bpe, const std::vector<RankedMerge>& merges,
                                       std::string_view word);

}  // namespace llm2mnn
