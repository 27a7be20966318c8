#pragma once
// Texts to numbers without a heap node per entry. The texts belong to the caller and must outlive it.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace llm2mnn::verify {

class PieceIndex {
 public:
  static constexpr std::int64_t kAbsent = -1;

  /// Room for `count` entries; adding more than that grows the table.
  void reserve(std::size_t count) {
    entries_.reserve(count);
    if (slots_.size() < slots_for(count)) rehash(slots_for(count));
  }

  /// The first number given to a text stays. @returns false when the text was there already.
  bool add(std::string_view text, std::uint32_t value) {
    if (slots_.size() < slots_for(entries_.size() + 1)) rehash(2 * slots_for(entries_.size() + 1));
    const std::uint32_t hash = hash_of(text);
    Slot& slot = slots_[slot_of(text, hash)];
    if (slot.entry != 0) return false;
    entries_.push_back({text, value});
    slot = {hash, static_cast<std::uint32_t>(entries_.size())};
    return true;
  }

  std::int64_t find(std::string_view text) const { return find(text, hash_of(text)); }

  /// The same in two steps, for many texts: the first one has what the second one looks at brought near.
  std::uint32_t prefetch(std::string_view text) const {
    const std::uint32_t hash = hash_of(text);
    if (!slots_.empty()) __builtin_prefetch(&slots_[hash & (slots_.size() - 1)]);
    return hash;
  }
  std::int64_t find(std::string_view text, std::uint32_t prefetched) const {
    if (slots_.empty()) return kAbsent;
    const std::uint32_t entry = slots_[slot_of(text, prefetched)].entry;
    return entry == 0 ? kAbsent : std::int64_t{entries_[entry - 1].value};
  }

 private:
  struct Entry {
    std::string_view text;
    std::uint32_t value = 0;
  };

  /// The hash stands beside the number so that most other texts are passed over without a look at them.
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t entry = 0;  ///< 1 + its number; 0: empty
  };

  /// Slots that `count` entries need at least.
  static std::size_t slots_for(std::size_t count) { return count + count / 2; }

  static std::uint32_t hash_of(std::string_view text) {
    const std::uint64_t hash = std::hash<std::string_view>{}(text);
    return static_cast<std::uint32_t>(hash ^ (hash >> 32));
  }

  std::size_t slot_of(std::string_view text, std::uint32_t hash) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t slot = hash & mask;
    while (slots_[slot].entry != 0 &&
           (slots_[slot].hash != hash || entries_[slots_[slot].entry - 1].text != text))
      slot = (slot + 1) & mask;
    return slot;
  }

  void rehash(std::size_t least) {
    std::size_t size = 16;
    while (size < least)
      size *= 2;
    slots_.assign(size, {});
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      const std::uint32_t hash = hash_of(entries_[i].text);
      slots_[slot_of(entries_[i].text, hash)] = {hash, static_cast<std::uint32_t>(i + 1)};
    }
  }

  std::vector<Entry> entries_;
  std::vector<Slot> slots_;  ///< a power of two of them
};

}  // namespace llm2mnn::verify
