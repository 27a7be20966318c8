#include "tokenizer/word_cache.h"

#include <algorithm>
#include <cstring>

namespace llm2mnn {

std::size_t WordCache::slot_of(std::string_view word) {
  std::uint64_t hash = word.size();
  std::size_t i = 0;
  for (; i + 8 <= word.size(); i += 8) {
    std::uint64_t part = 0;
    std::memcpy(&part, word.data() + i, 8);
    hash = (hash ^ part) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 29;
  }
  std::uint64_t part = 0;
  std::memcpy(&part, word.data() + i, word.size() - i);
  hash = (hash ^ part) * 0x9E3779B97F4A7C15u;
  hash ^= hash >> 32;
  return hash & (kNumEntries - 1);
}

bool WordCache::find(std::string_view word, std::vector<std::uint32_t>& out) const {
  if (entries_.empty() || word.size() > kMaxWordBytes || word.empty()) return false;
  const Entry& entry = entries_[slot_of(word)];
  if (entry.num_bytes != word.size() || std::memcmp(entry.text, word.data(), word.size()) != 0) return false;
  out.insert(out.end(), entry.ids, entry.ids + entry.num_ids);
  return true;
}

void WordCache::insert(std::string_view word, std::span<const std::uint32_t> ids) {
  if (word.size() > kMaxWordBytes || word.empty() || ids.size() > kMaxIds) return;
  if (entries_.empty()) entries_.resize(kNumEntries);
  Entry& entry = entries_[slot_of(word)];
  entry.num_bytes = static_cast<std::uint8_t>(word.size());
  entry.num_ids = static_cast<std::uint8_t>(ids.size());
  std::copy(word.begin(), word.end(), entry.text);
  std::copy(ids.begin(), ids.end(), entry.ids);
}

}  // namespace llm2mnn
