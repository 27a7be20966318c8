#include "tokenizer/bpe_encoder.h"

#include <algorithm>
#include <fmt/format.h>
#include <unordered_map>

#include "base/checked.h"
#include "base/error.h"

namespace llm2mnn {

namespace {

constexpr std::uint32_t kNoRank = ~0u;
constexpr std::size_t kShortWord = 24;  // symbols; up to here a scan beats the heap

/// Order of the heap: the smallest rank on top, the leftmost of equal ones.
bool is_behind(const BpeEncoder::Scratch::Candidate& a, const BpeEncoder::Scratch::Candidate& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
}

}  // namespace

bool BpeEncoder::takes_bytes(const TokenizerModel& model, const BpeModel& bpe) {
  return bpe.continuing_subword_prefix.empty() && bpe.end_of_word_suffix.empty() &&
         has_whole_alphabet(model.pieces);
}

BpeEncoder::BpeEncoder(const TokenizerModel& model, const BpeModel& bpe, bool spells_bytes)
    : pieces_(model.pieces),
      spells_bytes_(spells_bytes),
      ignore_merges_(bpe.ignore_merges),
      fuse_unk_(bpe.fuse_unk),
      byte_fallback_(bpe.byte_fallback),
      prefix_(bpe.continuing_subword_prefix),
      suffix_(bpe.end_of_word_suffix),
      missing_unk_(bpe.missing_unk_token),
      merges_(bpe.merges) {
  if (!bpe.unk_token.empty()) {
    const auto id = pieces_.find_id(bpe.unk_token);
    has_unk_ = id.has_value();
    unk_id_ = id.value_or(0);
  }
  for (unsigned byte = 0; byte < 256; ++byte) {
    if (spells_bytes_) {
      std::string piece;
      append_utf8(piece, byte_alphabet(static_cast<std::uint8_t>(byte)));
      byte_ids_[byte] = pieces_.find_id(piece).value_or(0);
    }
    const auto fallback = pieces_.find_id(byte_piece(byte));
    has_fallback_[byte] = fallback.has_value();
    fallback_ids_[byte] = fallback.value_or(0);
  }
  if (spells_bytes_ && ignore_merges_) {
    std::string bytes;
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      if (from_byte_alphabet(pieces_.text(i), bytes)) raw_pieces_.insert(bytes, pieces_.id(i));
    }
  }
  find_stretch_ends(model, bpe);
}

/// In a vocabulary of SentencePiece a text without pre-tokenizer is one word. Merges join symbols that stand
/// side by side, so where no merge has `c` at the end of its left part and the mark at the start of its right
/// part, what stands before and behind "c mark" is encoded alone.
void BpeEncoder::find_stretch_ends(const TokenizerModel& model, const BpeModel& bpe) {
  if (spells_bytes_ || ignore_merges_ || !prefix_.empty() || !suffix_.empty() || !pieces_.find(kMetaspace))
    return;
  std::unordered_map<std::uint32_t, std::size_t> index_of;
  index_of.reserve(model.pieces.size());
  for (std::size_t i = 0; i < model.pieces.size(); ++i)
    index_of.emplace(model.pieces.id(i), i);
  for (const BpeMerge& merge : bpe.merges) {
    const auto left = index_of.find(merge.left);
    const auto right = index_of.find(merge.right);
    if (left == index_of.end() || right == index_of.end()) return;
    const std::string_view text = pieces_.text(left->second);
    if (!pieces_.text(right->second).starts_with(kMetaspace) || text.empty()) continue;
    std::size_t last = character_before(text, text.size());
    crossed_.push_back(next_code_point(text, last));
  }
  std::sort(crossed_.begin(), crossed_.end());
  crossed_.erase(std::unique(crossed_.begin(), crossed_.end()), crossed_.end());
  has_stretches_ = true;
}

std::size_t BpeEncoder::first_stretch(std::string_view word) const {
  if (!has_stretches_) return word.size();
  for (std::size_t pos = word.find(kMetaspace, 1); pos < word.size(); pos = word.find(kMetaspace, pos + 1)) {
    const std::size_t last = character_before(word, pos);
    const std::string_view character = word.substr(last, pos - last);
    if (character == kMetaspace) continue;
    std::size_t start = last;
    if (std::binary_search(crossed_.begin(), crossed_.end(), next_code_point(word, start))) continue;
    // An unknown character is spelt in bytes or is the unknown token: its symbol ends otherwise.
    if (pieces_.find(character)) return pos;
  }
  return word.size();
}

void BpeEncoder::add_unknown(std::string_view piece, std::vector<std::uint32_t>& ids,
                             bool& is_pending) const {
  if (byte_fallback_) {
    const bool whole = std::all_of(piece.begin(), piece.end(),
                                   [&](char c) { return has_fallback_[static_cast<unsigned char>(c)]; });
    if (whole) {
      for (const char c : piece)
        ids.push_back(fallback_ids_[static_cast<unsigned char>(c)]);
      return;
    }
  }
  if (missing_unk_) {
    fail(ErrorKind::kUnsupported, "no piece for {}, and the unknown token {} is not in the vocabulary",
         shown(piece), shown(*missing_unk_));
  }
  if (!has_unk_) return;
  if (is_pending && !fuse_unk_) ids.push_back(unk_id_);
  is_pending = true;
}

