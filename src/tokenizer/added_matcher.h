#pragma once
// Finds added tokens in a text: at each place the longest one, from left to right, without overlap.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// A part of a text: an added token or what lies between two of them.
struct TextPart {
  std::string_view text;
  const AddedToken* token = nullptr;
};

/// Immutable; may be used by several threads.
class AddedMatcher {
 public:
  /// Looks for `content` from now on. Of two tokens with one content the first counts; an empty one is
  /// ignored. `token` stays alive while the matcher is used.
  void add(std::string_view content, const AddedToken& token);
  bool empty() const { return tokens_.empty(); }

  /// Appends the parts of `text` to `parts`. lstrip and rstrip take the white space around a token into it;
  /// single_word drops a match between word characters.
  void split(std::string_view text, std::vector<TextPart>& parts) const;

 private:
  struct Match {
    std::size_t end = 0;
    const AddedToken* token = nullptr;
  };
  Match longest_at(std::string_view text, std::size_t pos) const;

  std::array<bool, 256> starts_{};                          // bytes that a content begins with
  std::unordered_map<std::uint64_t, std::uint32_t> edges_;  // (node, byte) to node; 0 is the root
  std::vector<std::uint32_t> token_at_;                     // by node: 1 + index into tokens_, 0 for none
  std::vector<const AddedToken*> tokens_;
};

}  // namespace llm2mnn
