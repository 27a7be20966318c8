#include <algorithm>
#include <array>
#include <utility>

#include "tokenizer/hf_components.h"
#include "tokenizer/hf_json.h"

namespace llm2mnn::hf {

namespace {

void read_merges(const MergeTexts& texts, const PieceTable& pieces, std::string_view subword_prefix,
                 BpeModel& bpe) {
  // A vocabulary is larger than the caches: the looks at it go ahead of their use.
  constexpr std::size_t kAhead = 16;
  struct Part {
    std::string_view text;
    std::uint32_t prefetched = 0;
  };
  struct Parts {
    Part left, right, merged;
    std::string joined;  // what `merged` shows, where the right part loses the prefix
  };
  std::array<Parts, kAhead> waiting;
  const auto look = [&](std::size_t rank) {
    Parts& parts = waiting[rank % kAhead];
    parts.left.text = texts.left(rank);
    parts.right.text = texts.right(rank);
    parts.merged.text = texts.merged(rank);
    if (!subword_prefix.empty()) {
      // It is no longer the begin of a piece.
      parts.joined = parts.left.text;
      parts.joined += parts.right.text.substr(std::min(parts.right.text.size(), subword_prefix.size()));
      parts.merged.text = parts.joined;
    }
    for (Part* part : {&parts.left, &parts.right, &parts.merged})
      part->prefetched = pieces.prefetch(part->text);
  };
  const auto id_of = [&](std::size_t rank, const Part& part) {
    const auto id = pieces.find_id(part.text, part.prefetched);
    if (!id) {
      fail(ErrorKind::kFormat, "model.merges[{}]: {} + {}: {} is not in the vocabulary", rank,
           shown(texts.left(rank), 40), shown(texts.right(rank), 40), shown(part.text, 40));
    }
    return *id;
  };
  bpe.merges.reserve(texts.size());
  for (std::size_t rank = 0; rank < std::min(kAhead, texts.size()); ++rank)
    look(rank);
  for (std::size_t rank = 0; rank < texts.size(); ++rank) {
    const Parts& parts = waiting[rank % kAhead];
    const std::uint32_t left = id_of(rank, parts.left);
    const std::uint32_t right = id_of(rank, parts.right);
    bpe.merges.push_back({left, right, id_of(rank, parts.merged)});
    if (rank + kAhead < texts.size()) look(rank + kAhead);
  }
}

void check_dropout(const JsonValue& members) {
  const JsonValue* dropout = present(members, "dropout");
  if (dropout != nullptr && (!dropout->is_number() || dropout->as_double() != 0)) {
    fail(ErrorKind::kUnsupported, "model BPE: dropout {} is not supported: it makes the ids random",
         shown(dropout->dump(), 40));
  }
}

/// A token that must be a piece; empty when there is none.
std::string unk_token_of(const JsonValue& members, std::string_view fallback, const PieceTable& pieces,
                         std::string_view what) {
  std::string token = string_member(members, "unk_token", fallback, what);
  if (!token.empty() && !pieces.find(token)) {
    fail(ErrorKind::kFormat, "{}: unk_token {} is not in the vocabulary", what, shown(token));
  }
  return token;
}

BpeModel read_bpe(const JsonValue& members, const TokenizerJson& document) {
  constexpr std::string_view kWhat = "model BPE";
  check_members(members,
                {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
                 "byte_fallback", "ignore_merges"},
                kWhat);
  check_dropout(members);
  BpeModel bpe;
  if (present(members, "unk_token") != nullptr) {
    std::string token = string_member(members, "unk_token", kWhat);
    if (document.vocab.find(token)) {
      bpe.unk_token = std::move(token);
    } else {
      bpe.missing_unk_token = std::move(token);
    }
  }
  bpe.fuse_unk = bool_member(members, "fuse_unk", false, kWhat);
  bpe.byte_fallback = bool_member(members, "byte_fallback", false, kWhat);
  bpe.ignore_merges = bool_member(members, "ignore_merges", false, kWhat);
  bpe.continuing_subword_prefix = string_member(members, "continuing_subword_prefix", "", kWhat);
  bpe.end_of_word_suffix = string_member(members, "end_of_word_suffix", "", kWhat);
  read_merges(document.merges, document.vocab, bpe.continuing_subword_prefix, bpe);
  return bpe;
}

UnigramModel read_unigram(const JsonValue& members, TokenizerJson& document) {
  constexpr std::string_view kWhat = "model Unigram";
  check_members(members, {"unk_id", "byte_fallback"}, kWhat);
  UnigramModel unigram;
  if (present(members, "unk_id") != nullptr) {
    unigram.unk_id = count_member(members, "unk_id", 0, kWhat);
    if (*unigram.unk_id >= document.vocab.size()) {
      fail(ErrorKind::kFormat, "{}: unk_id {} is not below the {} pieces", kWhat, *unigram.unk_id,
           document.vocab.size());
    }
  }
  unigram.byte_fallback = bool_member(members, "byte_fallback", false, kWhat);
  unigram.scores = std::move(document.scores);
  return unigram;
}

WordPieceModel read_word_piece(const JsonValue& members, const PieceTable& pieces) {
  constexpr std::string_view kWhat = "model WordPiece";
  check_members(members, {"unk_token", "continuing_subword_prefix", "max_input_chars_per_word"}, kWhat);
  WordPieceModel word_piece;
  word_piece.unk_token = unk_token_of(members, "[UNK]", pieces, kWhat);
  word_piece.continuing_subword_prefix = string_member(members, "continuing_subword_prefix", "##", kWhat);
  word_piece.max_input_chars_per_word = count_member(members, "max_input_chars_per_word", 100, kWhat);
  return word_piece;
}

WordLevelModel read_word_level(const JsonValue& members, const PieceTable& pieces) {
  check_members(members, {"unk_token"}, "model WordLevel");
  return {unk_token_of(members, "<unk>", pieces, "model WordLevel")};
}

/// Files from before 2020 have no type; the members tell.
std::string model_type(const TokenizerJson& document) {
  const JsonValue* type = document.model_member("type");
  if (type != nullptr && type->is_string()) return std::string(type->as_string());
  if (type == nullptr && document.has_vocab_map) {
    if (document.merges.size() != 0) return "BPE";
    if (document.model_member("continuing_subword_prefix") != nullptr) return "WordPiece";
  }
  if (type == nullptr && document.has_vocab_list) return "Unigram";
  fail(ErrorKind::kFormat, "model: expected a type");
}

}  // namespace

void read_model(TokenizerJson& document, TokenizerModel& model) {
  if (!document.has_model) fail(ErrorKind::kFormat, "expected a member 'model'");
  const std::string type = model_type(document);
  const bool is_unigram = type == "Unigram";
  if (is_unigram ? !document.has_vocab_list : !document.has_vocab_map) {
    fail(ErrorKind::kFormat, "model.vocab: expected {}",
         is_unigram ? "a list of pieces and scores" : "an object of pieces and ids");
  }
  check_unique_ids(document.vocab, "model.vocab");
  const JsonValue members = JsonValue::make_object(std::move(document.model));
  if (type == "BPE") {
    model.model = read_bpe(members, document);
  } else if (is_unigram) {
    model.model = read_unigram(members, document);
  } else if (type == "WordPiece") {
    model.model = read_word_piece(members, document.vocab);
  } else if (type == "WordLevel") {
    model.model = read_word_level(members, document.vocab);
  } else {
    fail(ErrorKind::kUnsupported, "model type {} is not known to this version", shown(type));
  }
  model.pieces = std::move(document.vocab);
}

}  // namespace llm2mnn::hf
