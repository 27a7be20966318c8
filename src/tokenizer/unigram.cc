#include "tokenizer/unigram.h"

#include <algorithm>
#include <bit>
#include <fmt/format.h>
#include <limits>

#include "base/checked.h"
#include "base/error.h"

namespace llm2mnn {

namespace {

constexpr std::uint32_t kUnreached = ~0u;
constexpr double kUnknownPenalty = 10.0;

std::uint64_t hash_of(std::uint64_t key) {
  key *= 0x9E3779B97F4A7C15u;
  return key ^ (key >> 32);
}

}  // namespace

UnigramEncoder::UnigramEncoder(const TokenizerModel& model, const UnigramModel& unigram)
    : pieces_(model.pieces), unigram_(unigram) {
  LLM2MNN_CHECK(unigram.scores.size() == pieces_.size());
  double lowest = std::numeric_limits<double>::infinity();
  for (const double score : unigram.scores)
    lowest = std::min(lowest, score);
  unknown_score_ = lowest - kUnknownPenalty;
  for (unsigned byte = 0; byte < 256; ++byte)
    fallback_ids_[byte] = pieces_.find_id(byte_piece(byte));
  build_trie();
}

void UnigramEncoder::build_trie() {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < pieces_.size(); ++i)
    bytes += pieces_.text(i).size();
  // Bytes are an upper bound of the edges: half full at the very most.
  edges_.resize(std::bit_ceil(bytes * 2 + 2));
  edge_mask_ = edges_.size() - 1;
  piece_at_.push_back(kNone);
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    std::uint32_t node = 0;
    for (const char c : pieces_.text(i)) {
      const std::uint64_t key = ((std::uint64_t{node} << 8) | static_cast<unsigned char>(c)) + 1;
      std::uint64_t slot = hash_of(key) & edge_mask_;
      while (edges_[slot].key != 0 && edges_[slot].key != key)
        slot = (slot + 1) & edge_mask_;
      if (edges_[slot].key == 0) {
        edges_[slot] = {key, checked_cast<std::uint32_t>(piece_at_.size())};
        piece_at_.push_back(kNone);
      }
      node = edges_[slot].node;
    }
    if (node != 0) piece_at_[node] = checked_cast<std::uint32_t>(i);
  }
}

std::uint32_t UnigramEncoder::child(std::uint32_t node, unsigned char byte) const {
  const std::uint64_t key = ((std::uint64_t{node} << 8) | byte) + 1;
  std::uint64_t slot = hash_of(key) & edge_mask_;
  while (edges_[slot].key != key) {
    if (edges_[slot].key == 0) return kNone;
    slot = (slot + 1) & edge_mask_;
  }
  return edges_[slot].node;
}

/// Viterbi from left to right. Of two equal sums the one found first stays.
void UnigramEncoder::find_best_ends(std::string_view word, Scratch& scratch) const {
  auto& nodes = scratch.nodes;
  nodes.assign(word.size() + 1, {0.0, kUnreached, false});
  for (std::size_t begin = 0; begin < word.size();) {
    std::size_t character_end = begin;
    next_code_point(word, character_end);
    const double till_here = nodes[begin].score;
    bool has_single = false;
    std::uint32_t node = 0;
    const auto offer = [&](std::size_t end, double score, bool is_unknown) {
      auto& target = nodes[end];
      const double sum = score + till_here;
      if (target.begin == kUnreached || sum > target.score) {
        target = {sum, static_cast<std::uint32_t>(begin), is_unknown};
      }
    };
    for (std::size_t pos = begin; pos < word.size();) {
      node = child(node, static_cast<unsigned char>(word[pos]));
      if (node == kNone) break;
      ++pos;
      const std::uint32_t piece = piece_at_[node];
      if (piece == kNone) continue;
      offer(pos, unigram_.scores[piece], unigram_.unk_id == pieces_.id(piece));
      has_single = has_single || pos == character_end;
    }
    if (!has_single) {
      if (!unigram_.unk_id) {
        fail(ErrorKind::kUnsupported, "no piece for {} and no unknown token in the vocabulary",
             shown(word.substr(begin, character_end - begin)));
      }
      offer(character_end, unknown_score_, true);
    }
    begin = character_end;
  }
}

/// Appends the ids of one piece or of a run of unknown characters, last one first.
void UnigramEncoder::add_ids(std::string_view text, std::vector<std::uint32_t>& reversed) const {
  if (const auto id = pieces_.find_id(text)) {
    reversed.push_back(*id);
    return;
  }
  if (unigram_.byte_fallback) {
    const bool whole = std::all_of(text.begin(), text.end(), [&](char c) {
      return fallback_ids_[static_cast<unsigned char>(c)].has_value();
    });
    if (whole) {
      for (std::size_t i = text.size(); i-- > 0;)
        reversed.push_back(*fallback_ids_[static_cast<unsigned char>(text[i])]);
      return;
    }
  }
  if (!unigram_.unk_id) {
    fail(ErrorKind::kUnsupported, "no piece for {} and no unknown token in the vocabulary", shown(text));
  }
  reversed.push_back(*unigram_.unk_id);
}

void UnigramEncoder::encode(std::string_view word, Scratch& scratch, std::vector<std::uint32_t>& out) const {
  find_best_ends(word, scratch);
  std::vector<std::uint32_t>& reversed = scratch.ids;
  reversed.clear();
  for (std::size_t end = word.size(); end > 0;) {
    std::size_t begin = scratch.nodes[end].begin;
    if (scratch.nodes[end].is_unknown) {
      while (begin > 0 && scratch.nodes[begin].is_unknown)
        begin = scratch.nodes[begin].begin;
    }
    add_ids(word.substr(begin, end - begin), reversed);
    end = begin;
  }
  out.insert(out.end(), reversed.rbegin(), reversed.rend());
}

}  // namespace llm2mnn
