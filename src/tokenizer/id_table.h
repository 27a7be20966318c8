#pragma once
// Ids to texts.

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// The text of each id below `num_ids()`: an added token, a piece, or a filler where an id is unused. Texts
/// are unique. Refers to the model, which must stay.
class IdTable {
 public:
  explicit IdTable(const TokenizerModel& model);
  std::size_t size() const { return texts_.size(); }
  std::string_view text(std::size_t id) const { return texts_[id]; }
  /// False for a filler and beyond the last id.
  bool is_used(std::size_t id) const { return id < used_.size() && used_[id]; }

 private:
  std::vector<std::string_view> texts_;
  std::vector<bool> used_;
  std::deque<std::string> fillers_;
};

}  // namespace llm2mnn
