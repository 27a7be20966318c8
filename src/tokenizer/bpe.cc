#include "tokenizer/bpe.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/checked.h"

namespace llm2mnn {

namespace {

std::uint64_t key_of(std::uint32_t left, std::uint32_t right) { return (std::uint64_t{left} << 32) | right; }

const RankedMerge* find_merge(const std::vector<RankedMerge>& merges, std::uint32_t left,
                              std::uint32_t right) {
  const std::uint64_t key = key_of(left, right);
  const auto it =
      std::lower_bound(merges.begin(), merges.end(), key,
                       [](const RankedMerge& m, std::uint64_t k) { return key_of(m.left, m.right) < k; });
  return it != merges.end() && it->left == left && it->right == right ? &*it : nullptr;
}

/// Whether `text` is a blank and letters, one of them in U+1EA0..U+1EF9. Letters are told by excluding ASCII
/// that is none: the pieces in question hold nothing but Latin letters.
bool is_vietnamese_syllable(std::string_view text) {
  if (text.size() < 2 || text[0] != ' ') return false;
  bool has_vietnamese = false;
  for (std::size_t pos = 1; pos < text.size();) {
    const char32_t c = next_code_point(text, pos);
    const bool ascii_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool latin_letter = c >= 0xC0 && c <= 0x24F && c != 0xD7 && c != 0xF7;
    const bool vietnamese = c >= 0x1EA0 && c <= 0x1EF9;
    if (!ascii_letter && !latin_letter && !vietnamese) return false;
    has_vietnamese = has_vietnamese || vietnamese;
  }
  return has_vietnamese;
}

}  // namespace

std::vector<RankedMerge> sorted_merges(const BpeModel& bpe) {
  std::vector<RankedMerge> merges;
  merges.reserve(bpe.merges.size());
  for (std::size_t rank = 0; rank < bpe.merges.size(); ++rank) {
    const BpeMerge& m = bpe.merges[rank];
    merges.push_back({m.left, m.right, m.merged, checked_cast<std::uint32_t>(rank)});
  }
  std::sort(merges.begin(), merges.end(), [](const RankedMerge& a, const RankedMerge& b) {
    return std::pair(key_of(a.left, a.right), b.rank) < std::pair(key_of(b.left, b.right), a.rank);
  });
  const auto same = [](const RankedMerge& a, const RankedMerge& b) {
    return a.left == b.left && a.right == b.right;
  };
  merges.erase(std::unique(merges.begin(), merges.end(), same), merges.end());
  return merges;
}

std::vector<std::uint32_t> encode_word(const PieceTable& pieces, const std::vector<RankedMerge>& merges,
                                       std::string_view word) {
  std::vector<std::uint32_t> ids;
  for (std::size_t pos = 0; pos < word.size();) {
    const std::size_t begin = pos;
    next_code_point(word, pos);
    if (const auto id = pieces.find_id(word.substr(begin, pos - begin))) ids.push_back(*id);
  }
  for (;;) {
    const RankedMerge* best = nullptr;
    std::size_t best_pos = 0;
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
      const RankedMerge* merge = find_merge(merges, ids[i], ids[i + 1]);
      if (merge != nullptr && (best == nullptr || merge->rank < best->rank)) {
        best = merge;
        best_pos = i;
      }
    }
    if (best == nullptr) return ids;
    ids[best_pos] = best->merged;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best_pos) + 1);
  }
}

std::vector<AddedToken> unreachable_syllables(const TokenizerModel& model,
                                              const std::vector<RankedMerge>& merges) {
  std::vector<AddedToken> tokens;
  if (model.bpe() == nullptr || !model.bpe()->ignore_merges) return tokens;
  constexpr std::size_t kMaxSyllableBytes = 64;  // spelt in the byte alphabet; bounds the quadratic search
  std::string text;
  for (std::size_t i = 0; i < model.pieces.size(); ++i) {
    const std::string_view piece = model.pieces.text(i);
    if (piece.size() > kMaxSyllableBytes || !from_byte_alphabet(piece, text) || !is_vietnamese_syllable(text))
      continue;
    if (encode_word(model.pieces, merges, piece).size() <= 1 || model.find_added(text) != nullptr) continue;
    AddedToken token;
    token.id = model.pieces.id(i);
    token.content = text;
    tokens.push_back(std::move(token));
  }
  std::sort(tokens.begin(), tokens.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return tokens;
}

}  // namespace llm2mnn
