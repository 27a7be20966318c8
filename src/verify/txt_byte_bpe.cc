#include "verify/txt_byte_bpe.h"

#include <optional>
#include <regex>
#include <string>

#include "base/json.h"
#include "verify/runtime_unicode.h"
#include "verify/symbol_list.h"
#include "verify/txt_pieces.h"

namespace llm2mnn::verify {
namespace {

struct Span {
  std::uint32_t begin = 0, end = 0;
  friend bool operator==(Span, Span) = default;
};

struct Join {
  std::int64_t rank = 0;
  Span merged;
};

/// std::regex recurses once per character of a match; the runtime's stack ends somewhere above this.
constexpr std::size_t kMaxUnbrokenBytes = 16384;
/// Each look-up hashes two wide strings.
constexpr std::uint64_t kMaxLookups = kMaxPairLookups / 5;

void check_unbroken(std::string_view text) {
  std::size_t run = 0;
  bool blank = false;
  for (const char c : text) {
    run = is_ascii_space(c) == blank ? run + 1 : 1;
    blank = is_ascii_space(c);
    if (run > kMaxUnbrokenBytes)
      fail(ErrorKind::kUnsupported, "the runtime overflows its stack on {} bytes without a blank", run);
  }
}

/// The runtime's one pattern, in what std::regex has of it: letters and digits are those of ASCII.
const std::regex& word_pattern() {
  static const std::regex kPattern(
      "('s|'t|'re|'ve|'m|'ll|'d)"
      "|[^\\r\\n[:alpha:][:digit:]]?[[:alpha:]]+"
      "|[[:digit:]]"
      "| ?[^\\s[:alpha:][:digit:]]+[\\r\\n]*"
      "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
      std::regex::ECMAScript | std::regex::icase);
  return kPattern;
}

}  // namespace

TxtByteBpe::TxtByteBpe(SectionReader& reader) {
  const auto counts = read_txt_counts(reader, 2);
  reader.enter("vocabulary");
  pieces_.reserve(static_cast<std::size_t>(counts[0]));
  index_.reserve(static_cast<std::size_t>(counts[0]));
  for (std::int64_t id = 0; id < counts[0]; ++id) {
    const std::size_t begin = reader.offset();
    const std::string_view piece = reader.line("a line of the vocabulary");
    if (!is_utf8(piece)) reader.refuse_at(begin, "piece {} is not UTF-8", shown(piece));
    if (!index_.add(piece, static_cast<std::uint32_t>(id)))
      reader.refuse_at(begin, "piece {} of id {} is there already", shown(piece), id);
    pieces_.push_back(piece);
  }
  reader.enter("merges");
  merges_.reserve(static_cast<std::size_t>(counts[1]));
  for (std::int64_t rank = 0; rank < counts[1]; ++rank) {
    const std::size_t begin = reader.offset();
    const std::string_view line = reader.line("a merge");
    const std::size_t blank = line.find(' ');
    if (blank == std::string_view::npos) reader.refuse_at(begin, "merge {} has no blank", shown(line));
    std::string merged(line.substr(0, blank));
    merged += line.substr(blank + 1);
    if (index_.find(merged) == PieceIndex::kAbsent)
      reader.refuse_at(begin, "merge {} makes no piece; the runtime would abort", shown(line));
    if (!merges_.add(line, static_cast<std::uint32_t>(rank)))
      reader.refuse_at(begin, "merge {} is there already", shown(line));
  }
  expect_end(reader);
}

void TxtByteBpe::encode(std::string_view text, std::vector<std::uint32_t>& ids) const {
  check_unbroken(text);
  WorkBudget lookups(kMaxLookups);
  const char* const end = text.data() + text.size();
  for (std::cregex_iterator it(text.data(), end, word_pattern()), none; it != none; ++it)
    encode_word(std::string_view((*it)[0].first, static_cast<std::size_t>(it->length())), ids, lookups);
}

void TxtByteBpe::encode_word(std::string_view word, std::vector<std::uint32_t>& ids,
                             WorkBudget& lookups) const {
  std::string alphabet;
  std::vector<Span> symbols;
  for (const char c : word) {
    const auto begin = static_cast<std::uint32_t>(alphabet.size());
    alphabet += byte_alphabet()[static_cast<unsigned char>(c)];
    symbols.push_back({begin, static_cast<std::uint32_t>(alphabet.size())});
  }
  const std::string_view whole = alphabet;
  const auto text_of = [whole](Span span) { return whole.substr(span.begin, span.end - span.begin); };
  std::string key;
  const auto join = [&](Span left, Span right) -> std::optional<Join> {
    key.assign(text_of(left)).append(" ").append(text_of(right));
    const std::int64_t rank = merges_.find(key);
    if (rank == PieceIndex::kAbsent) return std::nullopt;
    return Join{rank, {left.begin, right.end}};
  };
  merge_symbols(symbols, join, lookups);
  for (const Span symbol : symbols) {
    const std::int64_t id = index_.find(text_of(symbol));
    if (id == PieceIndex::kAbsent)
      fail(ErrorKind::kUnsupported, "the runtime aborts: {} has no piece", shown(text_of(symbol)));
    ids.push_back(static_cast<std::uint32_t>(id));
  }
}

std::string TxtByteBpe::decode(std::uint32_t id) const {
  std::string out;
  if (id >= pieces_.size()) return out;
  const std::string_view piece = pieces_[id];
  for (std::size_t at = 0; at < piece.size();) {
    const Utf8Char c = utf8_char(piece, at);
    if (const int byte = alphabet_byte(c.code); byte >= 0) out.push_back(static_cast<char>(byte));
    at += c.length;
  }
  return out;
}

}  // namespace llm2mnn::verify
