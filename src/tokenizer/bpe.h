#pragma once
// The merges of a BPE in the order that writers need.

#include <cstdint>
#include <vector>

#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

struct RankedMerge {
  std::uint32_t left, right, merged, rank;
};

/// Merges ascending by (left, right). Of two with the same parts the later counts, as in `tokenizers`.
std::vector<RankedMerge> sorted_merges(const BpeModel& bpe);

}  // namespace llm2mnn
