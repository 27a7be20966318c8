#include "tokenizer/sentencepiece.h"

#include <cmath>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <sentencepiece.pb.h>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "base/json.h"

namespace llm2mnn {

namespace {

using google::protobuf::MessageLite;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;
using PieceType = SentencePieceFile::PieceType;

/// Walks the file field by field: one message per piece would take ten times the file's size when all are
/// empty.
class Reader {
 public:
  Reader(std::string_view bytes, SentencePieceFile& out)
      : input_(reinterpret_cast<const std::uint8_t*>(bytes.data()), checked_cast<int>(bytes.size())),
        num_bytes_(static_cast<std::int64_t>(bytes.size())),
        out_(out) {}

  void read() {
    for (;;) {
      const std::uint32_t tag = input_.ReadTagNoLastTag();
      if (tag == 0) break;
      read_field(tag);
    }
    if (!at_end()) fail_broken();
  }
  const sentencepiece::TrainerSpec& trainer() const { return trainer_; }
  const sentencepiece::NormalizerSpec& normalizer() const { return normalizer_; }

 private:
  [[noreturn]] void fail_broken() {
    fail(ErrorKind::kFormat, "no SentencePiece model: broken at byte {}, behind {} pieces",
         input_.CurrentPosition(), out_.pieces.size());
  }
  bool at_end() { return input_.ExpectAtEnd() || input_.BytesUntilLimit() == 0; }

  void read_field(std::uint32_t tag) {
    using Model = sentencepiece::Model;
    const bool is_message = WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
    switch (is_message ? WireFormatLite::GetTagFieldNumber(tag) : 0) {
      case Model::kPiecesFieldNumber:
        piece_.Clear();
        read_message(piece_);
        add_piece();
        break;
      case Model::kTrainerSpecFieldNumber:
        read_message(trainer_);
        break;
      case Model::kNormalizerSpecFieldNumber:
        read_message(normalizer_);
        break;
      default:
        if (!WireFormatLite::SkipField(&input_, tag)) fail_broken();
    }
  }

  void read_message(MessageLite& message) {
    std::uint32_t size = 0;
    // PushLimit takes a length beyond the end for the end.
    if (!input_.ReadVarint32(&size) || size > num_bytes_ - input_.CurrentPosition()) fail_broken();
    const auto limit = input_.PushLimit(static_cast<int>(size));
    if (!message.MergePartialFromCodedStream(&input_) || input_.BytesUntilLimit() != 0) fail_broken();
    input_.PopLimit(limit);
  }

  void add_piece() {
    const std::size_t id = out_.pieces.size();
    const std::string& text = piece_.piece();
    if (text.empty()) fail(ErrorKind::kFormat, "piece {} is empty", id);
    if (!is_utf8(text)) fail(ErrorKind::kFormat, "piece {}: {} is not valid UTF-8", id, shown(text, 40));
    if (!std::isfinite(piece_.score())) {
      fail(ErrorKind::kFormat, "piece {} {}: its score is no finite number", id, shown(text, 40));
    }
    if (piece_.type() < 1 || piece_.type() > 6) {
      fail(ErrorKind::kFormat, "piece {} {}: expected a type from 1 to 6, found {}", id, shown(text, 40),
           piece_.type());
    }
    if (!out_.pieces.insert(text, checked_cast<std::uint32_t>(id))) {
      fail(ErrorKind::kFormat, "piece {}: {} appears twice", id, shown(text, 40));
    }
    out_.scores.push_back(static_cast<double>(piece_.score()));
    out_.types.push_back(static_cast<PieceType>(piece_.type()));
  }

  CodedInputStream input_;
  std::int64_t num_bytes_;
  SentencePieceFile& out_;
  sentencepiece::Piece piece_;
  sentencepiece::TrainerSpec trainer_;
  sentencepiece::NormalizerSpec normalizer_;
};

}  // namespace

SentencePieceFile parse_sentencepiece(std::string_view bytes) {
  if (bytes.size() > kMaxSentencePieceBytes) {
    fail(ErrorKind::kFormat, "{} bytes, at most {} are read", bytes.size(), kMaxSentencePieceBytes);
  }
  SentencePieceFile file;
  Reader reader(bytes, file);
  reader.read();
  if (file.pieces.empty()) fail(ErrorKind::kFormat, "no SentencePiece model: it has no pieces");

  const auto& trainer = reader.trainer();
  constexpr int kUnigram = 1, kBpe = 2;
  if (trainer.model_type() != kUnigram && trainer.model_type() != kBpe) {
    fail(ErrorKind::kUnsupported, "model type {} is not supported: expected 1 (Unigram) or 2 (BPE)",
         trainer.model_type());
  }
  file.is_unigram = trainer.model_type() == kUnigram;
  file.byte_fallback = trainer.byte_fallback();
  file.treat_whitespace_as_suffix = trainer.treat_whitespace_as_suffix();
  file.unk_piece = trainer.unk_piece();
  if (trainer.unk_id() < 0 || static_cast<std::size_t>(trainer.unk_id()) >= file.pieces.size()) {
    fail(ErrorKind::kFormat, "unk_id {} is none of the {} pieces", trainer.unk_id(), file.pieces.size());
  }
  file.unk_id = static_cast<std::uint32_t>(trainer.unk_id());

  const auto& normalizer = reader.normalizer();
  file.charsmap = normalizer.precompiled_charsmap();
  file.add_dummy_prefix = normalizer.add_dummy_prefix();
  file.remove_extra_whitespaces = normalizer.remove_extra_whitespaces();
  file.escape_whitespaces = normalizer.escape_whitespaces();
  return file;
}

}  // namespace llm2mnn
