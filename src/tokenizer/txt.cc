#include "tokenizer/txt.h"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <string_view>
#include <vector>

namespace llm2mnn {

namespace {

bool fits_a_line(std::string_view text) {
  return !text.empty() &&
         std::none_of(text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r' || c == '\0'; });
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
void append_vocabulary(const IdTable& table, std::string& out) {
  for (std::size_t id = 0; id < table.size(); ++id) {
    if (fits_a_line(table.text(id))) {
      out += table.text(id);
    } else {
      fmt::format_to(std::back_inserter(out), "<|line_{}|>", id);
    }
    out += '\n';
  }
}

bool append_merge(std::string_view left, std::string_view right, std::string& out) {
  const auto is_plain = [](std::string_view text) {
    return fits_a_line(text) && text.find(' ') == std::string_view::npos;
  };
  if (!is_plain(left) || !is_plain(right)) return false;  // outside the byte alphabet: never met in a text
  out += left;
  out += ' ';
  out += right;
  out += '\n';
  return true;
}

std::string describe_limits(const TokenizerModel& model) {
  std::string limits =
      "tokenizer.txt is for runtimes before 3.5: right for English, CJK and other text whose words hold no "
      "accented letters; splits numbers into digits; no ";
  limits += model.normalizers.empty() ? "" : "NFC, ";
  limits += "chat template or BOS text";
  if (!has_whole_alphabet(model.pieces)) limits += "; stops the program at bytes that the vocabulary lacks";
  return limits;
}

}  // namespace

TxtFile write_txt(const TokenizerModel& model, const IdTable& table, const RuntimeTexts& texts) {
  TxtFile file;
  std::string& out = file.bytes;
  constexpr std::size_t kBytesPerLine = 12;
  out.reserve(kBytesPerLine * (table.size() + model.bpe()->merges.size()));
  append_header(model, texts, out);

  // Parts of merges are pieces, and the table has the pieces' own texts: an added token with a piece's id has
  // its text too.
  std::string merges;
  std::size_t num_merges = 0;
  for (const BpeMerge& merge : model.bpe()->merges) {
    if (append_merge(table.text(merge.left), table.text(merge.right), merges)) ++num_merges;
  }
  out += fmt::format("{} {}\n", table.size(), num_merges);
  append_vocabulary(table, out);
  out += merges;

  file.limits = describe_limits(model);
  return file;
}

}  // namespace llm2mnn
