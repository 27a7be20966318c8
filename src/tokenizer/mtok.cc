#include "tokenizer/mtok.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "tokenizer/bpe.h"
#include "tokenizer/nfc.h"
#include "tokenizer/runtime_regex.h"

namespace llm2mnn {

namespace {

// Type bytes of the format.
constexpr std::uint8_t kNormalizerNone = 0, kNormalizerReplace = 3, kNormalizerSequence = 4;
constexpr std::uint8_t kPreByteLevel = 1, kPreMetaspace = 3, kPreSplit = 4, kPreSequence = 6;
constexpr std::uint8_t kModelBpe = 0;
constexpr std::uint8_t kDecoderByteLevel = 0;
constexpr std::uint8_t kIsolated = 0, kRemoved = 1, kMergedWithPrevious = 2;

/// Appends little-endian values.
class Bytes {
 public:
  void u8(std::uint8_t value) { out_ += static_cast<char>(value); }
  void flag(bool value) { u8(value ? 1 : 0); }
  void u16(std::uint16_t value) { append(value); }
  void u32(std::uint32_t value) { append(value); }
  void count(std::size_t value) { u32(checked_cast<std::uint32_t>(value)); }
  /// A string of at most kMaxRuntimeStringBytes; `what` names it in the error.
  void str(std::string_view text, std::string_view what) {
    if (text.size() > kMaxRuntimeStringBytes) {
      fail(ErrorKind::kUnsupported, "{} has {} bytes, the runtime's limit is {}", what, text.size(),
           kMaxRuntimeStringBytes);
    }
    u16(static_cast<std::uint16_t>(text.size()));
    out_ += text;
  }
  void raw(std::string_view text) { out_ += text; }
  void reserve(std::size_t bytes) { out_.reserve(bytes); }
  std::string take() { return std::move(out_); }

 private:
  template <typename T>
  void append(T value) {
    std::array<char, sizeof(T)> bytes;
    for (std::size_t i = 0; i < sizeof(T); ++i)
      bytes[i] = static_cast<char>(static_cast<unsigned char>(value >> (8 * i)));
    out_.append(bytes.data(), bytes.size());
  }

