#include "tokenizer/bpe.h"

#include <algorithm>
#include <utility>

#include "base/checked.h"

namespace llm2mnn {

namespace {

std::uint64_t key_of(std::uint32_t left, std::uint32_t right) { return (std::uint64_t{left} << 32) | right; }

}  // namespace

std::vector<RankedMerge> sorted_merges(const BpeModel& bpe) {
  std::vector<RankedMerge> merges;
  merges.reserve(bpe.merges.size());
  for (std::size_t rank = 0; rank < bpe.merges.size(); ++rank) {
    const BpeMerge& m = bpe.merges[rank];
    merges.push_back({m.left, m.right, m.merged, checked_cast<std::uint32_t>(rank)});
  }
  std::sort(merges.begin(), merges.end(), [](const RankedMerge& a, const RankedMerge& b) {
    return std::pair(key_of(a.left, a.right), b.rank) < std::pair(key_of(b.left, b.right), a.rank);
  });
  const auto same = [](const RankedMerge& a, const RankedMerge& b) {
    return a.left == b.left && a.right == b.right;
  };
  merges.erase(std::unique(merges.begin(), merges.end(), same), merges.end());
  return merges;
}

}  // namespace llm2mnn
