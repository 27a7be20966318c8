#include "verify/txt_tokenizer.h"

#include <algorithm>
#include <array>
#include <optional>

#include "verify/piece_index.h"
#include "verify/symbol_list.h"
#include "verify/txt_byte_bpe.h"
#include "verify/txt_pieces.h"

namespace llm2mnn::verify {
namespace {

constexpr std::string_view kMetaspace = "\xE2\x96\x81";
/// Bytes that are hashed or compared in about the time of one step of the budget.
constexpr std::size_t kBytesPerStep = 8;

std::uint32_t id_of(std::size_t index) { return static_cast<std::uint32_t>(index); }

/// Type 0.
class ScoredPieces final : public TxtTokenizer {
 public:
  explicit ScoredPieces(SectionReader& reader) {
    read_txt_pieces(reader, true, table_);
    pieces_ = table_.pieces;
    for (std::size_t id = 0; id < pieces_.size(); ++id) {
      constexpr std::uint8_t kNormal = 1, kUnknown = 2;
      (table_.types[id] == kNormal ? normal_ : reserved_).add(pieces_[id], id_of(id));
      if (table_.types[id] == kUnknown) unk_ = id_of(id);
    }
  }

  void encode(std::string_view text, std::vector<std::uint32_t>& ids) const override {
    std::string marked(kMetaspace);
    for (const char c : text)
      c == ' ' ? marked.append(kMetaspace) : marked.append(1, c);
    const std::string_view whole = marked;
    std::vector<Span> symbols;
    for (std::uint32_t at = 0; at < whole.size();) {
      const std::uint32_t end = std::min(at + char_length(whole[at]), id_of(whole.size()));
      symbols.push_back({at, end});
      at = end;
    }
    WorkBudget no_scan(~std::uint64_t{0});  // the runtime merges with a queue, too
    merge_symbols(
        symbols, [&](Span left, Span right) { return join(whole, left, right); }, no_scan);
    for (const Span symbol : symbols)
      add(whole.substr(symbol.begin, symbol.end - symbol.begin), ids);
  }

  /// The runtime takes the mark's offset for a part of its length: a mark inside a piece eats what follows
  /// it.
  std::string decode(std::uint32_t id) const override {
    if (id >= pieces_.size()) return {};
    std::string piece(pieces_[id]);
    if (const std::size_t at = piece.find(kMetaspace); at != std::string::npos)
      piece.replace(at, at + 3, " ");
    return piece;
  }

 private:
  struct Span {
    std::uint32_t begin = 0, end = 0;
    friend bool operator==(Span, Span) = default;
  };
  struct Join {
    float rank = 0;
    Span merged;
  };

  static std::uint32_t char_length(char lead) {
    constexpr std::array<std::uint32_t, 4> kWide = {2, 2, 3, 4};  // by the high half of the byte, from 0xC
    const auto high = static_cast<unsigned char>(lead) >> 4;
    return high < 0xC ? 1 : kWide.at(static_cast<std::size_t>(high) - 0xC);
  }

  std::optional<Join> join(std::string_view text, Span left, Span right) const {
    const std::int64_t id = normal_.find(text.substr(left.begin, right.end - left.begin));
    if (id == PieceIndex::kAbsent) return std::nullopt;
    return Join{-table_.scores[static_cast<std::size_t>(id)], {left.begin, right.end}};
  }

  std::uint32_t find(std::string_view piece) const {
    std::int64_t id = reserved_.find(piece);
    if (id == PieceIndex::kAbsent) id = normal_.find(piece);
    return id == PieceIndex::kAbsent ? unk_ : static_cast<std::uint32_t>(id);
  }

  void add(std::string_view piece, std::vector<std::uint32_t>& ids) const {
    const std::uint32_t id = find(piece);
    if (id != unk_) return ids.push_back(id);
    for (const char c : piece)
      ids.push_back(find(fmt::format("<0x{:02X}>", static_cast<unsigned char>(c))));
  }

  TxtPieces table_;
  PieceIndex normal_, reserved_;
  std::uint32_t unk_ = 0;
};

/// Pieces of types 1 and 2: the first of equal ones wins.
class PlainPieces : public TxtTokenizer {
 public:
  explicit PlainPieces(SectionReader& reader) {
    read_txt_pieces(reader, false, table_);
    pieces_ = table_.pieces;
    index_.reserve(pieces_.size());
    for (std::size_t id = 0; id < pieces_.size(); ++id)
      index_.add(pieces_[id], id_of(id));
  }
  std::string decode(std::uint32_t id) const override {
    return id < pieces_.size() ? std::string(pieces_[id]) : std::string();
  }

