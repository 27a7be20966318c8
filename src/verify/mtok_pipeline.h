#pragma once
// What the runtime does with tokenizer.mtok: added tokens, normalizer, pre-tokenizer, model; and the text of
// one id while it streams.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "verify/mtok_reader.h"
#include "verify/runtime_pre_tokenizer.h"
#include "verify/subword_model.h"

namespace llm2mnn::verify {

class MtokPipeline {
 public:
  /// Texts of `file` must stay where they are.
  /// @throws Error kFormat or kUnsupported for a pattern of the pre-tokenizer, see RuntimeRegex.
  explicit MtokPipeline(MtokFile file);

  void encode(std::string_view text, std::vector<std::uint32_t>& ids) const;
  std::string decode(std::uint32_t id) const;
  std::uint32_t num_ids() const { return static_cast<std::uint32_t>(model_.model().id_to_text.size()); }
  bool is_added(std::int64_t id) const { return added_ids_.contains(id); }

 private:
  const MtokAddedToken* added_at(std::string_view text, std::size_t at, WorkBudget& budget) const;
  void encode_fragment(std::string_view text, std::vector<std::uint32_t>& ids, WorkBudget& budget) const;

  MtokNormalizer normalizer_;
  RuntimePreTokenizer pre_tokenizer_;
  MtokDecoder decoder_;
  std::vector<MtokAddedToken> added_;
  std::unordered_set<std::int64_t> added_ids_;
  std::array<std::vector<std::uint32_t>, 256> added_by_byte_;  ///< by their first byte, longest first
  SubwordModel model_;
};

}  // namespace llm2mnn::verify
