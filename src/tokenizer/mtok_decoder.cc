#include "tokenizer/mtok_decoder.h"

#include <algorithm>
#include <fmt/format.h>

namespace llm2mnn {

namespace {

// 0 would mean ByteLevel, so "none" is Fuse.
constexpr std::uint8_t kByteLevel = 0, kByteFallback = 1, kMetaspaceStep = 2, kWordPiece = 3, kFuse = 4,
                       kReplace = 5, kStrip = 6, kSequence = 7;

void add_word_piece(std::string_view prefix, bool cleanup, Steps& steps) {
  steps.next().u8(kWordPiece);
  steps.same().str(prefix, "decoder WordPiece: prefix");
  steps.same().flag(cleanup);
}

void note_lost(std::string_view what, std::vector<std::string>& notes) {
  notes.push_back(fmt::format("tokenizer: the runtime's decoder has no {}", what));
}

void add_step(const DecoderStep& step, std::vector<std::string>& notes, Steps& steps) {
  using Kind = DecoderStep::Kind;
  switch (step.kind) {
    case Kind::kByteLevel:
      steps.next().u8(kByteLevel);
      break;
    case Kind::kBpe:
      note_lost("BPEDecoder: the suffix of words is printed", notes);
      break;
    case Kind::kWordPiece:
      add_word_piece(step.content, step.cleanup, steps);
      break;
    case Kind::kMetaspace:
      steps.next().u8(kMetaspaceStep);
      steps.same().str(step.content, "decoder Metaspace");
      steps.same().flag(step.prepend_scheme != PrependScheme::kNever);
      break;
    case Kind::kCtc:
      note_lost("CTC", notes);
      break;
    case Kind::kReplace:
      if (step.pattern.is_regex) {
        note_lost(fmt::format("Replace of the pattern {}", shown(step.pattern.text, 60)), notes);
        break;
      }
      steps.next().u8(kReplace);
      steps.same().str(step.pattern.text, "decoder Replace");
      steps.same().str(step.content, "decoder Replace");
      break;
    case Kind::kFuse:
      steps.next().u8(kFuse);
      break;
    case Kind::kStrip:
      steps.next().u8(kStrip);
      steps.same().str(step.content, "decoder Strip");
      steps.same().u32(step.start);
      steps.same().u32(step.stop);
      break;
    case Kind::kByteFallback:
      steps.next().u8(kByteFallback);
      break;
  }
}

}  // namespace

void write_decoder(const TokenizerModel& model, std::vector<std::string>& notes, Bytes& out) {
  constexpr std::string_view kNeverAPrefix = "\x01";
  Steps steps;
  const bool decodes_bytes = std::any_of(model.decoders.begin(), model.decoders.end(), [](const auto& step) {
    return step.kind == DecoderStep::Kind::kByteLevel;
  });
  if (is_byte_level(model) && !decodes_bytes) {  // the byte alphabet must not print
    steps.next().u8(kByteLevel);
  } else if (model.decoders.empty()) {
    add_word_piece(kNeverAPrefix, false, steps);  // a blank in front of every piece
  }
  for (const DecoderStep& step : model.decoders)
    add_step(step, notes, steps);
  steps.write(kFuse, kSequence, out);
}

}  // namespace llm2mnn
