#pragma once
// The strings of a vocabulary in one block of memory, found by text or by index. A vocabulary has 150,000
// entries of a few bytes each: a node and a heap block per entry would cost many times their text.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llm2mnn {

/// Unique strings, each with an id. Indices count insertions from 0; ids are the caller's.
class PieceTable {
 public:
  /// Adds `text`; false (and nothing changes) when it is there already.
  bool insert(std::string_view text, std::uint32_t id);
  /// Index of `text`.
  std::optional<std::size_t> find(std::string_view text) const;
  /// Id of `text`.
  std::optional<std::uint32_t> find_id(std::string_view text) const;

  /// The same in two steps, for many texts: the first one has what the second one looks at brought near.
  std::uint32_t prefetch(std::string_view text) const;
  std::optional<std::uint32_t> find_id(std::string_view text, std::uint32_t prefetched) const;

  std::size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  /// Valid until the next insert.
  std::string_view text(std::size_t index) const {
    return std::string_view(text_).substr(entries_[index].begin, entries_[index].size);
  }
  std::uint32_t id(std::size_t index) const { return entries_[index].id; }

 private:
  struct Entry {
    std::uint32_t begin;
    std::uint32_t size;
    std::uint32_t id;
  };
  /// The hash stands beside the index so that most other texts are passed over without a look at them.
  struct Bucket {
    std::uint32_t hash;
    std::uint32_t index_plus_one;  // 0 = empty
  };
  static std::uint32_t hash_of(std::string_view text);
  /// Slot of `buckets_` that holds `text`, or the empty one where it would go.
  std::size_t slot_of(std::string_view text, std::uint32_t hash) const;
  void grow();

  std::string text_;
  std::vector<Entry> entries_;
  std::vector<Bucket> buckets_;  // open addressing; the size is a power of two
};

}  // namespace llm2mnn
