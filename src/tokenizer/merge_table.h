#pragma once
// The merges of a BPE vocabulary by their two parts.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/checked.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// Immutable.
class MergeTable {
 public:
  struct Merge {
    std::uint64_t parts = kEmpty;
    std::uint32_t rank = 0, merged = 0;
  };

  explicit MergeTable(const std::vector<BpeMerge>& merges)
      : slots_(std::bit_ceil(2 * merges.size() + 2)), mask_(slots_.size() - 1) {
    for (std::size_t rank = 0; rank < merges.size(); ++rank) {
      const BpeMerge& merge = merges[rank];
      const std::uint64_t parts = parts_of(merge.left, merge.right);
      slots_[slot_of(parts)] = {parts, checked_cast<std::uint32_t>(rank),
                                merge.merged};  // the later of two twins counts
    }
  }

  /// Null when the two are not merged.
  const Merge* find(std::uint32_t left, std::uint32_t right) const {
    const Merge& merge = slots_[slot_of(parts_of(left, right))];
    return merge.parts == kEmpty ? nullptr : &merge;
  }

 private:
  static constexpr std::uint64_t kEmpty = ~std::uint64_t{0};

  static std::uint64_t parts_of(std::uint32_t left, std::uint32_t right) {
    return (std::uint64_t{left} << 32) | right;
  }
  std::size_t slot_of(std::uint64_t parts) const {
    std::uint64_t hash = parts * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 32;
    std::size_t slot = hash & mask_;
    while (slots_[slot].parts != parts && slots_[slot].parts != kEmpty)
      slot = (slot + 1) & mask_;
    return slot;
  }

  std::vector<Merge> slots_;  // open addressing; the size is a power of two
  std::size_t mask_;
};

}  // namespace llm2mnn
