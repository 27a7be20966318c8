#include "verify/mtok_model_reader.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string>

namespace llm2mnn::verify {
namespace {

/// The runtime compares ranks with this and takes none that is not below.
constexpr std::uint32_t kRankLimit = 1'000'000'000;
constexpr std::uint32_t kMaxInt = 0x7FFFFFFF;
constexpr std::size_t kMergeBytes = 12;

bool is_byte_name(std::string_view text) {
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); };
  return text.size() == 6 && text.starts_with("<0x") && text.back() == '>' && is_digit(text[3]) &&
         is_digit(text[4]);
}

/// A second way to an id: the runtime encodes both texts to it and prints the later one in the order of the
/// table. Wanted for texts that no user writes, which sort before all others, and for the names of bytes,
/// which a BPE looks up for a character that is no piece: without pieces for bytes they are the unknown
/// token's, one id for all.
bool may_share(const MtokModel& model, std::string_view text, std::uint32_t id,
               std::optional<std::uint32_t>& named_by_bytes) {
  if (!text.empty() && static_cast<unsigned char>(text.front()) < ' ') return true;
  if (model.kind != MtokModel::Kind::kBpe || !is_byte_name(text)) return false;
  return id == *(named_by_bytes ? named_by_bytes : named_by_bytes = id);
}

void read_pieces(SectionReader& reader, MtokModel& model, std::uint32_t count, bool scored) {
  model.pieces.reserve(count);
  model.id_to_text.resize(count);
  model.index.reserve(count);
  std::vector<bool> taken(count, false);
  if (scored) model.scores.resize(count);
  std::optional<std::uint32_t> named_by_bytes;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::size_t begin = reader.offset();
    MtokPiece piece;
    piece.text = reader.text("a piece");
    piece.id = reader.u32("the id of a piece");
    if (i > 0 && piece.text <= model.pieces.back().text)
      reader.refuse_at(begin, "piece {} is not above the one before it, {}", shown(piece.text),
                       shown(model.pieces.back().text));
    if (piece.id >= count)
      reader.refuse_at(begin, "piece {} has id {}, the table has {}", shown(piece.text), piece.id, count);
    if (taken[piece.id] && !may_share(model, model.id_to_text[piece.id], piece.id, named_by_bytes))
      reader.refuse_at(begin, "id {} is given twice", piece.id);
    taken[piece.id] = true;
    model.id_to_text[piece.id] = piece.text;
    if (scored) {
      model.scores[piece.id] = reader.f64("a score");
      if (!std::isfinite(model.scores[piece.id]))
        reader.refuse_at(begin, "the score of piece {} is no number", shown(piece.text));
    }
    model.index.add(piece.text, piece.id);
    model.pieces.push_back(piece);
  }
}

/// Fills in `merged`. The runtime stops all merging of a word when the result of one merge is no piece.
void find_merged_pieces(const SectionReader& reader, MtokModel& model, std::size_t begin) {
  // A vocabulary is larger than the caches: the looks at it go ahead of their use.
  constexpr std::size_t kAhead = 16;
  struct Waiting {
    std::string text;
    std::uint32_t prefetched = 0;
  };
  std::array<Waiting, kAhead> waiting;
  const std::vector<MtokMerge>& merges = model.merges;
  const auto look = [&](std::size_t i) {
    Waiting& next = waiting[i % kAhead];
    next.text = model.id_to_text[merges[i].left];
    next.text += model.id_to_text[merges[i].right];
    next.prefetched = model.index.prefetch(next.text);
  };
  for (std::size_t i = 0; i < std::min(kAhead, merges.size()); ++i)
    look(i);
  for (std::size_t i = 0; i < merges.size(); ++i) {
    const Waiting& now = waiting[i % kAhead];
    const std::int64_t id = model.index.find(now.text, now.prefetched);
    if (id == PieceIndex::kAbsent)
      reader.refuse_at(begin + kMergeBytes * i, "merge of {} and {} makes {}, which is no piece",
                       merges[i].left, merges[i].right, shown(now.text));
    model.merges[i].merged = static_cast<std::uint32_t>(id);
    if (i + kAhead < merges.size()) look(i + kAhead);
  }
}