  std::string out_;
};

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

void write_normalizer(const TokenizerModel& model, Bytes& out) {
  if (model.normalizers.empty()) {
    out.u8(kNormalizerNone);
    return;
  }
  const std::vector<Replacement>& steps = nfc_replacements();
  out.u8(kNormalizerSequence);
  out.count(steps.size());
  for (const Replacement& step : steps) {
    out.u8(kNormalizerReplace);
    out.str(step.from, "NFC step");
    out.str(step.to, "NFC step");
  }
}

void write_split(std::string_view regex, bool invert, SplitBehavior behavior, Bytes& out) {
  out.u8(kPreSplit);
  out.str(regex, "pre_tokenizer Split: the pattern");
  out.flag(invert);
  switch (behavior) {
    case SplitBehavior::kIsolated:
      out.u8(kIsolated);
      break;
    case SplitBehavior::kRemoved:
      out.u8(kRemoved);
      break;
    case SplitBehavior::kMergedWithPrevious:
      out.u8(kMergedWithPrevious);
      break;
    default:
      LLM2MNN_CHECK(false && "refused when the tokenizer was read");
  }
}

std::size_t num_written_steps(const PreTokenizerStep& step) { return step.add_prefix_space ? 2 : 1; }

void write_pre_tokenizer_step(const PreTokenizerStep& step, std::vector<std::string>& notes, Bytes& out) {
  switch (step.kind) {
    case PreTokenizerStep::Kind::kSplit:
      write_split(step.pattern.is_regex ? to_runtime_regex(step.pattern.text, notes)
                                        : literal_runtime_regex(step.pattern.text),
                  step.invert, step.behavior, out);
      break;
    case PreTokenizerStep::Kind::kDigits:
      // Not the runtime's own Digits step: that one knows ASCII digits only.
      write_split(step.individual_digits ? "\\p{N}" : "\\p{N}+", false, SplitBehavior::kIsolated, out);
      break;
    case PreTokenizerStep::Kind::kByteLevel:
      if (step.add_prefix_space) {  // the runtime's ByteLevel has no such option
        out.u8(kPreMetaspace);
        out.str(" ", "prefix");
        out.flag(true);
      }
      out.u8(kPreByteLevel);
      out.flag(step.use_regex);
      break;
    default:
      LLM2MNN_CHECK(false && "refused when the tokenizer was read");
  }
}

void write_pre_tokenizer(const TokenizerModel& model, std::vector<std::string>& notes, Bytes& out) {
  std::size_t count = 0;
  for (const PreTokenizerStep& step : model.pre_tokenizers)
    count += num_written_steps(step);
  if (count != 1) {
    out.u8(kPreSequence);
    out.count(count);
  }
  for (const PreTokenizerStep& step : model.pre_tokenizers)
    write_pre_tokenizer_step(step, notes, out);
}

/// Ids in the order of their texts' bytes.
std::vector<std::uint32_t> ids_by_text(const IdTable& table) {
  struct Key {
    std::uint64_t head;  // the first eight bytes, which decide nearly every comparison
    std::uint32_t id;
  };
  std::vector<Key> keys(table.size());
  for (std::size_t id = 0; id < table.size(); ++id) {
    std::uint64_t head = 0;
    const std::string_view text = table.text(id);
    for (std::size_t i = 0; i < 8; ++i)
      head = (head << 8) | (i < text.size() ? static_cast<unsigned char>(text[i]) : 0u);
    keys[id] = {head, static_cast<std::uint32_t>(id)};
  }
  std::sort(keys.begin(), keys.end(), [&](const Key& a, const Key& b) {
    return a.head != b.head ? a.head < b.head : table.text(a.id) < table.text(b.id);
  });
  std::vector<std::uint32_t> ids(keys.size());
  std::transform(keys.begin(), keys.end(), ids.begin(), [](const Key& key) { return key.id; });
  return ids;
}

void write_bpe(const IdTable& table, const std::vector<RankedMerge>& merges, Bytes& out) {
  out.u8(kModelBpe);
  out.count(table.size());
  out.flag(false);  // byte_fallback
  out.flag(false);  // byte_level: the ByteLevel step of the pre-tokenizer spells the bytes
  out.count(merges.size());
  for (const std::uint32_t id : ids_by_text(table)) {
    out.str(table.text(id), "piece");
    out.u32(id);
  }
  for (const RankedMerge& merge : merges) {
    out.u32(merge.left);
    out.u32(merge.right);
    out.u32(merge.rank);
  }
}

void write_added_token(const AddedToken& token, Bytes& out) {
  out.u32(token.id);
  out.flag(token.special);
  out.flag(token.lstrip);
  out.flag(token.rstrip);
  out.str(token.content, "added token");
}

void write_added_tokens(const TokenizerModel& model, const std::vector<RankedMerge>& merges,
                        std::vector<std::string>& notes, Bytes& out) {
  const std::vector<AddedToken> syllables = unreachable_syllables(model, merges);
  out.count(model.added.size() + syllables.size());
  for (const AddedToken& token : model.added)
    write_added_token(token, out);
  for (const AddedToken& token : syllables)
    write_added_token(token, out);
  if (model.bpe()->ignore_merges) {
    notes.emplace_back(
        "tokenizer: the runtime has no ignore_merges: whole words that no merges make are split (Vietnamese "
        "syllables excepted)");
  }
}

}  // namespace

IdTable::IdTable(const TokenizerModel& model) : texts_(model.num_ids()) {
  std::vector<bool> used(texts_.size());
  const auto set = [&](std::uint32_t id, std::string_view text) {
    texts_[id] = text;
    used[id] = true;
  };
  for (std::size_t i = 0; i < model.pieces.size(); ++i)
    set(model.pieces.id(i), model.pieces.text(i));
  for (const AddedToken& token : model.added)
    set(token.id, token.content);
  for (std::size_t id = 0; id < texts_.size(); ++id) {
    if (used[id]) continue;
    std::string filler = fmt::format("<|unused_{}|>", id);
    while (model.find_id(filler))
      filler += '_';
    texts_[id] = fillers_.emplace_back(std::move(filler));
  }
}

std::string write_mtok(const TokenizerModel& model, const IdTable& table, const RuntimeTexts& texts,
                       std::vector<std::string>& notes) {
  Bytes out;
  constexpr std::size_t kBytesPerPiece = 16;  // 6 around a text of 7 on average, with room for the rest
  constexpr std::size_t kBytesPerMerge = 12;
  out.reserve(kBytesPerPiece * model.pieces.size() + kBytesPerMerge * model.bpe()->merges.size());
  write_header(model, texts, out);
  write_normalizer(model, out);
  write_pre_tokenizer(model, notes, out);
  const std::vector<RankedMerge> merges = sorted_merges(*model.bpe());
  write_bpe(table, merges, out);
  out.u8(kDecoderByteLevel);
  write_added_tokens(model, merges, notes, out);
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
