#pragma once
// Byte-pair merging in a time that is nearly linear. The runtime scans all pairs for each merge; the merges
// and their order are the same: the best pair first, the leftmost of equal ones.

#include <cstdint>
#include <queue>
#include <type_traits>
#include <vector>

#include "verify/work_budget.h"

namespace llm2mnn::verify {

/// Pairs that the runtime looks up for one text before it has needed several seconds.
inline constexpr std::uint64_t kMaxPairLookups = 100'000'000;

/// Merges neighbours in `symbols` until none is left that merges.
/// `find(left, right)` gives a pointer or an optional of something with `rank` (lower is better) and
/// `merged`.
/// @param lookups  pairs that the runtime's scans may still look up.
/// @throws Error kUnsupported when they would look up more.
template <typename Symbol, typename Find>
void merge_symbols(std::vector<Symbol>& symbols, Find find, WorkBudget& lookups) {
  constexpr std::uint32_t kNone = 0xFFFFFFFF;
  using Rank = std::remove_cvref_t<decltype(find(symbols[0], symbols[0])->rank)>;
  struct Candidate {
    Rank rank{};
    std::uint32_t at = 0;
    Symbol left, right;
    bool operator<(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : at > other.at;
    }
  };
  const auto size = static_cast<std::uint32_t>(symbols.size());
  if (size < 2) return;
  std::vector<std::uint32_t> next(size), previous(size);
  std::vector<bool> gone(size, false);
  std::priority_queue<Candidate> queue;
  const auto consider = [&](std::uint32_t at) {
    if (at == kNone || next[at] == kNone) return;
    if (const auto merge = find(symbols[at], symbols[next[at]]))
      queue.push({merge->rank, at, symbols[at], symbols[next[at]]});
  };
  for (std::uint32_t i = 0; i < size; ++i) {
    next[i] = i + 1 < size ? i + 1 : kNone;
    previous[i] = i > 0 ? i - 1 : kNone;
  }
  for (std::uint32_t i = 0; i < size; ++i)
    consider(i);
  std::uint64_t alive = size;
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    const std::uint32_t at = best.at;
    if (gone[at] || next[at] == kNone || symbols[at] != best.left || symbols[next[at]] != best.right)
      continue;
    lookups.spend(alive--);
    const auto merge = find(best.left, best.right);
    symbols[at] = merge->merged;
    gone[next[at]] = true;
    next[at] = next[next[at]];
    if (next[at] != kNone) previous[next[at]] = at;
    consider(at);
    consider(previous[at]);
  }
  std::size_t kept = 0;
  for (std::uint32_t i = 0; i < size; ++i)
    if (!gone[i]) symbols[kept++] = symbols[i];
  symbols.resize(kept);
}

}  // namespace llm2mnn::verify
