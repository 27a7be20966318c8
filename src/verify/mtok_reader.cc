#include "verify/mtok_reader.h"

#include "base/json.h"
#include "verify/mtok_model_reader.h"
#include "verify/piece_index.h"

namespace llm2mnn::verify {
namespace {

constexpr int kMaxDepth = 16;
constexpr std::uint32_t kMaxId = 0x7FFFFFFF;

void check_depth(const SectionReader& reader, int depth) {
  if (depth > kMaxDepth)
    reader.refuse_at(reader.offset(), "sequences more than {} deep inside each other", kMaxDepth);
}

std::vector<MtokReplacement> read_table(SectionReader& reader) {
  std::vector<MtokReplacement> table;
  const std::uint32_t count = reader.count(6, "table entries");
  table.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::size_t begin = reader.offset();
    const char32_t code = reader.u32("a code point");
    if (code > 0x10FFFF || (!table.empty() && code <= table.back().code))
      reader.refuse_at(begin, "code point {:#x} of the table is not above the one before it",
                       static_cast<std::uint32_t>(code));
    table.push_back({code, reader.text("a table entry")});
  }
  return table;
}

MtokNormalizer read_normalizer(SectionReader& reader, int depth) {
  check_depth(reader, depth);
  using Kind = MtokNormalizer::Kind;
  const std::size_t begin = reader.offset();
  const std::uint8_t type = reader.u8("the normalizer's type");
  MtokNormalizer step;
  switch (type) {
    case 0:
      if (depth > 0) reader.refuse_at(begin, "type 0 inside a sequence crashes the runtime 3.5.0");
      break;
    case 1:
      step.kind = Kind::kOldNfkc;
      break;
    case 2:
      step.kind = Kind::kPrepend;
      step.content = reader.text("the text to prepend");
      break;
    case 3:
      step.kind = Kind::kReplace;
      step.pattern = reader.text("the pattern");
      step.content = reader.text("the replacement");
      break;
    case 4: {
      step.kind = Kind::kSequence;
      const std::uint32_t count = reader.count(1, "normalizers");
      for (std::uint32_t i = 0; i < count; ++i)
        step.steps.push_back(read_normalizer(reader, depth + 1));
      break;
    }
    case 5:
    case 7:
      step.kind = Kind::kBert;
      step.clean = reader.flag("clean_text");
      step.chinese = reader.flag("handle_chinese_chars");
      step.strip_accents = reader.flag("strip_accents");
      step.lower = reader.flag("lowercase");
      if (type == 7 && step.strip_accents) step.table = read_table(reader);
      break;
    case 6:
      step.kind = Kind::kTable;
      step.table = read_table(reader);
      break;
    case 8:
      step.kind = Kind::kStrip;
      step.left = reader.flag("strip_left");
      step.right = reader.flag("strip_right");
      break;
    default:
      reader.refuse_at(begin, "unknown type {} of a normalizer, expected 0 to 8", type);
  }
  return step;
}

MtokPreTokenizer read_split(SectionReader& reader) {
  MtokPreTokenizer step;
  step.kind = MtokPreTokenizer::Kind::kSplit;
  step.text = reader.text("the pattern");
  step.invert = reader.flag("invert");
  const std::size_t begin = reader.offset();
  const std::uint8_t behavior = reader.u8("the behavior");
  if (behavior > 2) reader.refuse_at(begin, "unknown behavior {} of a Split, expected 0 to 2", behavior);
  step.behavior = static_cast<MtokPreTokenizer::Behavior>(behavior);
  return step;
}

MtokPreTokenizer read_pre_tokenizer(SectionReader& reader, int depth) {
  check_depth(reader, depth);
  using Kind = MtokPreTokenizer::Kind;
  const std::size_t begin = reader.offset();
  const std::uint8_t type = reader.u8("the pre-tokenizer's type");
  MtokPreTokenizer step;
  switch (type) {
    case 0:
      if (depth > 0) reader.refuse_at(begin, "type 0 inside a sequence crashes the runtime 3.5.0");
      break;
    case 1:
      step.kind = Kind::kByteLevel;
      step.flag = reader.flag("use_regex");
      break;
    case 2:
      step.kind = Kind::kDigits;
      step.flag = reader.flag("individual_digits");
      break;
    case 3:
      step.kind = Kind::kMetaspace;
      step.text = reader.text("the replacement");
      step.flag = reader.flag("add_prefix_space");
      break;
    case 4:
      return read_split(reader);
    case 5:
      step.kind = Kind::kBert;
      break;
    case 6: {
      step.kind = Kind::kSequence;
      const std::uint32_t count = reader.count(1, "pre-tokenizers");
      for (std::uint32_t i = 0; i < count; ++i)
        step.steps.push_back(read_pre_tokenizer(reader, depth + 1));
      break;
    }
    default:
      reader.refuse_at(begin, "unknown type {} of a pre-tokenizer, expected 0 to 6", type);
  }
  return step;
}

void read_decoder(SectionReader& reader, MtokDecoder& decoder, int depth) {
  check_depth(reader, depth);
  const std::size_t begin = reader.offset();
  const std::uint8_t type = reader.u8("the decoder's type");
  switch (type) {
    case 0:
      decoder.byte_level = true;
      break;
    case 1:
      break;
    case 2:
      reader.text("the replacement");
      reader.flag("add_prefix_space");
      break;
    case 3:
      decoder.word_piece = true;
      decoder.word_piece_prefix = reader.text("the prefix");
      reader.flag("cleanup");
      break;
    case 4:
      break;
    case 5:
      if (reader.text("the pattern").empty())
        reader.refuse_at(begin, "a Replace without a pattern never ends in the runtime");
      reader.text("the replacement");
      break;
    case 6:
      reader.text("the text to strip");
      reader.u32("start");
      reader.u32("stop");
      break;
    case 7: {
      const std::uint32_t count = reader.count(1, "decoders");
      for (std::uint32_t i = 0; i < count; ++i)
        read_decoder(reader, decoder, depth + 1);
      break;
    }
    default:
      reader.refuse_at(begin, "unknown type {} of a decoder, expected 0 to 7", type);
  }
}

std::vector<MtokAddedToken> read_added_tokens(SectionReader& reader) {
  std::vector<MtokAddedToken> tokens;
  PieceIndex contents;
  const std::uint32_t count = reader.count(9, "added tokens");
  tokens.reserve(count);
  contents.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::size_t begin = reader.offset();
    MtokAddedToken token;
    token.id = reader.u32("an id");
    if (token.id > kMaxId) reader.refuse_at(begin, "id {} of an added token is no int", token.id);
    reader.flag("special");
    token.lstrip = reader.flag("lstrip");
    token.rstrip = reader.flag("rstrip");
    token.content = reader.text("an added token");
    if (token.content.empty()) reader.refuse_at(begin, "added token {} has no text", token.id);
    if (!contents.add(token.content, token.id))
      reader.refuse_at(begin, "added token {} is there already; the runtime takes the first",
                       shown(token.content));
    tokens.push_back(token);
  }
  return tokens;
}

