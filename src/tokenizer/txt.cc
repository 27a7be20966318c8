#include "tokenizer/txt.h"

#include <algorithm>
#include <fmt/format.h>
#include <string_view>
#include <vector>

namespace llm2mnn {

namespace {

bool fits_a_line(std::string_view text) {
  return !text.empty() && text.find_first_of(std::string_view("\n\r\0", 3)) == std::string_view::npos;
}

void append_header(const TokenizerModel& model, const RuntimeTexts& texts, std::string& out) {
  std::vector<const AddedToken*> special;
  for (const AddedToken& token : model.added) {
    if (fits_a_line(token.content)) special.push_back(&token);
  }
  std::stable_sort(special.begin(), special.end(), [](const AddedToken* a, const AddedToken* b) {
    return a->content.size() > b->content.size();
  });
  out += fmt::format("430 3\n{} {} {}\n", special.size(), texts.stop_ids.size(), model.prefix_ids.size());
  for (const AddedToken* token : special)
    out += fmt::format("{} ", token->id);
  for (const std::int64_t id : texts.stop_ids)
    out += fmt::format("{} ", id);
  for (const std::uint32_t id : model.prefix_ids)
    out += fmt::format("{} ", id);
  out += '\n';
}

/// Lines of the vocabulary, by id; text that fits no line becomes a filler.
void append_vocabulary(const PieceTable& table, std::string& out) {
  std::vector<std::uint32_t> index_of(table.size());
  for (std::size_t i = 0; i < table.size(); ++i)
    index_of[table.id(i)] = static_cast<std::uint32_t>(i);
  for (std::size_t id = 0; id < table.size(); ++id) {
    const std::string_view text = table.text(index_of[id]);
    if (fits_a_line(text)) {
      out += text;
    } else {
      out += fmt::format("<|line_{}|>", id);
    }
    out += '\n';
  }
}

std::string describe_limits(const TokenizerModel& model, bool whole_alphabet) {
  std::string limits =
      "tokenizer.txt is for runtimes before 3.5: right for English, CJK and other text whose words hold no "
      "accented "
      "letters; splits numbers into digits; no ";
  limits += model.normalizers.empty() ? "" : "NFC, ";
  limits += "chat template or BOS text";
  if (!whole_alphabet) limits += "; stops the program at bytes that the vocabulary lacks";
  return limits;
}

}  // namespace

TxtFile write_txt(const TokenizerModel& model, const RuntimeTexts& texts) {
  TxtFile file;
  std::string& out = file.bytes;
  const PieceTable table = whole_table(model);
  const PieceTable& pieces = model.bpe.pieces;
  constexpr std::size_t kBytesPerLine = 12;
  out.reserve(kBytesPerLine * (table.size() + model.bpe.merges.size()));
  append_header(model, texts, out);

  std::vector<std::uint32_t> index_of(table.size());
  for (std::size_t i = 0; i < pieces.size(); ++i)
    index_of[pieces.id(i)] = static_cast<std::uint32_t>(i);
  std::string merges;
  std::size_t num_merges = 0;
  for (const BpeMerge& merge : model.bpe.merges) {
    const std::string_view left = pieces.text(index_of[merge.left]),
                           right = pieces.text(index_of[merge.right]);
    const auto is_plain = [](std::string_view text) {
      return fits_a_line(text) && text.find(' ') == std::string_view::npos;
    };
    if (!is_plain(left) || !is_plain(right)) continue;  // outside the byte alphabet: never met in a text
    merges += fmt::format("{} {}\n", left, right);
    ++num_merges;
  }
  out += fmt::format("{} {}\n", table.size(), num_merges);
  append_vocabulary(table, out);
  out += merges;

  bool whole_alphabet = true;
  for (unsigned byte = 0; byte < 256; ++byte) {
    std::string piece;
    append_utf8(piece, byte_alphabet(static_cast<std::uint8_t>(byte)));
    whole_alphabet = whole_alphabet && pieces.find(piece).has_value();
  }
  file.limits = describe_limits(model, whole_alphabet);
  return file;
}

}  // namespace llm2mnn
