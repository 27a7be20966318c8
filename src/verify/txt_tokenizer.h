#pragma once
// tokenizer.txt as the runtime reads and uses it. Four kinds: SentencePiece pieces merged by score (0), the
// longest piece (1), BERT's words (2), byte-level BPE with one fixed pattern on bytes (3).

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "verify/section_reader.h"

namespace llm2mnn::verify {

class TxtTokenizer {
 public:
  virtual ~TxtTokenizer() = default;
  virtual void encode(std::string_view text, std::vector<std::uint32_t>& ids) const = 0;
  virtual std::string decode(std::uint32_t id) const = 0;
  std::uint32_t num_ids() const { return static_cast<std::uint32_t>(pieces_.size()); }

 protected:
  std::vector<std::string_view> pieces_;  ///< by id
};

/// What follows the header of a file of `type` 0 to 3; the texts of type 3 point into the file's bytes.
/// @throws Error kFormat with section and byte offset.
std::unique_ptr<TxtTokenizer> read_txt(SectionReader& reader, int type);

}  // namespace llm2mnn::verify