/// Runtimes after 3.6.1 read n operations, or n plain ids when exactly 4 * n bytes are left.
void read_post_processor(SectionReader& reader) {
  if (reader.remaining() == 0) return;
  const std::size_t begin = reader.offset();
  const std::size_t count = reader.u16("the count of operations");
  if (count > 0 && reader.remaining() == count * 4)
    reader.refuse_at(begin, "{} operations in {} bytes, which the runtime reads as plain ids", count,
                     count * 4);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = reader.offset();
    const std::uint8_t op = reader.u8("an operation");
    if (op > 1) reader.refuse_at(at, "unknown operation {}, expected 0 or 1", op);
    if (op == 1) reader.u32("an id");
  }
  if (reader.remaining() > 0)
    reader.refuse_at(reader.offset(), "{} bytes follow the end of the file's content", reader.remaining());
}

/// The parts that the runtime takes as empty when the file ends before them: all or none.
void read_tail(SectionReader& reader, MtokFile& file) {
  reader.enter("template");
  if (reader.remaining() == 0) return;
  const std::size_t begin = reader.offset();
  file.chat_template = reader.bytes(reader.u32("the template's length"), "the template");
  if (!is_utf8(file.chat_template)) reader.refuse_at(begin, "the template is not UTF-8");
  reader.enter("eos");
  file.eos_token = reader.text("the EOS token");
  reader.enter("flags");
  const std::size_t flags_at = reader.offset();
  const std::uint8_t flags = reader.u8("the flags");
  if (flags > 1) reader.refuse_at(flags_at, "unknown flags {:#x}, expected 0 or 1", flags);
  reader.enter("bos");
  file.bos_token = reader.text("the BOS token");
  reader.enter("post");
  read_post_processor(reader);
}

}  // namespace

MtokFile read_mtok(SectionReader& reader) {
  MtokFile file;
  reader.enter("normalizer");
  file.normalizer = read_normalizer(reader, 0);
  reader.enter("pre-tokenizer");
  file.pre_tokenizer = read_pre_tokenizer(reader, 0);
  file.model = read_mtok_model(reader);
  reader.enter("decoder");
  read_decoder(reader, file.decoder, 0);
  reader.enter("added tokens");
  file.added_tokens = read_added_tokens(reader);
  read_tail(reader, file);
  return file;
}

}  // namespace llm2mnn::verify
