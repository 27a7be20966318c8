#pragma once
// The lines of a tokenizer.txt whose pieces are in base64 (types 0, 1 and 2).

#include <string>
#include <string_view>
#include <vector>

#include "verify/section_reader.h"

namespace llm2mnn::verify {

struct TxtPieces {
  std::string bytes;                     ///< all pieces, one after the other
  std::vector<std::string_view> pieces;  ///< by id, in `bytes`
  std::vector<float> scores;             ///< type 0 only
  std::vector<std::uint8_t> types;       ///< type 0 only: 1 normal, 2 unknown, ... 6 byte
};

/// @throws Error kFormat with byte offset: not base64, no score, too few or too many lines, ...
void read_txt_pieces(SectionReader& reader, bool scored, TxtPieces& pieces);

/// The numbers of the line that says how many lines follow.
std::vector<std::int64_t> read_txt_counts(SectionReader& reader, std::size_t expected);

/// @throws Error kFormat when anything follows the last line.
void expect_end(const SectionReader& reader);

}  // namespace llm2mnn::verify
