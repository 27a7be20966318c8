#include "tokenizer/mtok_pre_tokenizer.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <string_view>

#include "tokenizer/runtime_regex.h"
#include "tokenizer/unicode.h"

namespace llm2mnn {

namespace {

constexpr std::uint8_t kNone = 0, kByteLevel = 1, kMetaspaceStep = 3, kSplit = 4, kBert = 5, kSequence = 6;
constexpr std::uint8_t kIsolated = 0, kRemoved = 1;

void add_split(std::string_view regex, bool invert, std::uint8_t behavior, Steps& steps) {
  Bytes& out = steps.next();
  out.u8(kSplit);
  out.str(regex, "pre_tokenizer Split: the pattern");
  out.flag(invert);
  out.u8(behavior);
}

void add_metaspace(std::string_view replacement, bool prefix, Steps& steps) {
  Bytes& out = steps.next();
  out.u8(kMetaspaceStep);
  out.str(replacement, "pre_tokenizer Metaspace");
  out.flag(prefix);
}

/// Any character; the engine's '.' leaves out the line feed.
constexpr std::string_view kAnything = "[\\s\\S]";

/// Behaviors that join a match with its neighbour, as the isolated matches of a larger pattern. The
/// runtime's own MergedWithPrevious joins every match of a run, not the first only.
void add_merged_split(const std::string& regex, SplitBehavior behavior, Steps& steps) {
  const std::string rest = fmt::format("(?:(?!{}){})+", regex, kAnything);
  switch (behavior) {
    case SplitBehavior::kMergedWithPrevious:
      add_split(fmt::format("{}(?:{})?|{}", rest, regex, regex), false, kIsolated, steps);
      break;
    case SplitBehavior::kMergedWithNext:
      add_split(fmt::format("(?:{})?{}|{}", regex, rest, regex), false, kIsolated, steps);
      break;
    default:
      add_split(fmt::format("(?:{})+", regex), false, kIsolated, steps);
  }
}

void add_behavior_split(const std::string& regex, bool invert, SplitBehavior behavior,
                        std::vector<std::string>& notes, Steps& steps) {
  if (behavior == SplitBehavior::kRemoved || behavior == SplitBehavior::kIsolated) {
    add_split(regex, invert, behavior == SplitBehavior::kRemoved ? kRemoved : kIsolated, steps);
    return;
  }
  if (invert) {
    notes.emplace_back(
        "tokenizer: an inverted Split that merges its parts is written as one that isolates them");
    add_split(regex, true, kIsolated, steps);
    return;
  }
  add_merged_split(regex, behavior, steps);
}

/// HF's Metaspace as one step among others. A step in front of it has removed the blanks.
void add_metaspace_step(const PreTokenizerStep& step, bool blanks_are_gone, bool has_template,
                        std::vector<std::string>& notes, Steps& steps) {
  const bool prefix = metaspace_prefix(step.prepend_scheme, has_template);
  if (step.split && !blanks_are_gone) {
    if (prefix) add_metaspace(" ", true, steps);
    add_split(" ?[^ ]+| ", false, kIsolated, steps);
    add_metaspace(step.content, false, steps);
    return;
  }
  if (step.split) notes.emplace_back("tokenizer: a U+2581 inside a word does not start a new one");
  add_metaspace(step.content, prefix, steps);
}

void add_step(const PreTokenizerStep& step, bool blanks_are_gone, bool has_template,
              std::vector<std::string>& notes, Steps& steps) {
  using Kind = PreTokenizerStep::Kind;
  switch (step.kind) {
    case Kind::kSplit:
      add_behavior_split(step.pattern.is_regex ? to_runtime_regex(step.pattern.text, notes)
                                               : literal_runtime_regex(step.pattern.text),
                         step.invert, step.behavior, notes, steps);
      break;
    case Kind::kDigits:
      // Not the runtime's own Digits step: that one knows ASCII digits only.
      add_split(step.individual_digits ? "\\p{N}" : "\\p{N}+", false, kIsolated, steps);
      break;
    case Kind::kByteLevel:
      if (step.add_prefix_space) add_metaspace(" ", true, steps);  // the runtime's step has no such option
      steps.next().u8(kByteLevel);
      steps.same().flag(step.use_regex);
      break;
    case Kind::kMetaspace:
      add_metaspace_step(step, blanks_are_gone, has_template, notes, steps);
      break;
    case Kind::kBert:
      steps.next().u8(kBert);
      break;
    case Kind::kWhitespace:
      // \w of the reference holds marks, the engine's does not.
      add_split("[\\w\\x05]+|[^\\w\\x05\\s]+", true, kRemoved, steps);
      break;
    case Kind::kWhitespaceSplit:
      add_split("\\s+", false, kRemoved, steps);
      break;
    case Kind::kPunctuation:
      add_behavior_split("[!-/:-@[-`{-~\\x06]", false, step.behavior, notes, steps);
      break;
    case Kind::kCharDelimiterSplit:
      add_split(literal_runtime_regex(step.content), false, kRemoved, steps);
      break;
    case Kind::kFixedLength:
      add_split(fmt::format("{}{{1,{}}}", kAnything, step.length), false, kIsolated, steps);
      break;
    case Kind::kUnicodeScripts:
      notes.emplace_back("tokenizer: the runtime cannot split where the script changes (UnicodeScripts)");
      break;
  }
}

/// Folded bytes of the characters that stand in front of a U+2581 inside some piece, as the items of a class.
std::string crossing_classes(const TokenizerModel& model) {
  std::array<bool, 256> found{};
  for (std::size_t i = 0; i < model.pieces.size(); ++i) {
    const std::string_view piece = model.pieces.text(i);
    std::size_t pos = piece.find(kMetaspace, 1);
    for (; pos != std::string_view::npos; pos = piece.find(kMetaspace, pos + kMetaspace.size())) {
      const std::size_t begin = character_before(piece, pos);
      if (piece.substr(begin, pos - begin) != kMetaspace) {
        std::size_t cursor = begin;
        found[folded_byte(next_code_point(piece, cursor))] = true;
      }
    }
  }
  std::string items;
  for (unsigned byte = 0; byte < found.size(); ++byte) {
    if (found[byte]) items += fmt::format("\\x{:02X}", byte);
  }
  return items;
}

void add_planned_metaspace(const TokenizerModel& model, const MetaspacePlan& plan, Steps& steps) {
  if (plan.prefix_if_missing) add_metaspace(" ", true, steps);
  if (plan.kind == MetaspacePlan::Kind::kWords) {
    add_split(" ?[^ ]+| ", false, kIsolated, steps);
  } else if (model.bpe() != nullptr) {
    const std::string crossing = crossing_classes(model);
    add_split(crossing.empty() ? " *[^ ]+| +" : fmt::format(" *(?:[^ {}]+|[{}] *)+| +", crossing, crossing),
              false, kIsolated, steps);
  }
  add_metaspace(kMetaspace, false, steps);
}

/// The runtime's WordPiece counts bytes, the reference characters. A blank in front makes a word unknown: it
/// goes in front of every word and away again unless the word is too long.
void add_length_limit(std::uint32_t max_characters, Steps& steps) {
  constexpr std::uint32_t kMaxCount = 1'000'000;  // of a repetition
  if (max_characters >= kMaxCount) return;
  add_metaspace(" ", true, steps);
  add_split(fmt::format(" (?!{}{{{}}})", kAnything, max_characters + 1), false, kRemoved, steps);
}

}  // namespace

void write_pre_tokenizer(const TokenizerModel& model, const MtokPlan& plan, bool has_template,
                         std::vector<std::string>& notes, Bytes& out) {
  Steps steps;
  bool blanks_are_gone = false;
  const bool strips_end =
      std::any_of(model.normalizers.begin(), model.normalizers.end(), [](const NormalizerStep& step) {
        return step.kind == NormalizerStep::Kind::kStrip && step.strip_right;
      });
  // The runtime's Strip leaves the end as it is.
  if (strips_end) add_split(fmt::format("\\s+(?!{})", kAnything), false, kRemoved, steps);
  if (plan.metaspace.kind != MetaspacePlan::Kind::kNone) {
    add_planned_metaspace(model, plan.metaspace, steps);
  } else {
    for (const PreTokenizerStep& step : model.pre_tokenizers) {
      add_step(step, blanks_are_gone, has_template, notes, steps);
      using Kind = PreTokenizerStep::Kind;
      blanks_are_gone = blanks_are_gone || step.kind == Kind::kWhitespaceSplit ||
                        step.kind == Kind::kWhitespace || step.kind == Kind::kBert;
    }
  }
  if (const auto* word_piece = std::get_if<WordPieceModel>(&model.model);
      word_piece != nullptr && blanks_are_gone) {
    add_length_limit(word_piece->max_input_chars_per_word, steps);
  }
  if (!plan.whole_words.marker.empty()) {
    add_metaspace(plan.whole_words.marker, true, steps);  // the byte alphabet has no blank
    add_split(plan.whole_words.quick_pattern, false, kRemoved, steps);
    add_split(plan.whole_words.pattern, false, kRemoved, steps);
  }
  steps.write(kNone, kSequence, out);
}

}  // namespace llm2mnn
