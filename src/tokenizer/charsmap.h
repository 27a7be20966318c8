#pragma once
// SentencePiece's precompiled_charsmap: a double-array trie of texts and, behind it, their replacements.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llm2mnn {

class Charsmap {
 public:
  /// @param bytes  u32 size of the trie in bytes, the trie's units (u32), replacements that end with NUL.
  /// @throws Error kFormat when the parts do not fit.
  explicit Charsmap(std::string_view bytes);

  /// Replaces as `tokenizers` does: a grapheme cluster below 6 bytes by what its shortest prefix in the trie
  /// maps to (the rest of the cluster is dropped), else each of its characters in the same way.
  std::string apply(std::string_view text) const;

  /// The replacement of the shortest prefix of `text` that is in the trie.
  std::optional<std::string_view> find(std::string_view text) const;

 private:
  std::vector<std::uint32_t> units_;
  std::string replacements_;
};

}  // namespace llm2mnn
