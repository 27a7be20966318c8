#include "verify/mtok_pipeline.h"

#include <algorithm>
#include <charconv>

#include "verify/runtime_normalizer.h"
#include "verify/runtime_unicode.h"

namespace llm2mnn::verify {
namespace {

constexpr std::string_view kMetaspace = "\xE2\x96\x81";

/// The value of `<0xH` or `<0xHH` at the start of `text`, or -1; the runtime never looks at the `>`.
int leading_byte_piece(std::string_view text) {
  constexpr std::string_view kStart = "<0x";
  if (text.size() < 6 || !text.starts_with(kStart)) return -1;
  int value = 0;
  const auto read = std::from_chars(text.data() + 3, text.data() + 5, value, 16);
  return read.ec == std::errc{} && value >= 0 ? value : -1;
}

std::string with_blanks_and_bytes(std::string_view piece) {
  std::string out;
  for (std::size_t at = 0; at < piece.size();) {
    const std::string_view rest = piece.substr(at);
    if (rest.starts_with(kMetaspace)) {
      out.push_back(' ');
      at += kMetaspace.size();
    } else if (const int byte = leading_byte_piece(rest); byte >= 0) {
      out.push_back(static_cast<char>(byte));
      at += 6;
    } else {
      out.push_back(piece[at++]);
    }
  }
  return out;
}

std::string without_byte_alphabet(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_char(text, at);
    const int byte = c.length == 1 && c.code == 0xFFFD ? -1 : alphabet_byte(c.code);
    if (byte >= 0) {
      out.push_back(static_cast<char>(byte));
    } else {
      out.append(text, at, c.length);
    }
    at += c.length;
  }
  return out;
}

}  // namespace

MtokPipeline::MtokPipeline(MtokFile file)
    : normalizer_(std::move(file.normalizer)),
      pre_tokenizer_(file.pre_tokenizer),
      decoder_(file.decoder),
      added_(std::move(file.added_tokens)),
      model_(std::move(file.model)) {
  for (std::uint32_t i = 0; i < added_.size(); ++i) {
    added_ids_.insert(added_[i].id);
    added_by_byte_[static_cast<unsigned char>(added_[i].content.front())].push_back(i);
  }
  for (auto& tokens : added_by_byte_)
    std::stable_sort(tokens.begin(), tokens.end(), [this](std::uint32_t a, std::uint32_t b) {
      return added_[a].content.size() > added_[b].content.size();
    });
}

const MtokAddedToken* MtokPipeline::added_at(std::string_view text, std::size_t at,
                                             WorkBudget& budget) const {
  constexpr std::size_t kBytesPerStep = 32;
  for (const std::uint32_t i : added_by_byte_[static_cast<unsigned char>(text[at])]) {
    budget.spend(1 + added_[i].content.size() / kBytesPerStep);
    if (text.substr(at).starts_with(added_[i].content)) return &added_[i];
  }
  return nullptr;
}

void MtokPipeline::encode(std::string_view text, std::vector<std::uint32_t>& ids) const {
  WorkBudget budget;
  std::size_t last = 0;
  for (std::size_t at = 0; at < text.size();) {
    const MtokAddedToken* token = added_at(text, at, budget);
    if (!token) {
      ++at;
      continue;
    }
    std::size_t before = at;
    while (token->lstrip && before > last && is_ascii_space(text[before - 1]))
      --before;
    if (before > last) encode_fragment(text.substr(last, before - last), ids, budget);
    ids.push_back(token->id);
    at += token->content.size();
    while (token->rstrip && at < text.size() && is_ascii_space(text[at]))
      ++at;
    last = at;
  }
  if (last < text.size()) encode_fragment(text.substr(last), ids, budget);
}

void MtokPipeline::encode_fragment(std::string_view text, std::vector<std::uint32_t>& ids,
                                   WorkBudget& budget) const {
  const std::string normalized = normalize(normalizer_, std::string(text), budget);
  if (normalized.empty()) return;
  for (const std::string& piece : pre_tokenizer_.split(normalized, budget))
    model_.tokenize(piece, ids, budget);
}

std::string MtokPipeline::decode(std::uint32_t id) const {
  const std::string text = with_blanks_and_bytes(model_.text_of(id));
  if (decoder_.word_piece) {
    const std::string_view prefix = decoder_.word_piece_prefix;
    return !prefix.empty() && text.starts_with(prefix) ? text.substr(prefix.size()) : " " + text;
  }
  return decoder_.byte_level ? without_byte_alphabet(text) : text;
}

}  // namespace llm2mnn::verify