void read_merges(SectionReader& reader, MtokModel& model, std::uint32_t count) {
  reader.enter("merges");
  const std::size_t ids = model.pieces.size();
  const std::size_t first = reader.offset();
  if (count > reader.remaining() / kMergeBytes)
    reader.refuse_at(reader.offset(), "{} merges do not fit into the {} bytes that follow", count,
                     reader.remaining());
  model.merges.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::size_t begin = reader.offset();
    MtokMerge merge;
    merge.left = reader.u32("the left id");
    merge.right = reader.u32("the right id");
    merge.rank = reader.u32("the rank");
    if (merge.left >= ids || merge.right >= ids)
      reader.refuse_at(begin, "merge of {} and {}, the table has {} ids", merge.left, merge.right, ids);
    if (merge.rank >= kRankLimit)
      reader.refuse_at(begin, "rank {} of a merge is beyond what the runtime compares", merge.rank);
    if (i > 0) {
      const MtokMerge& last = model.merges.back();
      if (merge.left < last.left || (merge.left == last.left && merge.right <= last.right))
        reader.refuse_at(begin, "merge of {} and {} is not above the one before it", merge.left, merge.right);
    }
    model.merges.push_back(merge);
  }
  find_merged_pieces(reader, model, first);
}

void read_bpe(SectionReader& reader, MtokModel& model, std::uint32_t count) {
  reader.flag("byte_fallback");
  model.byte_level = reader.flag("byte_level");
  const std::uint32_t merges = reader.u32("the count of merges");
  read_pieces(reader, model, count, false);
  read_merges(reader, model, merges);
}

void read_word_piece(SectionReader& reader, MtokModel& model, std::uint32_t count) {
  const std::size_t begin = reader.offset();
  model.kind = MtokModel::Kind::kWordPiece;
  model.unk_text = reader.text("the unknown token");
  model.subword_prefix = reader.text("the prefix");
  model.max_bytes = reader.u32("the longest word");
  if (model.max_bytes == 0 || model.max_bytes > kMaxInt)
    reader.refuse_at(begin, "the longest word has {} bytes", model.max_bytes);
  read_pieces(reader, model, count, false);
  const std::int64_t unk = model.index.find(model.unk_text);
  if (unk == PieceIndex::kAbsent)
    reader.refuse_at(begin, "the unknown token {} is no piece", shown(model.unk_text));
  model.unk_id = static_cast<std::uint32_t>(unk);
}

void read_unigram(SectionReader& reader, MtokModel& model, std::uint32_t count) {
  const std::size_t begin = reader.offset();
  model.kind = MtokModel::Kind::kUnigram;
  model.unk_id = reader.u32("the id of the unknown token");
  if (model.unk_id >= count)
    reader.refuse_at(begin, "the unknown token has id {}, the table has {}", model.unk_id, count);
  model.byte_fallback = reader.flag("byte_fallback");
  read_pieces(reader, model, count, true);
  if (!model.byte_fallback) return;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const std::string name = fmt::format("<0x{:02X}>", byte);
    if (model.index.find(name) == PieceIndex::kAbsent)
      reader.refuse_at(begin, "byte_fallback without the piece {}", shown(name));
  }
}

}  // namespace

MtokModel read_mtok_model(SectionReader& reader) {
  reader.enter("model");
  const std::size_t begin = reader.offset();
  const std::uint8_t type = reader.u8("the model's type");
  if (type > 2) reader.refuse_at(begin, "unknown type {} of a model, expected 0 to 2", type);
  const std::uint32_t count = reader.count(6, "pieces");
  if (count == 0 || count > kMaxInt) reader.refuse_at(begin, "a model of {} pieces", count);
  MtokModel model;
  if (type == 0) read_bpe(reader, model, count);
  if (type == 1) read_word_piece(reader, model, count);
  if (type == 2) read_unigram(reader, model, count);
  return model;
}

}  // namespace llm2mnn::verify
