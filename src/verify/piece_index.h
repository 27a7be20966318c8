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
    if (slots_.size() < count * 2) rehash(count * 2);
  }

  /// The first number given to a text stays. @returns false when the text was there already.
  bool add(std::string_view text, std::uint32_t value) {
    if (slots_.size() < (entries_.size() + 1) * 2) rehash((entries_.size() + 1) * 4);
    const std::size_t slot = slot_of(text);
    if (slots_[slot] != 0) return false;
    entries_.push_back({text, value});
    slots_[slot] = static_cast<std::uint32_t>(entries_.size());
    return true;
  }

  std::int64_t find(std::string_view text) const {
    if (slots_.empty()) return kAbsent;
    const std::uint32_t entry = slots_[slot_of(text)];
    return entry == 0 ? kAbsent : std::int64_t{entries_[entry - 1].value};
  }

 private:
  struct Entry {
    std::string_view text;
    std::uint32_t value = 0;
  };

  std::size_t slot_of(std::string_view text) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t slot = std::hash<std::string_view>{}(text)&mask;
    while (slots_[slot] != 0 && entries_[slots_[slot] - 1].text != text)
      slot = (slot + 1) & mask;
    return slot;
  }

  void rehash(std::size_t least) {
    std::size_t size = 16;
    while (size < least)
      size *= 2;
    slots_.assign(size, 0);
    for (std::size_t i = 0; i < entries_.size(); ++i)
      slots_[slot_of(entries_[i].text)] = static_cast<std::uint32_t>(i + 1);
  }

  std::vector<Entry> entries_;
  std::vector<std::uint32_t> slots_;  ///< 1 + number of the entry; a power of two of them
};

}  // namespace llm2mnn::verify
