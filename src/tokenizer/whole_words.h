#pragma once
// `ignore_merges` for a runtime that has none: words that are pieces, but that no merges make.

#include <cstdint>
#include <string>
#include <vector>

#include "tokenizer/bpe.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// How the runtime finds such words. Each pre-token, in the byte alphabet by then, gets `marker` in front;
/// the patterns remove it, or parts of it, except where the rest is such a word and nothing else. Merges that
/// come before all others take the marker and the word together to `entries` that have the word's id.
///     "даже"   -> marker даже -> merges -> the piece
///     "дажеб"  -> marker дажеб -> a pattern removes the marker -> the usual merges
struct WholeWordPlan {
  struct Entry {
    std::string text;  ///< starts with a control character: sorts before every piece
    std::uint32_t id;  ///< of the word, or beyond the model's ids: never produced
  };
  std::string marker;         ///< empty when there is no such word
  std::string quick_pattern;  ///< by the classes of characters: leaves the exact one little to do
  std::string pattern;        ///< exact, and slow
  std::vector<Entry> entries;
  std::vector<RankedMerge> merges;  ///< ranks from 0 on; all others come behind
  bool complete = true;             ///< false when words are left out
};

/// @param num_ids  ids from here on are free.
/// Empty for a model without `ignore_merges` or whose pre-tokenizer does not end with ByteLevel.
WholeWordPlan plan_whole_words(const TokenizerModel& model, std::uint32_t num_ids);

}  // namespace llm2mnn
