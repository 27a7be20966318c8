#pragma once
// The best segmentation of a word by the scores of its pieces.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// Immutable; may be used by several threads, each with its own Scratch.
class UnigramEncoder {
 public:
  struct Scratch {
    struct Node {
      double score;
      std::uint32_t begin;  // where the best piece that ends here begins; kUnreached when there is none
      bool is_unknown;
    };
    std::vector<Node> nodes;
    std::vector<std::uint32_t> ids;
  };

  UnigramEncoder(const TokenizerModel& model, const UnigramModel& unigram);

  /// Appends the ids of `word`. A character without a piece costs the lowest score less 10; runs of such
  /// characters become one unknown token, or their bytes.
  /// @throws Error kUnsupported for an unknown character without an unknown token.
  void encode(std::string_view word, Scratch& scratch, std::vector<std::uint32_t>& out) const;

 private:
  struct Edge {
    std::uint64_t key = 0;  // (node << 8 | byte) + 1; 0 = empty
    std::uint32_t node = 0;
  };
  static constexpr std::uint32_t kNone = ~0u;

  void build_trie();
  std::uint32_t child(std::uint32_t node, unsigned char byte) const;
  void find_best_ends(std::string_view word, Scratch& scratch) const;
  void add_ids(std::string_view text, std::vector<std::uint32_t>& reversed) const;

  const PieceTable& pieces_;
  const UnigramModel& unigram_;
  double unknown_score_ = 0;
  std::array<std::optional<std::uint32_t>, 256> fallback_ids_;
  std::vector<Edge> edges_;  // open addressing; the size is a power of two
  std::uint64_t edge_mask_ = 0;
  std::vector<std::uint32_t> piece_at_;  // by node: index of the piece that ends there, or kNone
};

}  // namespace llm2mnn
