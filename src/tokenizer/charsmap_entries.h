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
/// @throws Error kFormat as `split_charsmap`, for a trie that does not end or leads out of itself, and for
/// text that is no UTF-8.
std::vector<CharsmapEntry> read_charsmap(std::string_view bytes);

}  // namespace llm2mnn
