#include <array>

#include "tokenizer/hf_components.h"
#include "tokenizer/hf_json.h"

namespace llm2mnn::hf {

namespace {

using Kind = PreTokenizerStep::Kind;

SplitBehavior behavior_member(const JsonValue& component, std::string_view what) {
  const std::string name = string_member(component, "behavior", what);
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  fail(ErrorKind::kFormat,
       "{}: behavior {}: expected Isolated, Removed, MergedWithPrevious, MergedWithNext or Contiguous", what,
       shown(name));
}

PreTokenizerStep split_step(const JsonValue& component, std::string_view what) {
  check_members(component, {"pattern", "behavior", "invert"}, what);
  PreTokenizerStep step;
  step.kind = Kind::kSplit;
  step.behavior = behavior_member(component, what);
  step.invert = bool_member(component, "invert", false, what);
  step.pattern = pattern_member(component, what);
  if (step.pattern.text.empty()) fail(ErrorKind::kFormat, "{}: the pattern is empty", what);
  return step;
}

PreTokenizerStep byte_level_step(const JsonValue& component, std::string_view what) {
  check_members(component, {"add_prefix_space", "trim_offsets", "use_regex"}, what);
  PreTokenizerStep step;
  step.add_prefix_space = bool_member(component, "add_prefix_space", true, what);
  step.use_regex = bool_member(component, "use_regex", true, what);
  return step;
}

PreTokenizerStep metaspace_step(const JsonValue& component, std::string_view what) {
  check_members(component, {"replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"}, what);
  PreTokenizerStep step;
  step.kind = Kind::kMetaspace;
  step.content = char_member(component, "replacement", "\u2581", what);
  step.prepend_scheme = prepend_scheme_of(component, what);
  step.split = bool_member(component, "split", true, what);
  return step;
}

struct PlainKind {
  std::string_view type;
  Kind kind;
};
constexpr std::array<PlainKind, 4> kPlainKinds = {{{"BertPreTokenizer", Kind::kBert},
                                                   {"Whitespace", Kind::kWhitespace},
                                                   {"WhitespaceSplit", Kind::kWhitespaceSplit},
                                                   {"UnicodeScripts", Kind::kUnicodeScripts}}};

PreTokenizerStep pre_tokenizer_step(const JsonValue& component) {
  const std::string_view type = type_of(component, "pre_tokenizer");
  const std::string what = fmt::format("pre_tokenizer {}", type);
  PreTokenizerStep step;
  for (const PlainKind& plain : kPlainKinds) {
    if (type != plain.type) continue;
    check_members(component, {}, what);
    step.kind = plain.kind;
    return step;
  }
  if (type == "Split") return split_step(component, what);
  if (type == "ByteLevel") return byte_level_step(component, what);
  if (type == "Metaspace") return metaspace_step(component, what);
  if (type == "Digits") {
    check_members(component, {"individual_digits"}, what);
    step.kind = Kind::kDigits;
    step.individual_digits = bool_member(component, "individual_digits", false, what);
  } else if (type == "Punctuation") {
    check_members(component, {"behavior"}, what);
    step.kind = Kind::kPunctuation;
    if (present(component, "behavior") != nullptr) step.behavior = behavior_member(component, what);
  } else if (type == "CharDelimiterSplit") {
    check_members(component, {"delimiter"}, what);
    step.kind = Kind::kCharDelimiterSplit;
    step.content = char_member(component, "delimiter", "", what);
  } else if (type == "FixedLength") {
    check_members(component, {"length"}, what);
    step.kind = Kind::kFixedLength;
    step.length = count_member(component, "length", 5, what);
    if (step.length == 0) fail(ErrorKind::kFormat, "{}: length: at least 1 is needed", what);
  } else {
    fail(ErrorKind::kUnsupported, "pre_tokenizer {} is not known to this version", shown(type));
  }
  return step;
}

}  // namespace

std::vector<PreTokenizerStep> read_pre_tokenizer(const JsonValue* pre_tokenizer) {
  std::vector<PreTokenizerStep> steps;
  if (pre_tokenizer == nullptr || pre_tokenizer->is_null()) return steps;
  for_each_component(*pre_tokenizer, "pretokenizers", "pre_tokenizer",
                     [&](const JsonValue& component) { steps.push_back(pre_tokenizer_step(component)); });
  return steps;
}

}  // namespace llm2mnn::hf
