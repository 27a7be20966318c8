#include "tokenizer/mtok_model.h"

#include <algorithm>
#include <fmt/format.h>
#include <string_view>
#include <utility>

#include "base/overloaded.h"
#include "tokenizer/bpe.h"

namespace llm2mnn {

namespace {

constexpr std::uint8_t kBpe = 0, kWordPiece = 1, kUnigram = 2;

struct Entry {
  std::uint64_t head;  // the first eight bytes, which decide nearly every comparison
  std::string_view text;
  std::uint32_t id;
};

Entry entry_of(std::string_view text, std::uint32_t id) {
  std::uint64_t head = 0;
  for (std::size_t i = 0; i < 8; ++i)
    head = (head << 8) | (i < text.size() ? static_cast<unsigned char>(text[i]) : 0u);
  return {head, text, id};
}

/// In the order of the texts' bytes. Of several entries of one id the last one is its text when decoding.
void sort_entries(std::vector<Entry>& entries) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.head != b.head ? a.head < b.head : a.text < b.text;
  });
}

std::vector<Entry> entries_of(const IdTable& table) {
  std::vector<Entry> entries;
  entries.reserve(table.size());
  for (std::size_t id = 0; id < table.size(); ++id)
    entries.push_back(entry_of(table.text(id), static_cast<std::uint32_t>(id)));
  return entries;
}

void write_entry(const Entry& entry, Bytes& out) {
  out.str(entry.text, "piece");
  out.u32(entry.id);
}

/// The runtime knows no unknown token for BPE, but looks for `<0xHH>` for each byte of a character that is no
/// piece: the lead bytes' names stand for the unknown token, those of the other bytes for nothing.
void add_unknown_entries(const TokenizerModel& model, const BpeModel& bpe, std::vector<std::string>& names,
                         std::vector<std::string>& notes, std::vector<Entry>& entries) {
  if (bpe.unk_token.empty() || model.pieces.find(byte_piece(0xC3))) return;
  const auto unk = model.find_id(bpe.unk_token);
  if (!unk) return;
  constexpr std::uint32_t kFirstContinuation = 0x80, kEndContinuation = 0xC0;
  names.reserve(256);  // entries refer to these
  for (unsigned byte = 1; byte < 256; ++byte) {
    if (byte >= kFirstContinuation && byte < kEndContinuation) continue;
    if (byte_piece(byte) >= bpe.unk_token) {
      notes.emplace_back("tokenizer: the runtime drops characters that are no piece");
      return;  // the name would become the unknown token's text
    }
    entries.push_back(entry_of(names.emplace_back(byte_piece(byte)), *unk));
  }
  if (bpe.fuse_unk) {
    notes.emplace_back(
        "tokenizer: the runtime gives one unknown token per unknown character, not one per run");
  }
}

/// Ascending by (left, right).
std::vector<RankedMerge> merges_of(const BpeModel& bpe, const WholeWordPlan& whole_words) {
  std::vector<RankedMerge> merges = sorted_merges(bpe);
  if (whole_words.merges.empty()) return merges;
  for (RankedMerge& merge : merges)
    merge.rank += static_cast<std::uint32_t>(whole_words.merges.size());
  merges.insert(merges.end(), whole_words.merges.begin(), whole_words.merges.end());
  std::sort(merges.begin(), merges.end(), [](const RankedMerge& a, const RankedMerge& b) {
    return std::pair(a.left, a.right) < std::pair(b.left, b.right);
  });
  return merges;
}

void write_bpe(const TokenizerModel& model, const BpeModel& bpe, const IdTable& table, const MtokPlan& plan,
               std::vector<std::string>& notes, Bytes& out) {
  if (!bpe.continuing_subword_prefix.empty() || !bpe.end_of_word_suffix.empty()) {
    fail(ErrorKind::kUnsupported,
         "model BPE: {} is not supported: the runtime's BPE knows neither a prefix nor a suffix of pieces",
         bpe.end_of_word_suffix.empty() ? "continuing_subword_prefix" : "end_of_word_suffix");
  }
  std::vector<std::string> names;
  std::vector<Entry> entries = entries_of(table);
  if (!is_byte_level(model)) add_unknown_entries(model, bpe, names, notes, entries);
  for (const WholeWordPlan::Entry& entry : plan.whole_words.entries)
    entries.push_back(entry_of(entry.text, entry.id));
  sort_entries(entries);
  const std::vector<RankedMerge> merges = merges_of(bpe, plan.whole_words);
  out.u8(kBpe);
  out.count(entries.size());
  out.flag(bpe.byte_fallback);
  out.flag(plan.byte_level_model);
  out.count(merges.size());
  for (const Entry& entry : entries)
    write_entry(entry, out);
  for (const RankedMerge& merge : merges) {
    out.u32(merge.left);
    out.u32(merge.right);
    out.u32(merge.rank);
  }
}

