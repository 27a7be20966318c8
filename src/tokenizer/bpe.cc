#include "tokenizer/bpe.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/checked.h"

namespace llm2mnn {

std::vector<RankedMerge> sorted_merges(const BpeModel& bpe) {
  // By the left piece first, in one pass: half a million merges in no order take long to compare.
  std::uint32_t num_lefts = 0;
  for (const BpeMerge& m : bpe.merges)
    num_lefts = std::max(num_lefts, m.left + 1);
  std::vector<std::uint32_t> begins(std::size_t{num_lefts} + 1, 0);
  for (const BpeMerge& m : bpe.merges)
    ++begins[m.left + 1];
  std::partial_sum(begins.begin(), begins.end(), begins.begin());
  std::vector<RankedMerge> merges(bpe.merges.size());
  std::vector<std::uint32_t> next = begins;
  for (std::size_t rank = 0; rank < bpe.merges.size(); ++rank) {
    const BpeMerge& m = bpe.merges[rank];
    merges[next[m.left]++] = {m.left, m.right, m.merged, checked_cast<std::uint32_t>(rank)};
  }
  for (std::uint32_t left = 0; left < num_lefts; ++left) {
    std::sort(merges.begin() + begins[left], merges.begin() + begins[left + 1],
              [](const RankedMerge& x, const RankedMerge& y) {
                return std::pair(x.right, y.rank) < std::pair(y.right, x.rank);
              });
  }
  const auto same = [](const RankedMerge& a, const RankedMerge& b) {
    return a.left == b.left && a.right == b.right;
  };
  merges.erase(std::unique(merges.begin(), merges.end(), same), merges.end());
  return merges;
}

}  // namespace llm2mnn
