#pragma once
// SentencePiece's precompiled_charsmap: text and what it is replaced by.

#include <string>
#include <string_view>
#include <vector>

namespace llm2mnn {

struct CharsmapEntry {
  std::string from, to;  ///< UTF-8
};

/// All entries, ascending by `from`.
/// Layout: u32 size of the trie in bytes, the trie (a Darts double array of u32 units), then the
/// replacements, each ended by a NUL.
/// @throws Error kFormat for a map that is cut off or whose trie leads out of itself.
std::vector<CharsmapEntry> read_charsmap(std::string_view bytes);

}  // namespace llm2mnn