 protected:
  TxtPieces table_;
  PieceIndex index_;
};

/// Type 1.
class LongestPieces final : public PlainPieces {
 public:
  explicit LongestPieces(SectionReader& reader) : PlainPieces(reader) {
    for (const std::string_view piece : pieces_) {
      const auto first = static_cast<unsigned char>(piece.front());
      lengths_[first].push_back(id_of(piece.size()));
    }
    for (auto& lengths : lengths_) {
      std::sort(lengths.begin(), lengths.end(), std::greater<>());
      lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());
    }
  }

  void encode(std::string_view text, std::vector<std::uint32_t>& ids) const override {
    WorkBudget budget;
    while (!text.empty()) {
      std::size_t taken = 1;  // a byte that begins no piece gets no id
      budget.spend(1);
      for (const std::uint32_t length : lengths_[static_cast<unsigned char>(text.front())]) {
        budget.spend(1 + length / kBytesPerStep);
        if (length > text.size()) continue;
        const std::int64_t id = index_.find(text.substr(0, length));
        if (id == PieceIndex::kAbsent) continue;
        ids.push_back(static_cast<std::uint32_t>(id));
        taken = length;
        break;
      }
      text.remove_prefix(taken);
    }
  }

 private:
  std::array<std::vector<std::uint32_t>, 256>
      lengths_;  ///< of the pieces that begin with a byte, longest first
};

/// Type 2.
class BertWords final : public PlainPieces {
 public:
  using PlainPieces::PlainPieces;

  void encode(std::string_view text, std::vector<std::uint32_t>& ids) const override {
    WorkBudget budget;
    for (std::size_t at = 0; at < text.size();) {
      const char c = text[at];
      std::size_t end = at + 1;
      if (static_cast<unsigned char>(c) >= 0x80) {
        end = at + lead_length(static_cast<unsigned char>(c));
        if (end > text.size()) {
          ++at;
          continue;
        }
        word(std::string(text.substr(at, end - at)), ids, budget);
      } else if (is_alphanumeric(c)) {
        while (end < text.size() && is_alphanumeric(text[end]))
          ++end;
        std::string lower(text.substr(at, end - at));
        for (char& letter : lower)
          if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter | 0x20);
        word(lower, ids, budget);
      } else if (c != ' ' && !(c >= '\t' && c <= '\r')) {
        word(std::string(1, c), ids, budget);
      }
      at = end;
    }
  }

 private:
  static bool is_alphanumeric(char c) {
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
  }
  static std::size_t lead_length(unsigned char lead) {
    if ((lead & 0xE0U) == 0xC0U) return 2;
    if ((lead & 0xF0U) == 0xE0U) return 3;
    return (lead & 0xF8U) == 0xF0U ? 4 : 1;
  }

  void word(const std::string& text, std::vector<std::uint32_t>& ids, WorkBudget& budget) const {
    constexpr std::uint32_t kUnkWithoutPiece = 100;
    std::string candidate;
    for (std::size_t at = 0; at < text.size();) {
      std::size_t end = text.size();
      std::int64_t id = PieceIndex::kAbsent;
      for (; end > at; --end) {
        budget.spend(1 + (end - at) / kBytesPerStep);
        candidate.assign(at > 0 ? "##" : "").append(text, at, end - at);
        id = index_.find(candidate);
        if (id != PieceIndex::kAbsent) break;
      }
      if (id == PieceIndex::kAbsent) {
        const std::int64_t unk = index_.find("[UNK]");
        return ids.push_back(unk == PieceIndex::kAbsent ? kUnkWithoutPiece : static_cast<std::uint32_t>(unk));
      }
      ids.push_back(static_cast<std::uint32_t>(id));
      at = end;
    }
  }
};

}  // namespace

std::unique_ptr<TxtTokenizer> read_txt(SectionReader& reader, int type) {
  switch (type) {
    case 0:
      return std::make_unique<ScoredPieces>(reader);
    case 1:
      return std::make_unique<LongestPieces>(reader);
    case 2:
      return std::make_unique<BertWords>(reader);
    default:
      return std::make_unique<TxtByteBpe>(reader);
  }
}

}  // namespace llm2mnn::verify
