#include "tokenizer/mtok.h"

#include <algorithm>
#include <fmt/format.h>
#include <string_view>
#include <utility>

#include "base/checked.h"
#include "tokenizer/mtok_bytes.h"
#include "tokenizer/mtok_decoder.h"
#include "tokenizer/mtok_model.h"
#include "tokenizer/mtok_normalizer.h"
#include "tokenizer/mtok_plan.h"
#include "tokenizer/mtok_pre_tokenizer.h"

namespace llm2mnn {

namespace {

void write_header(const TokenizerModel& model, const RuntimeTexts& texts, Bytes& out) {
  // No special ids: the runtime would match them first-come; the list of added tokens is matched
  // leftmost-longest, as in `tokenizers`.
  std::string ids;
  for (const std::int64_t id : texts.stop_ids)
    ids += fmt::format("{} ", id);
  for (const std::uint32_t id : model.prefix_ids)
    ids += fmt::format("{} ", id);
  out.raw(fmt::format("430 4\n0 {} {}\n{}\n", texts.stop_ids.size(), model.prefix_ids.size(), ids));
}

void write_added_token(const AddedToken& token, Bytes& out) {
  out.u32(token.id);
  out.flag(token.special);
  out.flag(token.lstrip);
  out.flag(token.rstrip);
  out.str(token.content, "added token");
}

/// The runtime looks for every added token in the raw text, wherever it stands.
void note_added_tokens(const TokenizerModel& model, std::vector<std::string>& notes) {
  const auto count = [&](auto&& predicate) {
    return std::count_if(model.added.begin(), model.added.end(), predicate);
  };
  const auto whole_words = count([](const AddedToken& token) { return token.single_word; });
  if (whole_words != 0) {
    notes.push_back(fmt::format(
        "tokenizer: {} added tokens that are whole words only are found inside words too", whole_words));
  }
  const bool folds =
      std::any_of(model.normalizers.begin(), model.normalizers.end(), [](const NormalizerStep& step) {
        using Kind = NormalizerStep::Kind;
        return step.kind == Kind::kLowercase || step.kind == Kind::kStripAccents ||
               step.kind == Kind::kNfkc || step.kind == Kind::kNfkd || step.kind == Kind::kPrecompiled ||
               (step.kind == Kind::kBert && (step.lowercase || step.strip_accents.value_or(false)));
      });
  const auto normalized = folds ? count([](const AddedToken& token) { return token.normalized; }) : 0;
  if (normalized != 0) {
    notes.push_back(fmt::format(
        "tokenizer: {} added tokens are found in the raw text, not in the normalized one", normalized));
  }
}

void write_added_tokens(const TokenizerModel& model, std::vector<std::string>& notes, Bytes& out) {
  out.count(model.added.size());
  for (const AddedToken& token : model.added)
    write_added_token(token, out);
  note_added_tokens(model, notes);
}

}  // namespace

std::string write_mtok(const TokenizerModel& model, const IdTable& table, const RuntimeTexts& texts,
                       std::vector<std::string>& notes) {
  Bytes out;
  constexpr std::size_t kBytesPerPiece = 16;  // 6 around a text of 7 on average, with room for the rest
  constexpr std::size_t kBytesPerMerge = 12;
  const std::size_t num_merges = model.bpe() == nullptr ? 0 : model.bpe()->merges.size();
  out.reserve(kBytesPerPiece * model.pieces.size() + kBytesPerMerge * num_merges);
  const bool has_template = !texts.chat_template.empty();
  const MtokPlan plan = plan_mtok(model, checked_cast<std::uint32_t>(table.size()), has_template, notes);
  write_header(model, texts, out);
  write_normalizer(model, plan, notes, out);
  write_pre_tokenizer(model, plan, has_template, notes, out);
  write_model(model, table, plan, notes, out);
  write_decoder(model, notes, out);
  write_added_tokens(model, notes, out);
  out.count(texts.chat_template.size());
  out.raw(texts.chat_template);
  out.str(texts.eos_token, "eos_token");
  out.flag(texts.clean_up_tokenization_spaces);
  out.str(texts.bos_token, "bos_token");
  // No post-processor program: the prefix ids of the header do its work, and from the next runtime on both
  // would add a BOS.
  return out.take();
}

}  // namespace llm2mnn
