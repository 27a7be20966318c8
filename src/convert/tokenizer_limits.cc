#include "convert/tokenizer_limits.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <variant>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/charsmap.h"
#include "tokenizer/whole_words.h"

namespace llm2mnn {
namespace {

using PreKind = PreTokenizerStep::Kind;
using NormalizerKind = NormalizerStep::Kind;

template <typename Steps, typename Predicate>
bool any_step(const Steps& steps, Predicate predicate) {
  return std::any_of(steps.begin(), steps.end(), predicate);
}

/// Sets `flag` of all added tokens to false. @returns whether one was true.
bool clear_added(TokenizerModel& model, bool AddedToken::*flag) {
  bool changed = false;
  for (AddedToken& token : model.added) {
    changed = changed || token.*flag;
    token.*flag = false;
  }
  return changed;
}

bool without_first(TokenizerModel& model, bool has_template) {
  bool changed = false;
  for (PreTokenizerStep& step : model.pre_tokenizers) {
    if (step.kind != PreKind::kMetaspace || step.prepend_scheme != PrependScheme::kFirst) continue;
    step.prepend_scheme = has_template ? PrependScheme::kNever : PrependScheme::kAlways;
    changed = true;
  }
  return changed;
}

bool without_fused_unknown(TokenizerModel& model, bool /*has_template*/) {
  auto* bpe = std::get_if<BpeModel>(&model.model);
  return bpe != nullptr && std::exchange(bpe->fuse_unk, false);
}

bool without_unknown(TokenizerModel& model, bool /*has_template*/) {
  constexpr std::string_view kLastByteName =
      "<0xFF>";  // the writer gives the token no name that sorts behind it
  auto* bpe = std::get_if<BpeModel>(&model.model);
  if (bpe == nullptr || bpe->unk_token.empty() || bpe->unk_token > kLastByteName) return false;
  bpe->unk_token.clear();
  return true;
}

bool without_whole_words(TokenizerModel& model, bool /*has_template*/) {
  return clear_added(model, &AddedToken::single_word);
}

bool without_normalized(TokenizerModel& model, bool /*has_template*/) {
  return clear_added(model, &AddedToken::normalized);
}

bool without_inverted_merging(TokenizerModel& model, bool /*has_template*/) {
  bool changed = false;
  for (PreTokenizerStep& step : model.pre_tokenizers) {
    if (step.kind != PreKind::kSplit || !step.invert || step.behavior == SplitBehavior::kIsolated ||
        step.behavior == SplitBehavior::kRemoved)
      continue;
    step.behavior = SplitBehavior::kIsolated;
    changed = true;
  }
  return changed;
}

bool without_scripts(TokenizerModel& model, bool /*has_template*/) {
  return std::erase_if(model.pre_tokenizers,
                       [](const auto& step) { return step.kind == PreKind::kUnicodeScripts; }) > 0;
}

bool without_ignore_merges(TokenizerModel& model, bool /*has_template*/) {
  auto* bpe = std::get_if<BpeModel>(&model.model);
  return bpe != nullptr && std::exchange(bpe->ignore_merges, false);
}

struct Limit {
  const char* reason;
  bool (*give_to)(TokenizerModel& model, bool has_template);  ///< false when the model does not meet it
};

constexpr Limit kLimits[] = {
    {"its Metaspace has no 'first'", without_first},
    {"it gives one unknown token per character, not one per run", without_fused_unknown},
    {"it drops characters that are no piece", without_unknown},
    {"it finds added tokens that are whole words only inside words too", without_whole_words},
    {"it looks for added tokens in the raw text, not in the normalized one", without_normalized},
    {"it isolates the parts of an inverted Split", without_inverted_merging},
    {"it cannot split where the script changes", without_scripts},
};

/// Whether a charsmap takes clusters of `text` where the runtime takes characters.
bool has_cluster(const TokenizerModel& model, std::string_view text) {
  return any_step(model.normalizers, [text](const NormalizerStep& step) {
    if (step.kind != NormalizerKind::kPrecompiled) return false;
    const Charsmap charsmap(step.charsmap);
    std::string by_characters;
    for (std::size_t pos = 0; pos < text.size();) {
      const std::size_t begin = pos;
      next_code_point(text, pos);
      const std::string_view character = text.substr(begin, pos - begin);
      by_characters += charsmap.find(character).value_or(character);
    }
    return by_characters != charsmap.apply(text);
  });
}

bool has_any(std::string_view text, std::initializer_list<std::string_view> parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [text](std::string_view part) { return text.find(part) != std::string_view::npos; });
}

}  // namespace

