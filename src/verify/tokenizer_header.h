#pragma once
// The three text lines that both tokenizer files begin with.

#include <cstdint>
#include <vector>

#include "verify/section_reader.h"

namespace llm2mnn::verify {

struct TokenizerHeader {
  int type = 0;  ///< 0 SentencePiece, 1 tiktoken, 2 BERT, 3 byte-level BPE, 4 mtok
  std::vector<std::int64_t> special_ids, stop_ids, prefix_ids;
};

/// @throws Error kFormat for a magic, a count or an id that the runtime would read as something else.
TokenizerHeader read_tokenizer_header(SectionReader& reader);

/// The numbers of a line with single blanks between them.
/// @throws Error kFormat for anything else; `line_begin` is the offset of the line.
std::vector<std::int64_t> read_numbers(const SectionReader& reader, std::string_view line,
                                       std::size_t line_begin);

}  // namespace llm2mnn::verify
