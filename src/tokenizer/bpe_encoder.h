#pragma once
// Byte-pair encoding of words, as fast as the vocabulary allows.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/merge_table.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// Immutable; may be used by several threads, each with its own Scratch.
class BpeEncoder {
 public:
  /// Working memory of one encode call; kept to save allocations.
  struct Scratch {
    struct Symbol {
      std::uint32_t id;
      std::int32_t previous, next;  // -1 at the ends; next is -2 for a symbol that was merged away
    };
    struct Candidate {
      std::uint32_t rank, position, merged;
    };
    std::vector<Symbol> symbols;
    std::vector<Candidate> heap;
    std::vector<std::uint32_t> ids, ranks;
  };

  /// @param spells_bytes  words are bytes, not yet spelt in the byte alphabet; only when `takes_bytes`.
  BpeEncoder(const TokenizerModel& model, const BpeModel& bpe, bool spells_bytes);

  /// Whether words of `model` may come as bytes: every byte has a piece and no affix is added to characters.
  static bool takes_bytes(const TokenizerModel& model, const BpeModel& bpe);

  /// Appends the ids of `word`.
  /// @throws Error kUnsupported for an unknown character when the unknown token is none of the pieces.
  void encode(std::string_view word, Scratch& scratch, std::vector<std::uint32_t>& out) const;
  /// Where the first stretch of `word` ends that no merge can cross; `word.size()` when it is the whole.
  std::size_t first_stretch(std::string_view word) const;

 private:
  void find_stretch_ends(const TokenizerModel& model, const BpeModel& bpe);
  void read_symbols(std::string_view word, std::vector<std::uint32_t>& ids) const;
  void add_unknown(std::string_view piece, std::vector<std::uint32_t>& ids, bool& is_pending) const;
  void merge_short(Scratch& scratch) const;
  void merge_long(Scratch& scratch) const;

  const PieceTable& pieces_;
  PieceTable raw_pieces_;  // pieces as bytes, for ignore_merges with spells_bytes_
  bool spells_bytes_;
  bool ignore_merges_, fuse_unk_, byte_fallback_;
  std::string prefix_, suffix_;
  std::optional<std::string> missing_unk_;
  bool has_unk_ = false;
  std::uint32_t unk_id_ = 0;
  std::array<std::uint32_t, 256> byte_ids_{};  // with spells_bytes_
  std::array<std::uint32_t, 256> fallback_ids_{};
  bool has_fallback_[256] = {};
  MergeTable merges_;
  bool has_stretches_ = false;
  std::vector<char32_t> crossed_;  // characters that some merge joins with a mark behind them
};

}  // namespace llm2mnn
