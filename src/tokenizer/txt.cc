#include "tokenizer/txt.h"

#include <algorithm>
#include <cstdint>
#include <fmt/format.h>
#include <iterator>
#include <string_view>
#include <vector>

#include "tokenizer/base64.h"
#include "tokenizer/mtok_plan.h"

namespace llm2mnn {

namespace {

enum class TxtForm : int { kSentencePiece = 0, kTiktoken = 1, kBert = 2, kHuggingFace = 3 };

/// Types of SentencePiece's pieces.
enum class PieceType : int { kNormal = 1, kUnknown = 2, kUserDefined = 4, kByte = 6 };

TxtForm form_of(const TokenizerModel& model) {
  if (std::holds_alternative<WordPieceModel>(model.model) ||
      std::holds_alternative<WordLevelModel>(model.model))
    return TxtForm::kBert;
  if (model.bpe() == nullptr || !is_byte_level(model)) return TxtForm::kSentencePiece;
  return model.bpe()->merges.empty() ? TxtForm::kTiktoken : TxtForm::kHuggingFace;
}

bool fits_a_line(std::string_view text) {
  return !text.empty() &&
         std::none_of(text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r' || c == '\0'; });
}

void append_header(TxtForm form, const TokenizerModel& model, const RuntimeTexts& texts, std::string& out) {
  std::vector<const AddedToken*> special;
  for (const AddedToken& token : model.added) {
    if (fits_a_line(token.content)) special.push_back(&token);
  }
  std::stable_sort(special.begin(), special.end(), [](const AddedToken* a, const AddedToken* b) {
    return a->content.size() > b->content.size();
  });
  out += fmt::format("430 {}\n{} {} {}\n", static_cast<int>(form), special.size(), texts.stop_ids.size(),
                     model.prefix_ids.size());
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

void append_hugging_face(const BpeModel& bpe, const IdTable& table, std::string& out) {
  // Parts of merges are pieces, and the table has the pieces' own texts: an added token with a piece's id has
  // its text too.
  std::string merges;
  std::size_t num_merges = 0;
  for (const BpeMerge& merge : bpe.merges) {
    if (append_merge(table.text(merge.left), table.text(merge.right), merges)) ++num_merges;
  }
  out += fmt::format("{} {}\n", table.size(), num_merges);
  append_vocabulary(table, out);
  out += merges;
}

void append_base64_lines(const TokenizerModel& model, const IdTable& table, bool spells_bytes,
                         std::string& out) {
  out += fmt::format("{}\n", table.size());
  std::string bytes;
  for (std::size_t id = 0; id < table.size(); ++id) {
    const std::string_view text = table.text(id);
    const bool is_added = model.find_added(text) != nullptr;
    append_base64(spells_bytes && !is_added && from_byte_alphabet(text, bytes) ? bytes : text, out);
    out += '\n';
  }
}

struct ScoredPiece {
  double score = 0;
  PieceType type = PieceType::kUserDefined;  // found as a whole, never merged
};

/// A piece's score is the rank of the first merge that makes it: higher is earlier.
std::vector<ScoredPiece> scores_of(const BpeModel& bpe, const TokenizerModel& model, const IdTable& table) {
  std::vector<ScoredPiece> pieces(table.size());
  for (std::size_t rank = bpe.merges.size(); rank-- > 0;)
    pieces[bpe.merges[rank].merged] = {-static_cast<double>(rank), PieceType::kNormal};
  for (std::size_t i = 0; i < model.pieces.size(); ++i) {
    const std::string_view text = model.pieces.text(i);
    ScoredPiece& piece = pieces[model.pieces.id(i)];
    if (byte_of_piece(text)) piece = {0, PieceType::kByte};
    if (!bpe.unk_token.empty() && text == bpe.unk_token) piece = {0, PieceType::kUnknown};
  }
  return pieces;
}

std::vector<ScoredPiece> scores_of(const UnigramModel& unigram, const TokenizerModel& model,
                                   const IdTable& table) {
  std::vector<ScoredPiece> pieces(table.size());
  for (std::size_t i = 0; i < model.pieces.size(); ++i) {
    const std::uint32_t id = model.pieces.id(i);
    const std::string_view text = model.pieces.text(i);
    pieces[id] = {unigram.scores[i], PieceType::kNormal};
    if (byte_of_piece(text)) pieces[id].type = PieceType::kByte;
    if (unigram.unk_id == id) pieces[id].type = PieceType::kUnknown;
  }
  return pieces;
}

void append_sentence_piece(const TokenizerModel& model, const IdTable& table, std::string& out) {
  const auto* unigram = std::get_if<UnigramModel>(&model.model);
  std::vector<ScoredPiece> pieces =
      unigram != nullptr ? scores_of(*unigram, model, table) : scores_of(*model.bpe(), model, table);
  for (const AddedToken& token : model.added) {
    if (pieces[token.id].type != PieceType::kUnknown) pieces[token.id] = ScoredPiece{};
  }
  out += fmt::format("{}\n", table.size());
  for (std::size_t id = 0; id < table.size(); ++id) {
    append_base64(table.text(id), out);
    fmt::format_to(std::back_inserter(out), " {} {}\n", pieces[id].score, static_cast<int>(pieces[id].type));
  }
}

/// Whether plain text gets a blank in front, as form 0 always puts one.
bool prepends_blank(const TokenizerModel& model) {
  return std::any_of(model.normalizers.begin(), model.normalizers.end(),
                     [](const auto& step) {
                       return step.kind == NormalizerStep::Kind::kPrepend && step.content == kMetaspace;
                     }) ||
         std::any_of(model.pre_tokenizers.begin(), model.pre_tokenizers.end(), [](const auto& step) {
           return step.kind == PreTokenizerStep::Kind::kMetaspace &&
                  step.prepend_scheme != PrependScheme::kNever;
         });
}

std::string hugging_face_limits(const TokenizerModel& model) {
  std::string limits =
      "tokenizer.txt is for runtimes before 3.5: right for English, CJK and other text whose words hold no "
      "accented letters; splits numbers into digits; no ";
  limits += model.normalizers.empty() ? "" : "NFC, ";
  limits += "chat template or BOS text";
  if (!has_whole_alphabet(model.pieces)) limits += "; stops the program at bytes that the vocabulary lacks";
  return limits;
}

std::string sentence_piece_limits(const TokenizerModel& model) {
  std::string limits = "tokenizer.txt is for runtimes from 3.2.4 on: ";
  limits += model.bpe() == nullptr ? "approximate, pieces are found by their scores one pair at a time; "
                                   : "right for plain text; ";
  if (!prepends_blank(model)) limits += "a text that starts without a blank gets one; ";
  return limits + "no normalisation, chat template or BOS text";
}

std::string describe_limits(TxtForm form, const TokenizerModel& model) {
  switch (form) {
    case TxtForm::kSentencePiece:
      return sentence_piece_limits(model);
    case TxtForm::kTiktoken:
      return "tokenizer.txt is for runtimes before 3.5: approximate, the longest piece is taken at each "
             "place; no "
             "split into words, chat template or BOS text";
    case TxtForm::kBert:
      return "tokenizer.txt is for runtimes before 3.5: right for English in lower case; accents stay, "
             "generated "
             "text shows the prefix of continued words; no chat template";
    case TxtForm::kHuggingFace:
      break;
  }
  return hugging_face_limits(model);
}

}  // namespace

TxtFile write_txt(const TokenizerModel& model, const IdTable& table, const RuntimeTexts& texts) {
  TxtFile file;
  std::string& out = file.bytes;
  const TxtForm form = form_of(model);
  constexpr std::size_t kBytesPerLine = 16;
  out.reserve(kBytesPerLine * (table.size() + (model.bpe() == nullptr ? 0 : model.bpe()->merges.size())));
  append_header(form, model, texts, out);
  switch (form) {
    case TxtForm::kSentencePiece:
      append_sentence_piece(model, table, out);
      break;
    case TxtForm::kTiktoken:
      append_base64_lines(model, table, true, out);
      break;
    case TxtForm::kBert:
      append_base64_lines(model, table, false, out);
      break;
    case TxtForm::kHuggingFace:
      append_hugging_face(*model.bpe(), table, out);
      break;
  }
  file.limits = describe_limits(form, model);
  return file;
}

}  // namespace llm2mnn
