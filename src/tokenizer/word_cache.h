#pragma once
// Ids of words that were encoded before.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace llm2mnn {

/// A hash table of a fixed size; a new word takes the place of another one. One thread at a time.
class WordCache {
 public:
  /// Appends the ids of `word` to `out`; false when they are not known.
  bool find(std::string_view word, std::vector<std::uint32_t>& out) const;
  void insert(std::string_view word, std::span<const std::uint32_t> ids);

 private:
  static constexpr std::size_t kMaxWordBytes = 40;
  static constexpr std::size_t kMaxIds = 7;
  static constexpr std::size_t kNumEntries = std::size_t{1} << 16;

  struct Entry {
    std::uint8_t num_bytes = 0, num_ids = 0;  // no bytes: empty
    char text[kMaxWordBytes];
    std::uint32_t ids[kMaxIds];
  };
  static std::size_t slot_of(std::string_view word);

  std::vector<Entry> entries_;
};

}  // namespace llm2mnn
