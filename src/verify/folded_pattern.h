#pragma once
// The runtime's small pattern engine: bytes of folded text, greedy with backtracking.

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "verify/work_budget.h"

namespace llm2mnn::verify {

using ByteClass = std::bitset<256>;

struct PatternNode;
using PatternBranch = std::vector<PatternNode>;

/// One atom of a pattern and how often it repeats.
struct PatternNode {
  enum class Kind : std::uint8_t { kClass, kGroup, kNotAhead };
  Kind kind = Kind::kClass;
  ByteClass bytes;
  std::vector<PatternBranch> branches;
  int least = 1;
  int most = 1;  ///< -1: no limit
};

class FoldedPattern {
 public:
  /// @throws Error kFormat for a bracket without its end, a text behind an unopened `)`, a number that is no
  /// int, brackets too deep, too many terms behind each other.
  explicit FoldedPattern(std::string_view pattern);

  /// No alternative is left: every one had something that the engine does not know.
  bool empty() const { return branches_.empty(); }
  /// Positions in `folded` of the matches that are not empty.
  std::vector<std::pair<std::size_t, std::size_t>> matches(std::string_view folded, WorkBudget& budget) const;

 private:
  std::vector<PatternBranch> branches_;
};

}  // namespace llm2mnn::verify
