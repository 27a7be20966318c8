#include "tokenizer/mtok_plan.h"

#include <algorithm>

namespace llm2mnn {

namespace {

using NormalizerKind = NormalizerStep::Kind;
using PreKind = PreTokenizerStep::Kind;

bool is_blank_replace(const NormalizerStep& step) {
  return step.kind == NormalizerKind::kReplace && !step.pattern.is_regex && step.pattern.text == " " &&
         step.content == kMetaspace;
}

bool is_metaspace_prepend(const NormalizerStep& step) {
  return step.kind == NormalizerKind::kPrepend && step.content == kMetaspace;
}

/// A Split that never matches: its blanks are gone by then.
bool is_blank_split(const PreTokenizerStep& step) {
  return step.kind == PreKind::kSplit && step.pattern.text == " ";
}

/// [Prepend U+2581,] Replace " " by U+2581, in either order, at the end of the normalizer.
MetaspacePlan plan_of_normalizers(const TokenizerModel& model) {
  MetaspacePlan plan;
  const auto& steps = model.normalizers;
  std::size_t begin = steps.size();
  bool replaces = false, prepends = false;
  while (begin > 0) {
    const NormalizerStep& step = steps[begin - 1];
    if (is_blank_replace(step) && !replaces) {
      replaces = true;
    } else if (is_metaspace_prepend(step) && !prepends) {
      prepends = true;
    } else {
      break;
    }
    --begin;
  }
  const bool splits = !std::all_of(model.pre_tokenizers.begin(), model.pre_tokenizers.end(), is_blank_split);
  if (!replaces || splits || model.bpe() == nullptr) return plan;
  plan.kind = MetaspacePlan::Kind::kWhole;
  plan.num_normalizers = begin;
  plan.prefix_always = prepends;
  return plan;
}

}  // namespace

bool metaspace_prefix(PrependScheme scheme, bool has_template) {
  return scheme == PrependScheme::kAlways || (scheme == PrependScheme::kFirst && !has_template);
}

MtokPlan plan_mtok(const TokenizerModel& model, std::uint32_t num_ids, bool has_template,
                   std::vector<std::string>& notes) {
  MtokPlan plan;
  plan.byte_level_model =
      std::any_of(model.normalizers.begin(), model.normalizers.end(),
                  [](const auto& step) { return step.kind == NormalizerKind::kByteLevel; });
  const auto& pre = model.pre_tokenizers;
  const auto metaspace =
      std::find_if(pre.begin(), pre.end(), [](const auto& step) { return step.kind == PreKind::kMetaspace; });
  if (metaspace != pre.end() && metaspace->prepend_scheme == PrependScheme::kFirst) {
    notes.emplace_back(
        has_template ? "tokenizer: the runtime cannot put a blank in front of the first word only; it puts "
                       "none, which is right behind the first token of a chat prompt"
                     : "tokenizer: the runtime cannot put a blank in front of the first word only; it puts "
                       "one behind added tokens too");
  }
  plan.metaspace.num_normalizers = model.normalizers.size();
  if (pre.size() == 1 && metaspace != pre.end() && metaspace->content == kMetaspace) {
    plan.metaspace.kind = metaspace->split ? MetaspacePlan::Kind::kWords : MetaspacePlan::Kind::kWhole;
    plan.metaspace.prefix_if_missing = metaspace_prefix(metaspace->prepend_scheme, has_template);
  } else if (!is_byte_level(model)) {
    const MetaspacePlan found = plan_of_normalizers(model);
    if (found.kind != MetaspacePlan::Kind::kNone) plan.metaspace = found;
  }
  plan.whole_words = plan_whole_words(model, num_ids);
  if (!plan.whole_words.complete) {
    notes.emplace_back(
        "tokenizer: the runtime has no ignore_merges: some whole words that no merges make are split");
  }
  return plan;
}

}  // namespace llm2mnn
