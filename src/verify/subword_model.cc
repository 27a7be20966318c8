#include "verify/subword_model.h"

#include <algorithm>
#include <fmt/format.h>
#include <string>

#include "verify/runtime_unicode.h"
#include "verify/symbol_list.h"

namespace llm2mnn::verify {
namespace {

/// Scores below are no path for the runtime.
constexpr double kNoPath = -1e17;
constexpr double kWorst = -1e18;

/// Length of the character that ends before `end`, as the runtime counts it: 1 when its lead byte does not
/// fit.
std::size_t last_char_length(std::string_view text, std::size_t end) {
  for (std::size_t k = 1; k <= 4 && k <= end; ++k) {
    const auto byte = static_cast<unsigned char>(text[end - k]);
    if ((byte & 0xC0U) == 0x80U) continue;
    const std::size_t expected = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    return expected == k ? k : 1;
  }
  return 1;
}

}  // namespace

SubwordModel::SubwordModel(MtokModel model) : model_(std::move(model)), byte_pieces_(256) {
  first_merge_.resize(model_.pieces.size() + 1);
  for (const MtokMerge& merge : model_.merges)
    ++first_merge_[merge.left + 1];
  for (std::size_t i = 1; i < first_merge_.size(); ++i)
    first_merge_[i] += first_merge_[i - 1];
  for (unsigned byte = 0; byte < 256; ++byte)
    byte_pieces_[byte] = model_.index.find(fmt::format("<0x{:02X}>", byte));
  for (const MtokPiece& piece : model_.pieces)
    longest_piece_ = std::max(longest_piece_, piece.text.size());
}

std::string_view SubwordModel::text_of(std::uint32_t id) const {
  if (id < model_.id_to_text.size()) return model_.id_to_text[id];
  if (model_.kind == MtokModel::Kind::kWordPiece) return model_.unk_text;
  return model_.kind == MtokModel::Kind::kUnigram ? model_.id_to_text[model_.unk_id] : std::string_view();
}

void SubwordModel::tokenize(std::string_view text, std::vector<std::uint32_t>& ids,
                            WorkBudget& budget) const {
  if (text.empty()) return;
  budget.spend(text.size());
  if (model_.kind == MtokModel::Kind::kBpe) return byte_pairs(text, ids, budget);
  if (model_.kind == MtokModel::Kind::kWordPiece) return word_piece(text, ids, budget);
  unigram(text, ids, budget);
}

const MtokMerge* SubwordModel::find_merge(std::uint32_t left, std::uint32_t right) const {
  const auto begin = model_.merges.begin() + first_merge_[left];
  const auto end = model_.merges.begin() + first_merge_[left + 1];
  const auto it = std::lower_bound(
      begin, end, right, [](const MtokMerge& merge, std::uint32_t wanted) { return merge.right < wanted; });
  return it != end && it->right == right ? &*it : nullptr;
}

void SubwordModel::first_symbols(std::string_view text, std::vector<std::uint32_t>& symbols) const {
  const auto add = [&symbols](std::int64_t id) {
    if (id != PieceIndex::kAbsent) symbols.push_back(static_cast<std::uint32_t>(id));
  };
  const auto add_byte_piece = [&](char c) { add(byte_pieces_[static_cast<unsigned char>(c)]); };
  if (model_.byte_level) {
    for (const char c : text)
      add(model_.index.find(byte_alphabet()[static_cast<unsigned char>(c)]));
    return;
  }
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_char(text, at);
    const std::string_view raw = text.substr(at, c.length);
    at += c.length;
    const bool broken = c.code == 0xFFFD && c.length == 1;
    const std::int64_t id = broken ? PieceIndex::kAbsent : model_.index.find(raw);
    if (id != PieceIndex::kAbsent) {
      add(id);
    } else {
      for (const char byte : raw)
        add_byte_piece(byte);
    }
  }
}

void SubwordModel::byte_pairs(std::string_view text, std::vector<std::uint32_t>& ids,
                              WorkBudget& budget) const {
  std::vector<std::uint32_t> symbols;
  first_symbols(text, symbols);
  budget.spend(symbols.size() * 8);
  WorkBudget lookups(kMaxPairLookups);
  merge_symbols(
      symbols, [this](std::uint32_t left, std::uint32_t right) { return find_merge(left, right); }, lookups);
  ids.insert(ids.end(), symbols.begin(), symbols.end());
}

void SubwordModel::word_piece(std::string_view text, std::vector<std::uint32_t>& ids,
                              WorkBudget& budget) const {
  if (text.size() > model_.max_bytes) return ids.push_back(model_.unk_id);
  const std::size_t first = ids.size();
  std::string candidate;
  for (std::size_t start = 0; start < text.size();) {
    std::size_t end = text.size();
    std::int64_t id = PieceIndex::kAbsent;
    for (; end > start; --end) {
      budget.spend(1 + (end - start) / 8);
      candidate.assign(start > 0 ? model_.subword_prefix : std::string_view());
      candidate += text.substr(start, end - start);
      id = model_.index.find(candidate);
      if (id != PieceIndex::kAbsent && id != model_.unk_id) break;
      id = PieceIndex::kAbsent;
    }
    if (id == PieceIndex::kAbsent) {
      ids.resize(first);
      return ids.push_back(model_.unk_id);
    }
    ids.push_back(static_cast<std::uint32_t>(id));
    start = end;
  }
}

void SubwordModel::unigram(std::string_view text, std::vector<std::uint32_t>& ids, WorkBudget& budget) const {
  struct Best {
    double score = kWorst;
    std::uint32_t id = 0;
    std::size_t from = 0;
  };
  std::vector<Best> best(text.size() + 1);
  best[0].score = 0;
  for (std::size_t i = 1; i <= text.size(); ++i) {
    for (std::size_t length = 1; length <= std::min(i, longest_piece_); ++length) {
      const Best& before = best[i - length];
      if (before.score <= kNoPath) continue;
      budget.spend(1 + length / 8);
      std::int64_t id = model_.index.find(text.substr(i - length, length));
      if (id == PieceIndex::kAbsent || id == model_.unk_id) {
        if (!model_.byte_fallback || length != 1) continue;
        id = byte_pieces_[static_cast<unsigned char>(text[i - 1])];
      }
      const double score = before.score + model_.scores[static_cast<std::size_t>(id)];
      if (score > best[i].score || best[i].score <= kNoPath)
        best[i] = {score, static_cast<std::uint32_t>(id), i - length};
    }
    if (best[i].score > kNoPath) continue;
    const std::size_t length = last_char_length(text, i);
    if (best[i - length].score > kNoPath)
      best[i] = {best[i - length].score + model_.scores[model_.unk_id], model_.unk_id, i - length};
  }
  if (best.back().score <= kNoPath) return;
  std::vector<std::uint32_t> reversed;
  for (std::size_t at = text.size(); at > 0; at = best[at].from) {
    const std::uint32_t id = best[at].id;
    if (reversed.empty() || id != model_.unk_id || reversed.back() != model_.unk_id) reversed.push_back(id);
  }
  ids.insert(ids.end(), reversed.rbegin(), reversed.rend());
}

}  // namespace llm2mnn::verify
