#include "tokenizer/word_piece.h"

#include <algorithm>
#include <string>

#include "base/error.h"

namespace llm2mnn {

namespace {

std::uint32_t unknown_id(const PieceTable& pieces, std::string_view unk_token, std::string_view word) {
  const auto id = pieces.find_id(unk_token);
  if (!id) {
    fail(ErrorKind::kUnsupported, "no piece for {} and the unknown token {} is not in the vocabulary",
         shown(word), shown(unk_token));
  }
  return *id;
}

}  // namespace

void encode_word_piece(const PieceTable& pieces, const WordPieceModel& model, std::size_t longest,
                       std::string_view word, std::vector<std::uint32_t>& out) {
  std::vector<std::size_t> starts;  // of the characters, and the end
  for (std::size_t pos = 0; pos < word.size(); next_code_point(word, pos))
    starts.push_back(pos);
  if (starts.size() > model.max_input_chars_per_word) {
    out.push_back(unknown_id(pieces, model.unk_token, word));
    return;
  }
  starts.push_back(word.size());
  const std::size_t first = out.size();
  std::string piece;
  for (std::size_t begin = 0; begin + 1 < starts.size();) {
    std::size_t end = std::min(starts.size() - 1, begin + longest);
    for (; end > begin; --end) {
      piece = begin == 0 ? std::string() : model.continuing_subword_prefix;
      piece += word.substr(starts[begin], starts[end] - starts[begin]);
      if (const auto id = pieces.find_id(piece)) {
        out.push_back(*id);
        break;
      }
    }
    if (end == begin) {
      out.resize(first);
      out.push_back(unknown_id(pieces, model.unk_token, word));
      return;
    }
    begin = end;
  }
}

void encode_word_level(const PieceTable& pieces, const WordLevelModel& model, std::string_view word,
                       std::vector<std::uint32_t>& out) {
  const auto id = pieces.find_id(word);
  out.push_back(id ? *id : unknown_id(pieces, model.unk_token, word));
}

}  // namespace llm2mnn
