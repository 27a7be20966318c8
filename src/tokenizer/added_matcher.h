#pragma once
// Finds added tokens in a text: at each place the longest one, from left to right, without overlap.

#include <array>
#include <cstddef>
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

/// Immutable once it is finished; may then be used by several threads.
class AddedMatcher {
 public:
  /// Looks for `content` from now on. Of two tokens with one content the first counts; an empty one is
  /// ignored. `token` stays alive while the matcher is used.
  void add(std::string_view content, const AddedToken& token);
  /// To be called behind the last `add`.
  void finish();
  bool empty() const { return tokens_.empty(); }

  /// Appends the parts of `text` to `parts`. lstrip and rstrip take the white space around a token into it;
  /// single_word drops a match between word characters. The time grows with the text, whatever the tokens
  /// are.
  void split(std::string_view text, std::vector<TextPart>& parts) const;

 private:
  struct Match {
    std::size_t begin = 0, end = 0;
    const AddedToken* token = nullptr;
  };
  struct Token {
    const AddedToken* token;
    std::size_t size;  // of the content
  };
  /// Of the automaton of Aho and Corasick over the contents from back to front: read backwards, a text tells
  /// at each place which contents begin there. Node 0 is the root.
  struct Node {
    std::uint32_t parent = 0;
    std::size_t depth = 0;
    char byte = 0;               // on the edge from the parent
    std::uint32_t fallback = 0;  // the longest other end of what was read that is a node
    std::uint32_t longest = 0;   // 1 + index of the longest token that begins here, 0 for none
  };
  std::uint32_t step(std::uint32_t node, char byte) const;
  /// Where tokens begin, the longest one of each place, from left to right.
  std::vector<Match> longest_matches(std::string_view text) const;

  std::array<std::uint32_t, 256> root_edges_{};             // by byte; 0 for none
  std::unordered_map<std::uint64_t, std::uint32_t> edges_;  // (node, byte) to node
  std::vector<Node> nodes_;
  std::vector<Token> tokens_;
};

}  // namespace llm2mnn
