#include "tokenizer/merge_search.h"

#include <algorithm>
#include <cstdint>

#include "base/error.h"

namespace llm2mnn {

namespace {

struct Candidate {
  double score;
  std::uint32_t left_length, right_length;  // characters
  std::uint32_t left_rank, right_rank;      // ids among the halves
  BpeMerge merge;
};

bool starts_character(char c) { return !continues_character(c); }

/// Every cut between two characters looks up two texts. Real vocabularies stay far below; long pieces in a
/// hostile one would take hours.
void check_work(const PieceTable& pieces) {
  constexpr std::uint64_t kMaxWork = 2'000'000'000;  // bytes that are looked at: seconds
  std::uint64_t work = 0;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const std::uint64_t size = pieces.text(i).size();
    if (size > kMaxWork || (work += size * size) > kMaxWork) {
      fail(ErrorKind::kFormat, "the pieces are too long to be merged: piece {} has {} bytes",
           shown(pieces.text(i), 40), size);
    }
  }
}

constexpr std::size_t kMaxMerges = 2'000'000;  // half a million for the largest real vocabularies

/// Appends the candidates of piece `index`, by the ids of their halves.
void add_candidates(const PieceTable& merged, std::size_t index, double score, const PieceTable& halves,
                    std::vector<Candidate>& out) {
  const std::string_view text = merged.text(index);
  const auto num_characters =
      static_cast<std::uint32_t>(std::count_if(text.begin(), text.end(), starts_character));
  const auto first = static_cast<std::ptrdiff_t>(out.size());
  std::uint32_t left_length = 0;
  for (std::size_t cut = 1; cut < text.size(); ++cut) {
    if (!starts_character(text[cut])) continue;
    ++left_length;
    const auto left = halves.find_id(text.substr(0, cut));
    if (!left) continue;
    const auto right = halves.find_id(text.substr(cut));
    if (!right) continue;
    const auto left_id = merged.find_id(text.substr(0, cut));
    const auto right_id = merged.find_id(text.substr(cut));
    if (!left_id || !right_id) {
      fail(ErrorKind::kFormat, "a half of piece {} is in no vocabulary of the tokenizer class",
           shown(text, 40));
    }
    if (out.size() == kMaxMerges) fail(ErrorKind::kFormat, "more than {} merges", kMaxMerges);
    out.push_back({score, left_length, num_characters - left_length, *left, *right,
                   BpeMerge{*left_id, *right_id, merged.id(index)}});
  }
  std::stable_sort(out.begin() + first, out.end(), [](const Candidate& a, const Candidate& b) {
    return std::pair(a.left_rank, a.right_rank) < std::pair(b.left_rank, b.right_rank);
  });
}

}  // namespace

std::vector<BpeMerge> merges_by_score(const PieceTable& merged, const std::vector<double>& scores,
                                      const PieceTable& halves) {
  check_work(merged);
  std::vector<Candidate> candidates;
  candidates.reserve(2 * merged.size());
  for (std::size_t i = 0; i < merged.size(); ++i)
    add_candidates(merged, i, scores[i], halves, candidates);
  std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    if (a.score != b.score) return a.score > b.score;
    return std::pair(a.left_length, a.right_length) > std::pair(b.left_length, b.right_length);
  });
  std::vector<BpeMerge> merges;
  merges.reserve(candidates.size());
  for (const Candidate& candidate : candidates)
    merges.push_back(candidate.merge);
  return merges;
}

std::vector<BpeMerge> merges_by_rank(const PieceTable& ranked) {
  check_work(ranked);
  struct Cut {
    std::size_t left, right;
    bool operator<(const Cut& other) const {
      return std::pair(left, right) < std::pair(other.left, other.right);
    }
  };
  std::vector<BpeMerge> merges;
  merges.reserve(2 * ranked.size());
  std::vector<Cut> cuts;
  for (std::size_t rank = 0; rank < ranked.size(); ++rank) {
    const std::string_view bytes = ranked.text(rank);
    cuts.clear();
    for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
      const auto left = ranked.find(bytes.substr(0, cut));
      if (!left) continue;
      if (const auto right = ranked.find(bytes.substr(cut))) cuts.push_back({*left, *right});
    }
    std::sort(cuts.begin(), cuts.end());
    if (merges.size() + cuts.size() > kMaxMerges) fail(ErrorKind::kFormat, "more than {} merges", kMaxMerges);
    for (const Cut& cut : cuts)
      merges.push_back({ranked.id(cut.left), ranked.id(cut.right), ranked.id(rank)});
  }
  return merges;
}

}  // namespace llm2mnn
