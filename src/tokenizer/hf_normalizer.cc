// Normalizers and decoders.

#include <array>

#include "tokenizer/base64.h"
#include "tokenizer/hf_components.h"
#include "tokenizer/hf_json.h"

namespace llm2mnn::hf {

namespace {

using Kind = NormalizerStep::Kind;

struct PlainKind {
  std::string_view type;
  Kind kind;
};
constexpr std::array<PlainKind, 8> kPlainKinds = {{{"NFC", Kind::kNfc},
                                                   {"NFD", Kind::kNfd},
                                                   {"NFKC", Kind::kNfkc},
                                                   {"NFKD", Kind::kNfkd},
                                                   {"Lowercase", Kind::kLowercase},
                                                   {"StripAccents", Kind::kStripAccents},
                                                   {"Nmt", Kind::kNmt},
                                                   {"ByteLevel", Kind::kByteLevel}}};

void read_bert(const JsonValue& component, NormalizerStep& step) {
  constexpr std::string_view kWhat = "normalizer BertNormalizer";
  check_members(component, {"clean_text", "handle_chinese_chars", "strip_accents", "lowercase"}, kWhat);
  step.kind = Kind::kBert;
  step.clean_text = bool_member(component, "clean_text", true, kWhat);
  step.handle_chinese_chars = bool_member(component, "handle_chinese_chars", true, kWhat);
  step.lowercase = bool_member(component, "lowercase", true, kWhat);
  if (present(component, "strip_accents") != nullptr)
    step.strip_accents = bool_member(component, "strip_accents", false, kWhat);
}

void read_precompiled(const JsonValue& component, NormalizerStep& step) {
  constexpr std::string_view kWhat = "normalizer Precompiled";
  check_members(component, {"precompiled_charsmap"}, kWhat);
  step.kind = Kind::kPrecompiled;
  if (!decode_base64(string_member(component, "precompiled_charsmap", "", kWhat), step.charsmap)) {
    fail(ErrorKind::kFormat, "{}: precompiled_charsmap: expected base64", kWhat);
  }
}

NormalizerStep normalizer_step(const JsonValue& component) {
  const std::string_view type = type_of(component, "normalizer");
  NormalizerStep step;
  for (const PlainKind& plain : kPlainKinds) {
    if (type != plain.type) continue;
    check_members(component, {}, fmt::format("normalizer {}", type));
    step.kind = plain.kind;
    return step;
  }
  if (type == "BertNormalizer") {
    read_bert(component, step);
  } else if (type == "Precompiled") {
    read_precompiled(component, step);
  } else if (type == "Strip") {
    check_members(component, {"strip_left", "strip_right"}, "normalizer Strip");
    step.kind = Kind::kStrip;
    step.strip_left = bool_member(component, "strip_left", true, "normalizer Strip");
    step.strip_right = bool_member(component, "strip_right", true, "normalizer Strip");
  } else if (type == "Replace") {
    check_members(component, {"pattern", "content"}, "normalizer Replace");
    step.kind = Kind::kReplace;
    step.pattern = pattern_member(component, "normalizer Replace");
    step.content = string_member(component, "content", "normalizer Replace");
  } else if (type == "Prepend") {
    check_members(component, {"prepend"}, "normalizer Prepend");
    step.kind = Kind::kPrepend;
    step.content = string_member(component, "prepend", "normalizer Prepend");
  } else {
    fail(ErrorKind::kUnsupported, "normalizer {} is not known to this version", shown(type));
  }
  return step;
}

DecoderStep decoder_step(const JsonValue& component) {
  const std::string_view type = type_of(component, "decoder");
  const std::string what = fmt::format("decoder {}", type);
  using DecoderKind = DecoderStep::Kind;
  DecoderStep step;
  if (type == "ByteLevel") {
    check_members(component, {"add_prefix_space", "trim_offsets", "use_regex"}, what);
  } else if (type == "BPEDecoder") {
    check_members(component, {"suffix"}, what);
    step.kind = DecoderKind::kBpe;
    step.content = string_member(component, "suffix", "</w>", what);
  } else if (type == "WordPiece") {
    check_members(component, {"prefix", "cleanup"}, what);
    step.kind = DecoderKind::kWordPiece;
    step.content = string_member(component, "prefix", "##", what);
    step.cleanup = bool_member(component, "cleanup", true, what);
  } else if (type == "Metaspace") {
    check_members(component, {"replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"}, what);
    step.kind = DecoderKind::kMetaspace;
    step.content = char_member(component, "replacement", "\u2581", what);
    step.prepend_scheme = prepend_scheme_of(component, what);
  } else if (type == "CTC") {
    check_members(component, {"pad_token", "word_delimiter_token", "cleanup"}, what);
    step.kind = DecoderKind::kCtc;
    step.content = string_member(component, "pad_token", "<pad>", what);
    step.word_delimiter = string_member(component, "word_delimiter_token", "|", what);
    step.cleanup = bool_member(component, "cleanup", true, what);
  } else if (type == "Replace") {
    check_members(component, {"pattern", "content"}, what);
    step.kind = DecoderKind::kReplace;
    step.pattern = pattern_member(component, what);
    step.content = string_member(component, "content", what);
  } else if (type == "Strip") {
    check_members(component, {"content", "start", "stop"}, what);
    step.kind = DecoderKind::kStrip;
    step.content = char_member(component, "content", " ", what);
    step.start = count_member(component, "start", 0, what);
    step.stop = count_member(component, "stop", 0, what);
  } else if (type == "Fuse" || type == "ByteFallback") {
    check_members(component, {}, what);
    step.kind = type == "Fuse" ? DecoderKind::kFuse : DecoderKind::kByteFallback;
  } else {
    fail(ErrorKind::kUnsupported, "decoder {} is not known to this version", shown(type));
  }
  return step;
}

}  // namespace

std::vector<NormalizerStep> read_normalizer(const JsonValue* normalizer) {
  std::vector<NormalizerStep> steps;
  if (normalizer == nullptr || normalizer->is_null()) return steps;
  for_each_component(*normalizer, "normalizers", "normalizer", [&](const JsonValue& component) {
    NormalizerStep step = normalizer_step(component);
    // NFC twice in a row is NFC; so are the other forms.
    if (!steps.empty() && steps.back().kind == step.kind && step.kind <= Kind::kNfkd) return;
    steps.push_back(std::move(step));
  });
  return steps;
}

std::vector<DecoderStep> read_decoder(const JsonValue* decoder) {
  std::vector<DecoderStep> steps;
  if (decoder == nullptr || decoder->is_null()) return steps;
  for_each_component(*decoder, "decoders", "decoder",
                     [&](const JsonValue& component) { steps.push_back(decoder_step(component)); });
  return steps;
}

}  // namespace llm2mnn::hf
