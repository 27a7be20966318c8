#pragma once
// tokenizer.txt of type 3: byte-level BPE with one fixed pattern on bytes.

#include "verify/piece_index.h"
#include "verify/txt_tokenizer.h"
#include "verify/work_budget.h"

namespace llm2mnn::verify {

class TxtByteBpe final : public TxtTokenizer {
 public:
  /// @throws Error kFormat with section and byte offset.
  explicit TxtByteBpe(SectionReader& reader);

  /// @throws Error kUnsupported where the runtime would abort (a byte without a piece), overflow its stack
  /// (a long text without a blank) or need more than some seconds.
  void encode(std::string_view text, std::vector<std::uint32_t>& ids) const override;
  std::string decode(std::uint32_t id) const override;

 private:
  void encode_word(std::string_view word, std::vector<std::uint32_t>& ids, WorkBudget& lookups) const;

  PieceIndex index_;   ///< piece to id
  PieceIndex merges_;  ///< line to rank
};

}  // namespace llm2mnn::verify
