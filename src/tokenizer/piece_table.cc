#include "tokenizer/piece_table.h"

#include <functional>

#include "base/checked.h"

namespace llm2mnn {

std::size_t PieceTable::slot_of(std::string_view text) const {
  const std::size_t mask = buckets_.size() - 1;
  std::size_t slot = std::hash<std::string_view>{}(text)&mask;
  while (buckets_[slot] != 0 && this->text(buckets_[slot] - 1) != text)
    slot = (slot + 1) & mask;
  return slot;
}

void PieceTable::grow() {
  constexpr std::size_t kFirstSize = 1024;
  const std::size_t size = buckets_.empty() ? kFirstSize : 2 * buckets_.size();
  buckets_.assign(size, 0);
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    buckets_[slot_of(text(i))] = checked_cast<std::uint32_t>(i + 1);
  }
}

bool PieceTable::insert(std::string_view text, std::uint32_t id) {
  if (2 * (entries_.size() + 1) > buckets_.size()) grow();
  const std::size_t slot = slot_of(text);
  if (buckets_[slot] != 0) return false;
  entries_.push_back(
      {checked_cast<std::uint32_t>(text_.size()), checked_cast<std::uint32_t>(text.size()), id});
  text_ += text;
  buckets_[slot] = checked_cast<std::uint32_t>(entries_.size());
  return true;
}

std::optional<std::size_t> PieceTable::find(std::string_view text) const {
  if (buckets_.empty()) return std::nullopt;
  const std::uint32_t bucket = buckets_[slot_of(text)];
  if (bucket == 0) return std::nullopt;
  return bucket - 1;
}

std::optional<std::uint32_t> PieceTable::find_id(std::string_view text) const {
  const auto index = find(text);
  if (!index) return std::nullopt;
  return id(*index);
}

}  // namespace llm2mnn