/// WordLevel is a WordPiece whose continuations never occur.
void write_word_piece(const TokenizerModel& model, const std::string& unk_token, std::string_view prefix,
                      std::uint32_t max_bytes, const IdTable& table, Bytes& out) {
  if (!model.find_id(unk_token)) {
    fail(ErrorKind::kUnsupported, "model {}: unk_token {} is not in the vocabulary", kind_name(model),
         shown(unk_token));
  }
  std::vector<Entry> entries = entries_of(table);
  sort_entries(entries);
  out.u8(kWordPiece);
  out.count(entries.size());
  out.str(unk_token, "unk_token");
  out.str(prefix, "continuing_subword_prefix");
  out.u32(max_bytes);
  for (const Entry& entry : entries)
    write_entry(entry, out);
}

/// Scores by id. The runtime weighs byte pieces against the others, the reference puts them in afterwards for
/// an unknown character: its first byte costs what the character would, the others nothing.
std::vector<double> runtime_scores(const TokenizerModel& model, const UnigramModel& unigram,
                                   const IdTable& table, std::uint32_t unk_id) {
  constexpr double kUnkPenalty = 10;     // of the reference
  constexpr double kNeverChosen = -1e6;  // added tokens and fillers are no pieces
  std::vector<double> scores(table.size(), kNeverChosen);
  double lowest = 0;
  for (std::size_t i = 0; i < model.pieces.size(); ++i)
    lowest = std::min(lowest, unigram.scores[i]);
  for (std::size_t i = 0; i < model.pieces.size(); ++i) {
    double& score = scores[model.pieces.id(i)];
    score = unigram.scores[i];
    const std::string_view text = model.pieces.text(i);
    const auto byte = unigram.byte_fallback ? byte_of_piece(text) : std::nullopt;
    if (byte && byte_piece(*byte) == text) score = *byte >= 0x80 && *byte < 0xC0 ? 0 : lowest - kUnkPenalty;
  }
  scores[unk_id] = lowest - kUnkPenalty;
  return scores;
}

void write_unigram(const TokenizerModel& model, const UnigramModel& unigram, const IdTable& table,
                   std::vector<std::string>& notes, Bytes& out) {
  std::uint32_t unk_id = unigram.unk_id.value_or(0);
  if (!unigram.unk_id) {
    notes.push_back(fmt::format(
        "tokenizer: the model has no unknown token, the runtime needs one: {} stands for unknown characters",
        shown(table.text(unk_id), 40)));
  }
  unsigned num_byte_pieces = 0;
  for (unsigned byte = 0; byte < 256; ++byte)
    num_byte_pieces += model.pieces.find(byte_piece(byte)) ? 1 : 0;
  const bool byte_fallback = unigram.byte_fallback && num_byte_pieces == 256;  // the runtime needs them all
  const std::vector<double> scores = runtime_scores(model, unigram, table, unk_id);
  std::vector<Entry> entries = entries_of(table);
  sort_entries(entries);
  out.u8(kUnigram);
  out.count(entries.size());
  out.u32(unk_id);
  out.flag(byte_fallback);
  for (const Entry& entry : entries) {
    write_entry(entry, out);
    out.f64(scores[entry.id]);
  }
}

}  // namespace

void write_model(const TokenizerModel& model, const IdTable& table, const MtokPlan& plan,
                 std::vector<std::string>& notes, Bytes& out) {
  constexpr std::uint32_t kMaxUtf8Bytes = 4;  // the limit of characters is the pre-tokenizer's
  constexpr std::uint32_t kAnyLength = 0x7FFFFFFF;
  constexpr std::string_view kNeverInText = "\x01";
  std::visit(
      Overloaded{[&](const BpeModel& bpe) { write_bpe(model, bpe, table, plan, notes, out); },
                 [&](const UnigramModel& unigram) { write_unigram(model, unigram, table, notes, out); },
                 [&](const WordPieceModel& pieces) {
                   const std::uint32_t max_bytes =
                       std::min(pieces.max_input_chars_per_word, kAnyLength / kMaxUtf8Bytes) * kMaxUtf8Bytes;
                   write_word_piece(model, pieces.unk_token, pieces.continuing_subword_prefix, max_bytes,
                                    table, out);
                 },
                 [&](const WordLevelModel& words) {
                   write_word_piece(model, words.unk_token, kNeverInText, kAnyLength, table, out);
                 }},
      model.model);
}

}  // namespace llm2mnn
