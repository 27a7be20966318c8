#pragma once
// The runtime's BPE, WordPiece and Unigram on the table of tokenizer.mtok.

#include <cstdint>
#include <string_view>
#include <vector>

#include "verify/mtok_reader.h"
#include "verify/work_budget.h"

namespace llm2mnn::verify {

class SubwordModel {
 public:
  explicit SubwordModel(MtokModel model);

  const MtokModel& model() const { return model_; }
  /// Appends the ids of one pre-token, as the runtime's model gives them.
  /// @throws Error kUnsupported when the runtime would need more than some seconds.
  void tokenize(std::string_view text, std::vector<std::uint32_t>& ids, WorkBudget& budget) const;
  /// The text of `id` for output: an id beyond the table has the unknown token's, in BPE none.
  std::string_view text_of(std::uint32_t id) const;

 private:
  void byte_pairs(std::string_view text, std::vector<std::uint32_t>& ids, WorkBudget& budget) const;
  void first_symbols(std::string_view text, std::vector<std::uint32_t>& symbols) const;
  void word_piece(std::string_view text, std::vector<std::uint32_t>& ids, WorkBudget& budget) const;
  void unigram(std::string_view text, std::vector<std::uint32_t>& ids, WorkBudget& budget) const;
  const MtokMerge* find_merge(std::uint32_t left, std::uint32_t right) const;

  MtokModel model_;
  std::vector<std::uint32_t> first_merge_;  ///< by left id: where its merges begin; one entry more
  std::vector<std::int64_t> byte_pieces_;   ///< ids of `<0xHH>`, -1 where there is none
  std::size_t longest_piece_ = 0;
};

}  // namespace llm2mnn::verify