struct TokenizerLimits::Emulation {
  std::string reason;
  TokenizerModel model;            ///< until the first text
  std::optional<Encoder> encoder;  ///< from then on; nothing when the model is refused
  bool is_made = false;

  /// Nothing when the reference does not take the model or the text.
  std::optional<std::vector<std::uint32_t>> ids(std::string_view text) {
    try {
      if (!std::exchange(is_made, true)) encoder.emplace(std::move(model));
      if (!encoder) return std::nullopt;
      return encoder->encode(text, false);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kUnsupported && error.kind() != ErrorKind::kFormat) throw;
      return std::nullopt;
    }
  }
};

TokenizerLimits::TokenizerLimits(const TokenizerModel& model, bool has_template) : model_(model) {
  Emulation all;
  all.model = model;
  for (const Limit& limit : kLimits) {
    if (!limit.give_to(all.model, has_template)) continue;
    Emulation& one = emulations_.emplace_back();
    one.reason = limit.reason;
    one.model = model;
    limit.give_to(one.model, has_template);
    all.reason += (all.reason.empty() ? "" : "; ") + one.reason;
  }
  if (emulations_.size() > 1) emulations_.push_back(std::move(all));
}

TokenizerLimits::~TokenizerLimits() = default;

/// The runtime has no ignore_merges: whole words that the plan of the writer leaves out are split.
bool TokenizerLimits::is_split_whole_word(std::string_view text, std::span<const std::uint32_t> expected) {
  if (!has_split_words_) {
    has_split_words_ = !plan_whole_words(model_, model_.num_ids()).complete;
    if (*has_split_words_) {
      all_merges_ = std::make_unique<Emulation>();
      all_merges_->model = model_;
      without_ignore_merges(all_merges_->model, false);
    }
  }
  if (!*has_split_words_) return false;
  const auto ids = all_merges_->ids(text);
  return ids && !std::ranges::equal(*ids, expected);
}

/// Whether both are segmentations of one text with one score.
bool TokenizerLimits::is_equal_path(std::span<const std::uint32_t> a,
                                    std::span<const std::uint32_t> b) const {
  const auto* unigram = std::get_if<UnigramModel>(&model_.model);
  if (unigram == nullptr) return false;
  struct Path {
    std::string text;
    double score = 0;
  };
  std::vector<std::size_t> index_of(model_.num_ids(), model_.pieces.size());
  for (std::size_t i = 0; i < model_.pieces.size(); ++i)
    index_of[model_.pieces.id(i)] = i;
  const auto path = [&](std::span<const std::uint32_t> ids) {
    Path whole;
    for (const std::uint32_t id : ids) {
      if (id >= index_of.size() || index_of[id] >= model_.pieces.size()) continue;
      whole.text += model_.pieces.text(index_of[id]);
      whole.score += unigram->scores[index_of[id]];
    }
    return whole;
  };
  constexpr double kRounding = 1e-9;  // of sums in another order
  const Path first = path(a), second = path(b);
  return first.text == second.text &&
         std::abs(first.score - second.score) <= kRounding * (1 + std::abs(first.score));
}

std::string TokenizerLimits::explain_by_text(std::string_view text) const {
  if (has_any(text, {"\xC2\x85", "\xE2\x80\xA8", "\xE2\x80\xA9"}))
    return "U+0085, U+2028 and U+2029 are no blanks in its patterns";
  if (any_step(model_.normalizers, [](const auto& step) { return step.kind == NormalizerKind::kBert; }) &&
      has_any(text, {"\xEE\x80\x80", "\xF3\xB0\x80\x80"}))
    return "private characters stand for marks there";
  if (model_.pre_tokenizers.size() > 1 && any_step(model_.pre_tokenizers, [text](const auto& step) {
        return step.kind == PreKind::kMetaspace && step.split && has_any(text, {step.content});
      }))
    return "a U+2581 inside a word does not start a new one";
  if (has_cluster(model_, text)) return "its tables take single characters, a charsmap takes clusters";
  return {};
}

std::string TokenizerLimits::explain(std::string_view text, std::span<const std::uint32_t> found,
                                     std::span<const std::uint32_t> expected) {
  for (Emulation& emulation : emulations_) {
    const auto ids = emulation.ids(text);
    if (ids && std::ranges::equal(*ids, found)) return emulation.reason;
  }
  if (is_equal_path(found, expected)) return "its Unigram takes another one of equal paths";
  if (std::string reason = explain_by_text(text); !reason.empty()) return reason;
  if (is_split_whole_word(text, expected)) return "it has no ignore_merges";
  return {};
}

}  // namespace llm2mnn
