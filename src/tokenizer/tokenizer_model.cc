#include "tokenizer/tokenizer_model.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/error.h"
#include "base/overloaded.h"

namespace llm2mnn {

namespace {

constexpr std::size_t kAlphabetEnd = 0x144;  // one past the largest code point of the alphabet

bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

/// GPT-2's `bytes_to_unicode`: printable Latin-1 bytes stand for themselves, the other 68 follow from U+0100.
struct Alphabet {
  std::array<char32_t, 256> of_byte{};
  std::array<int, kAlphabetEnd> to_byte{};
  Alphabet() {
    to_byte.fill(-1);
    char32_t next = 0x100;
    for (unsigned b = 0; b < 256; ++b) {
      of_byte[b] = stands_for_itself(b) ? static_cast<char32_t>(b) : next++;
      to_byte[of_byte[b]] = static_cast<int>(b);
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet instance;
  return instance;
}

}  // namespace

std::string byte_piece(unsigned byte) { return fmt::format("<0x{:02X}>", byte); }

std::optional<std::uint8_t> byte_of_piece(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece.back() != '>') return std::nullopt;
  std::uint8_t byte = 0;
  const auto [end, error] = std::from_chars(piece.data() + 3, piece.data() + 5, byte, 16);
  if (error != std::errc{} || end != piece.data() + 5) return std::nullopt;
  return byte;
}

void check_unique_ids(const PieceTable& pieces, std::string_view where) {
  std::vector<std::uint32_t> ids(pieces.size());
  for (std::size_t i = 0; i < pieces.size(); ++i)
    ids[i] = pieces.id(i);
  std::sort(ids.begin(), ids.end());
  const auto twin = std::adjacent_find(ids.begin(), ids.end());
  if (twin != ids.end()) fail(ErrorKind::kFormat, "{}: id {} appears twice", where, *twin);
}

char32_t byte_alphabet(std::uint8_t byte) { return alphabet().of_byte[byte]; }

std::string to_byte_alphabet(std::string_view text) {
  std::string out;
  for (const char c : text)
    append_utf8(out, byte_alphabet(static_cast<std::uint8_t>(c)));
  return out;
}

bool from_byte_alphabet(std::string_view piece, std::string& out) {
  out.clear();
  for (std::size_t pos = 0; pos < piece.size();) {
    const char32_t c = next_code_point(piece, pos);
    if (c >= kAlphabetEnd || alphabet().to_byte[c] < 0) return false;
    out += static_cast<char>(static_cast<unsigned char>(alphabet().to_byte[c]));
  }
  return true;
}

bool has_whole_alphabet(const PieceTable& pieces) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    std::string piece;
    append_utf8(piece, byte_alphabet(static_cast<std::uint8_t>(byte)));
    if (!pieces.find(piece)) return false;
  }
  return true;
}

void TokenizerModel::set_added(std::vector<AddedToken> tokens) {
  added = std::move(tokens);
  added_index_ = PieceTable();
  for (const AddedToken& token : added)
    added_index_.insert(token.content, token.id);
}

const AddedToken* TokenizerModel::find_added(std::string_view text) const {
  const auto index = added_index_.find(text);
  return index ? &added[*index] : nullptr;
}

std::optional<std::uint32_t> TokenizerModel::find_id(std::string_view text) const {
  if (const AddedToken* token = find_added(text)) return token->id;
  return pieces.find_id(text);
}

std::uint32_t TokenizerModel::num_ids() const {
  std::uint32_t end = 0;
  for (std::size_t i = 0; i < pieces.size(); ++i)
    end = std::max(end, pieces.id(i) + 1);
  for (const AddedToken& token : added)
    end = std::max(end, token.id + 1);
  return end;
}

std::string TokenizerModel::text_of(std::uint32_t id) const {
  for (const AddedToken& token : added) {
    if (token.id == id) return token.content;
  }
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (pieces.id(i) == id) return std::string(pieces.text(i));
  }
  return {};
}

bool is_byte_level(const TokenizerModel& model) {
  return std::any_of(model.pre_tokenizers.begin(), model.pre_tokenizers.end(),
                     [](const auto& step) { return step.kind == PreTokenizerStep::Kind::kByteLevel; }) ||
         std::any_of(model.normalizers.begin(), model.normalizers.end(),
                     [](const auto& step) { return step.kind == NormalizerStep::Kind::kByteLevel; });
}

std::string kind_name(const TokenizerModel& model) {
  return std::visit(
      Overloaded{[&](const BpeModel&) { return is_byte_level(model) ? "byte-level BPE" : "BPE"; },
                 [](const UnigramModel&) { return "Unigram"; },
                 [](const WordPieceModel&) { return "WordPiece"; },
                 [](const WordLevelModel&) { return "WordLevel"; }},
      model.model);
}

}  // namespace llm2mnn
