#pragma once
// SentencePiece's precompiled_charsmap: a double-array trie of texts and, behind it, their replacements.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llm2mnn {

/// A unit of the double array of darts-clone.
class CharsmapUnit {
 public:
  explicit CharsmapUnit(std::uint32_t bits) : bits_(bits) {}
  /// Whether a value stands at the offset.
  bool has_value() const { return (bits_ >> 8 & 1) != 0; }
  /// The byte that leads here; none of a unit that is a value.
  std::uint32_t label() const { return bits_ & (kValueBit | 0xFF); }
  /// Of the children: their indices are this one's ^ offset ^ label. Shifted by 8 when bit 9 is set.
  std::uint32_t offset() const { return (bits_ >> 10) << ((bits_ & (1u << 9)) >> 6); }
  /// Of a unit that is one.
  std::uint32_t value() const { return bits_ & (kValueBit - 1); }

 private:
  static constexpr std::uint32_t kValueBit = 1u << 31;
  std::uint32_t bits_;
};

struct CharsmapParts {
  std::vector<CharsmapUnit> units;  ///< at least one
  std::string_view replacements;    ///< each ended by a NUL
};
/// @param bytes  u32 size of the trie in bytes, the trie's units (u32), the replacements.
/// @throws Error kFormat when the parts do not fit.
CharsmapParts split_charsmap(std::string_view bytes);

class Charsmap {
 public:
  /// @throws Error kFormat as `split_charsmap`.
  explicit Charsmap(std::string_view bytes);

  /// Replaces as `tokenizers` does: a grapheme cluster below 6 bytes by what its shortest prefix in the trie
  /// maps to (the rest of the cluster is dropped), else each of its characters in the same way.
  std::string apply(std::string_view text) const;

  /// The replacement of the shortest prefix of `text` that is in the trie.
  std::optional<std::string_view> find(std::string_view text) const;

 private:
  std::vector<CharsmapUnit> units_;
  std::string replacements_;
};

}  // namespace llm2mnn
