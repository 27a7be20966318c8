#include "tokenizer/id_table.h"

#include <fmt/format.h>
#include <utility>

namespace llm2mnn {

IdTable::IdTable(const TokenizerModel& model) : texts_(model.num_ids()), used_(texts_.size()) {
  const auto set = [&](std::uint32_t id, std::string_view text) {
    texts_[id] = text;
    used_[id] = true;
  };
  for (std::size_t i = 0; i < model.pieces.size(); ++i)
    set(model.pieces.id(i), model.pieces.text(i));
  for (const AddedToken& token : model.added)
    set(token.id, token.content);
  for (std::size_t id = 0; id < texts_.size(); ++id) {
    if (used_[id]) continue;
    std::string filler = fmt::format("<|unused_{}|>", id);
    while (model.find_id(filler))
      filler += '_';
    texts_[id] = fillers_.emplace_back(std::move(filler));
  }
}

}  // namespace llm2mnn
