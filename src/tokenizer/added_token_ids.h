#pragma once
// Added tokens as `tokenizers` keeps them: which id each one gets and which of several mentions counts.

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "tokenizer/piece_table.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// A piece of the vocabulary keeps its id, other tokens follow the vocabulary, whatever the files say. A
/// token that is mentioned again gets the flags of the later mention, but once it is special it stays so, and
/// what it was looked for in (the raw or the normalized text) it is looked for in from then on.
class AddedTokenIds {
 public:
  /// @param vocab_size  number of entries of the vocabulary
  AddedTokenIds(const PieceTable& pieces, std::uint32_t vocab_size)
      : pieces_(pieces), vocab_size_(vocab_size) {}

  /// Adds `token` or gives the one of this content new flags; returns its id. The token's own id is ignored,
  /// and so is a token without text.
  std::uint32_t put(const AddedToken& token);
  /// The same for tokens that are added in one call.
  void put_all(const std::vector<AddedToken>& tokens);
  /// Adds `token` with its own id. @throws Error kFormat when its text is taken.
  void put_at(const AddedToken& token);

  bool contains(std::string_view content) const { return index_.find(content).has_value(); }
  std::optional<std::uint32_t> id_of(std::string_view content) const { return index_.find_id(content); }
  /// Ascending by id. @throws Error kFormat when one has the id of another token or piece.
  std::vector<AddedToken> take() const;

 private:
  struct Token {
    AddedToken latest;  // mention
    bool is_special = false;
    bool in_raw = false, in_normalized = false;  // the texts that it is looked for in
    void look_for(bool normalized) { (normalized ? in_normalized : in_raw) = true; }
  };
  std::uint32_t next_id() const;
  void add_new(const AddedToken& token);
  void check_ids(const std::vector<AddedToken>& tokens) const;

  const PieceTable& pieces_;
  std::uint32_t vocab_size_;
  std::optional<std::uint32_t> largest_;
  PieceTable index_;  // by content, in the order of tokens_
  std::vector<Token> tokens_;
};

}  // namespace llm2mnn
