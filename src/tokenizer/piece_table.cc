#include "tokenizer/piece_table.h"

#include <functional>
#include <utility>

#include "base/checked.h"

namespace llm2mnn {

std::uint32_t PieceTable::hash_of(std::string_view text) {
  const std::uint64_t hash = std::hash<std::string_view>{}(text);
  return static_cast<std::uint32_t>(hash ^ (hash >> 32));
}

std::size_t PieceTable::slot_of(std::string_view text, std::uint32_t hash) const {
  const std::size_t mask = buckets_.size() - 1;
  std::size_t slot = hash & mask;
  for (;; slot = (slot + 1) & mask) {
    const Bucket& bucket = buckets_[slot];
    if (bucket.index_plus_one == 0) return slot;
    if (bucket.hash == hash && this->text(bucket.index_plus_one - 1) == text) return slot;
  }
}

void PieceTable::grow() {
  constexpr std::size_t kFirstSize = 64;
  const std::vector<Bucket> old = std::move(buckets_);
  buckets_.assign(old.empty() ? kFirstSize : 2 * old.size(), Bucket{0, 0});
  const std::size_t mask = buckets_.size() - 1;
  for (const Bucket& bucket : old) {
    if (bucket.index_plus_one == 0) continue;
    std::size_t slot = bucket.hash & mask;
    while (buckets_[slot].index_plus_one != 0)
      slot = (slot + 1) & mask;
    buckets_[slot] = bucket;
  }
}

bool PieceTable::insert(std::string_view text, std::uint32_t id) {
  if (2 * (entries_.size() + 1) > buckets_.size()) grow();
  const std::uint32_t hash = hash_of(text);
  const std::size_t slot = slot_of(text, hash);
  if (buckets_[slot].index_plus_one != 0) return false;
  entries_.push_back(
      {checked_cast<std::uint32_t>(text_.size()), checked_cast<std::uint32_t>(text.size()), id});
  text_ += text;
  buckets_[slot] = {hash, checked_cast<std::uint32_t>(entries_.size())};
  return true;
}

std::optional<std::size_t> PieceTable::find(std::string_view text) const {
  if (buckets_.empty()) return std::nullopt;
  const std::uint32_t index_plus_one = buckets_[slot_of(text, hash_of(text))].index_plus_one;
  if (index_plus_one == 0) return std::nullopt;
  return index_plus_one - 1;
}

std::uint32_t PieceTable::prefetch(std::string_view text) const {
  const std::uint32_t hash = hash_of(text);
  if (!buckets_.empty()) __builtin_prefetch(&buckets_[hash & (buckets_.size() - 1)]);
  return hash;
}

std::optional<std::uint32_t> PieceTable::find_id(std::string_view text, std::uint32_t prefetched) const {
  if (buckets_.empty()) return std::nullopt;
  const std::uint32_t index_plus_one = buckets_[slot_of(text, prefetched)].index_plus_one;
  if (index_plus_one == 0) return std::nullopt;
  return id(index_plus_one - 1);
}

std::optional<std::uint32_t> PieceTable::find_id(std::string_view text) const {
  const auto index = find(text);
  if (!index) return std::nullopt;
  return id(*index);
}

}  // namespace llm2mnn
