#include "verify/txt_pieces.h"

#include <array>
#include <charconv>
#include <cmath>

#include "verify/tokenizer_header.h"

namespace llm2mnn::verify {
namespace {

std::array<std::int8_t, 256> base64_values() {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::array<std::int8_t, 256> values;
  values.fill(-1);
  for (std::size_t i = 0; i < kDigits.size(); ++i)
    values.at(static_cast<unsigned char>(kDigits[i])) = static_cast<std::int8_t>(i);
  return values;
}

/// Appends the bytes of `text`; false when it is not base64 with its padding.
bool append_base64(std::string_view text, std::string& out) {
  static const std::array<std::int8_t, 256> kValues = base64_values();
  if (text.size() % 4 != 0) return false;
  std::size_t padding = 0;
  while (padding < 2 && text.ends_with('=')) {
    text.remove_suffix(1);
    ++padding;
  }
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const std::int8_t value = kValues[static_cast<unsigned char>(c)];
    if (value < 0) return false;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out.push_back(static_cast<char>(bits >> held & 0xFFU));
  }
  return (bits & ((1U << held) - 1)) == 0;
}

template <typename Number>
Number parse_field(const SectionReader& reader, std::size_t begin, std::string_view field,
                   std::string_view what) {
  Number value{};
  const auto read = std::from_chars(field.data(), field.data() + field.size(), value);
  if (read.ec != std::errc{} || read.ptr != field.data() + field.size())
    reader.refuse_at(begin, "{} {} is no number that the runtime reads", what, shown(field));
  return value;
}

/// Takes score and type off the end of `line`.
void read_score(const SectionReader& reader, std::size_t begin, std::string_view& line, TxtPieces& pieces) {
  const std::size_t first = line.find(' ');
  const std::size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second == std::string_view::npos)
    reader.refuse_at(begin, "line {} is not a piece, a score and a type", shown(line));
  const auto score =
      parse_field<float>(reader, begin, line.substr(first + 1, second - first - 1), "the score");
  if (!std::isfinite(score)) reader.refuse_at(begin, "the score of line {} is not finite", shown(line));
  const auto type = parse_field<unsigned>(reader, begin, line.substr(second + 1), "the type");
  if (type < 1 || type > 6) reader.refuse_at(begin, "unknown type {} of a piece, expected 1 to 6", type);
  pieces.scores.push_back(score);
  pieces.types.push_back(static_cast<std::uint8_t>(type));
  line = line.substr(0, first);
}

}  // namespace

std::vector<std::int64_t> read_txt_counts(SectionReader& reader, std::size_t expected) {
  reader.enter("counts");
  const std::size_t begin = reader.offset();
  const auto counts = read_numbers(reader, reader.line("the line of counts"), begin);
  if (counts.size() != expected) reader.refuse_at(begin, "{} counts, expected {}", counts.size(), expected);
  for (const std::int64_t count : counts)
    if (count > static_cast<std::int64_t>(reader.remaining()))
      reader.refuse_at(begin, "{} lines do not fit into the {} bytes that follow", count, reader.remaining());
  if (counts[0] == 0) reader.refuse_at(begin, "a vocabulary without a piece");
  return counts;
}

void expect_end(const SectionReader& reader) {
  if (reader.remaining() > 0)
    reader.refuse_at(reader.offset(), "{} bytes follow the last line", reader.remaining());
}

void read_txt_pieces(SectionReader& reader, bool scored, TxtPieces& pieces) {
  const auto count = static_cast<std::size_t>(read_txt_counts(reader, 1)[0]);
  reader.enter("vocabulary");
  pieces.bytes.reserve(reader.remaining());  // base64 only shrinks: the views below stay
  pieces.pieces.reserve(count);
  for (std::size_t id = 0; id < count; ++id) {
    const std::size_t begin = reader.offset();
    std::string_view line = reader.line("a line of the vocabulary");
    if (scored) read_score(reader, begin, line, pieces);
    const std::size_t start = pieces.bytes.size();
    if (!append_base64(line, pieces.bytes)) reader.refuse_at(begin, "{} is not base64", shown(line));
    if (pieces.bytes.size() == start) reader.refuse_at(begin, "the piece of id {} is empty", id);
    pieces.pieces.push_back(std::string_view(pieces.bytes).substr(start));
  }
  expect_end(reader);
}

}  // namespace llm2mnn::verify