/// One symbol for each character. An unknown token waits for the next known character, so bytes that follow
/// it come before it, as in `tokenizers`.
void BpeEncoder::read_symbols(std::string_view word, std::vector<std::uint32_t>& ids) const {
  ids.clear();
  if (spells_bytes_) {
    for (const char c : word)
      ids.push_back(byte_ids_[static_cast<unsigned char>(c)]);
    return;
  }
  bool is_pending = false;
  std::string affixed;
  for (std::size_t pos = 0; pos < word.size();) {
    const std::size_t begin = pos;
    next_code_point(word, pos);
    std::string_view piece = word.substr(begin, pos - begin);
    const bool needs_prefix = begin != 0 && !prefix_.empty();
    const bool needs_suffix = pos == word.size() && !suffix_.empty();
    if (needs_prefix || needs_suffix) {
      affixed = (needs_prefix ? prefix_ : std::string()) + std::string(piece) + (needs_suffix ? suffix_ : "");
      piece = affixed;
    }
    if (const auto id = pieces_.find_id(piece)) {
      if (is_pending) ids.push_back(unk_id_);
      is_pending = false;
      ids.push_back(*id);
    } else {
      add_unknown(piece, ids, is_pending);
    }
  }
  if (is_pending) ids.push_back(unk_id_);
}

/// Looks for the lowest rank again after each merge.
void BpeEncoder::merge_short(Scratch& scratch) const {
  std::vector<std::uint32_t>& ids = scratch.ids;
  std::vector<std::uint32_t>& ranks = scratch.ranks;
  ranks.clear();
  const auto rank_at = [&](std::size_t i) {
    const MergeTable::Merge* merge = merges_.find(ids[i], ids[i + 1]);
    return merge == nullptr ? kNoRank : merge->rank;
  };
  for (std::size_t i = 0; i + 1 < ids.size(); ++i)
    ranks.push_back(rank_at(i));
  while (!ranks.empty()) {
    const auto best = std::min_element(ranks.begin(), ranks.end());
    if (*best == kNoRank) return;
    const auto at = best - ranks.begin();
    const auto i = static_cast<std::size_t>(at);
    ids[i] = merges_.find(ids[i], ids[i + 1])->merged;
    ids.erase(ids.begin() + at + 1);
    ranks.erase(best);
    if (i < ranks.size()) ranks[i] = rank_at(i);
    if (i > 0) ranks[i - 1] = rank_at(i - 1);
  }
}

void BpeEncoder::merge_long(Scratch& scratch) const {
  auto& symbols = scratch.symbols;
  auto& heap = scratch.heap;
  symbols.clear();
  heap.clear();
  const auto count = checked_cast<std::int32_t>(scratch.ids.size());
  for (std::int32_t i = 0; i < count; ++i)
    symbols.push_back({scratch.ids[static_cast<std::size_t>(i)], i - 1, i + 1 < count ? i + 1 : -1});
  const auto candidate = [&](std::int32_t at) {
    const auto& left = symbols[static_cast<std::size_t>(at)];
    return left.next < 0 ? nullptr : merges_.find(left.id, symbols[static_cast<std::size_t>(left.next)].id);
  };
  for (std::int32_t i = 0; i + 1 < count; ++i) {
    if (const MergeTable::Merge* merge = candidate(i)) {
      heap.push_back({merge->rank, static_cast<std::uint32_t>(i), merge->merged});
    }
  }
  std::make_heap(heap.begin(), heap.end(), is_behind);
  const auto push = [&](std::int32_t at) {
    if (const MergeTable::Merge* merge = candidate(at)) {
      heap.push_back({merge->rank, static_cast<std::uint32_t>(at), merge->merged});
      std::push_heap(heap.begin(), heap.end(), is_behind);
    }
  };
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), is_behind);
    const Scratch::Candidate top = heap.back();
    heap.pop_back();
    const auto at = static_cast<std::int32_t>(top.position);
    auto& left = symbols[top.position];
    const MergeTable::Merge* merge = candidate(at);
    if (merge == nullptr || merge->merged != top.merged) continue;  // one of the two was merged meanwhile
    auto& right = symbols[static_cast<std::size_t>(left.next)];
    left.id = top.merged;
    left.next = right.next;
    right.next = -2;
    if (left.next >= 0) symbols[static_cast<std::size_t>(left.next)].previous = at;
    if (left.previous >= 0) push(left.previous);
    push(at);
  }
  scratch.ids.clear();
  for (const auto& symbol : symbols) {
    if (symbol.next != -2) scratch.ids.push_back(symbol.id);
  }
}

void BpeEncoder::encode(std::string_view word, Scratch& scratch, std::vector<std::uint32_t>& out) const {
  if (ignore_merges_) {
    const auto id = spells_bytes_ ? raw_pieces_.find_id(word) : pieces_.find_id(word);
    if (id) {
      out.push_back(*id);
      return;
    }
  }
  read_symbols(word, scratch.ids);
  if (scratch.ids.size() <= kShortWord) {
    merge_short(scratch);
  } else {
    merge_long(scratch);
  }
  out.insert(out.end(), scratch.ids.begin(), scratch.ids.end());
}

}  // namespace llm2mnn
