#include "tokenizer/whole_words.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/checked.h"
#include "tokenizer/merge_table.h"
#include "tokenizer/unicode.h"

namespace llm2mnn {

namespace {

/// Tells whether merges make a piece a single symbol.
class Merger {
 public:
  explicit Merger(const TokenizerModel& model) : merges_(model.bpe()->merges) {
    for (unsigned byte = 0; byte < 256; ++byte) {
      const char32_t c = byte_alphabet(static_cast<std::uint8_t>(byte));
      std::string text;
      append_utf8(text, c);
      if (const auto id = model.pieces.find_id(text)) symbol_of_[c] = *id;
    }
  }

  bool reaches(std::string_view piece) {
    symbols_.clear();
    pairs_.clear();
    for (std::size_t pos = 0; pos < piece.size();) {
      const char32_t c = next_code_point(piece, pos);
      const auto symbol = c < symbol_of_.size() ? symbol_of_[c] : std::nullopt;
      if (!symbol) return true;  // outside the alphabet: no text spells it
      symbols_.push_back(*symbol);
      if (symbols_.size() > 1) pairs_.push_back(merge_of(symbols_[symbols_.size() - 2], *symbol));
    }
    while (!pairs_.empty()) {
      const auto best = std::min_element(pairs_.begin(), pairs_.end(),
                                         [](const auto& a, const auto& b) { return a.rank < b.rank; });
      if (best->rank == kNone) return false;
      const auto i = best - pairs_.begin();
      symbols_[static_cast<std::size_t>(i)] = best->merged;
      symbols_.erase(symbols_.begin() + i + 1);
      pairs_.erase(best);
      look_up(i - 1);
      look_up(i);
    }
    return true;
  }

 private:
  static constexpr std::uint32_t kNone = ~0u;  // rank of two symbols that are not merged

  MergeTable::Merge merge_of(std::uint32_t left, std::uint32_t right) const {
    const MergeTable::Merge* merge = merges_.find(left, right);
    return merge == nullptr ? MergeTable::Merge{0, kNone, 0} : *merge;
  }
  void look_up(std::ptrdiff_t i) {
    if (i < 0 || i >= std::ssize(pairs_)) return;
    const auto at = static_cast<std::size_t>(i);
    pairs_[at] = merge_of(symbols_[at], symbols_[at + 1]);
  }

  static constexpr std::size_t kAlphabetEnd = 0x144;
  MergeTable merges_;
  std::array<std::optional<std::uint32_t>, kAlphabetEnd> symbol_of_;
  std::vector<std::uint32_t> symbols_;
  std::vector<MergeTable::Merge> pairs_;  // of each symbol and the next
};

struct Word {
  std::string_view text;
  std::uint32_t id;
  std::size_t level;  // how many of the other words it starts with, one inside the other
};

/// In the order of their bytes, so that prefixes come first.
std::vector<Word> unreachable_words(const TokenizerModel& model) {
  constexpr std::size_t kMaxWordBytes = 256;  // bounds the quadratic search
  Merger merger(model);
  std::vector<Word> words;
  std::string bytes;
  for (std::size_t i = 0; i < model.pieces.size(); ++i) {
    const std::string_view piece = model.pieces.text(i);
    if (piece.size() > kMaxWordBytes || merger.reaches(piece)) continue;
    if (from_byte_alphabet(piece, bytes) && model.find_added(bytes) == nullptr)
      words.push_back({piece, model.pieces.id(i), 0});
  }
  std::sort(words.begin(), words.end(), [](const Word& a, const Word& b) { return a.text < b.text; });
  std::vector<std::string_view> open;  // the words that the current one starts with
  for (Word& word : words) {
    while (!open.empty() && !word.text.starts_with(open.back()))
      open.pop_back();
    word.level = open.size();
    open.push_back(word.text);
  }
  return words;
}

void append_literal(std::string_view text, std::string& out) {
  for (const char c : text) {
    const bool is_plain =
        (c & 0x80) != 0 || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (!is_plain) out += '\\';
    out += c;
  }
}

/// A pattern for one of `words` (sorted, unique), of which `done` bytes are matched: common beginnings are
/// written once, since the engines try alternatives one by one. What follows a word that is itself a
/// beginning is optional: the runtime's own engine has no empty alternatives.
void append_alternatives(const std::vector<std::string_view>& words, std::size_t begin, std::size_t end,
                         std::size_t done, std::string& out) {
  out += "(?:";
  const bool ends_here = words[begin].size() == done;
  for (std::size_t i = begin + (ends_here ? 1 : 0); i < end;) {
    const std::string_view rest = words[i].substr(done);
    std::size_t length = 0;
    next_code_point(rest, length);
    std::size_t same = i + 1;
    while (same < end && words[same].substr(done).starts_with(rest.substr(0, length)))
      ++same;
    if (same == i + 1) {
      append_literal(rest, out);
    } else {
      append_literal(rest.substr(0, length), out);
      append_alternatives(words, i, same, done + length, out);
    }
    i = same;
    if (i < end) out += '|';
  }
  out += ends_here ? ")?" : ")";
}

/// One control character per level; level 0 stands next to the word. They are neither blanks nor the bytes
/// that stand for classes of characters in the runtime's own regex engine.
std::string marker_of(std::size_t level) {
  constexpr std::size_t kFirstMark = 0x0E;
  std::string marker;
  for (std::size_t l = level + 1; l-- > 0;)
    marker += static_cast<char>(kFirstMark + l);
  return marker;
}

/// Removes the whole marker where the text behind it has not the classes of any of the words.
std::string quick_pattern(const std::vector<Word>& words, std::string_view marker) {
  std::set<std::string> folded;
  for (const Word& word : words) {
    std::string text;
    for (std::size_t pos = 0; pos < word.text.size();)
      text += static_cast<char>(folded_byte(next_code_point(word.text, pos)));
    folded.insert(std::move(text));
  }
  const std::vector<std::string_view> texts(folded.begin(), folded.end());
  std::string pattern(marker);
  pattern += "(?!";
  append_alternatives(texts, 0, texts.size(), 0, pattern);
  pattern += "(?![\\s\\S]))";
  return pattern;
}

/// Removes the marks of levels that the word behind them does not have.
std::string marker_pattern(const std::vector<Word>& words, std::size_t num_levels) {
  std::string pattern;
  for (std::size_t level = num_levels; level-- > 0;) {
    std::vector<std::string_view> texts;
    for (const Word& word : words) {
      if (word.level >= level) texts.push_back(word.text);
    }
    const std::string marker = marker_of(level);
    pattern += pattern.empty() ? "" : "|";
    pattern += marker[0];
    pattern += "(?!";
    pattern += marker.substr(1);
    append_alternatives(texts, 0, texts.size(), 0, pattern);
    pattern += "$)";
  }
  return pattern;
}

/// Entries and merges: a chain from the first mark to the end of each word; words share their beginnings.
class Chains {
 public:
  Chains(const TokenizerModel& model, std::uint32_t num_ids) : model_(model), next_id_(num_ids) {}

  void add_level(const std::vector<Word>& words, std::size_t level) {
    const std::string marker = marker_of(level);
    for (const Word& word : words) {
      if (word.level == level) add_word(marker, word);
    }
  }
  void move_to(WholeWordPlan& plan) {
    plan.entries = std::move(entries_);
    plan.merges = std::move(merges_);
  }

 private:
  std::uint32_t node(const std::string& text) {
    const auto [it, is_new] = nodes_.try_emplace(text, next_id_);
    if (is_new) entries_.push_back({text, next_id_++});
    return it->second;
  }
  void add_merge(std::uint32_t left, std::uint32_t right, std::uint32_t merged) {
    merges_.push_back({left, right, merged, checked_cast<std::uint32_t>(merges_.size())});
  }

  void add_word(const std::string& marker, const Word& word) {
    std::string text(1, marker[0]);
    std::uint32_t last = node(text);
    for (const char mark : marker.substr(1)) {
      last = extend(last, node(std::string(1, mark)), text + mark);
      text += mark;
    }
    for (std::size_t pos = 0; pos < word.text.size();) {
      const std::size_t begin = pos;
      next_code_point(word.text, pos);
      const std::string_view symbol = word.text.substr(begin, pos - begin);
      const std::uint32_t symbol_id = *model_.pieces.find_id(symbol);
      text += symbol;
      if (pos == word.text.size()) {
        entries_.push_back({text, word.id});
        add_merge(last, symbol_id, word.id);
      } else {
        last = extend(last, symbol_id, text);
      }
    }
  }

  std::uint32_t extend(std::uint32_t last, std::uint32_t symbol, const std::string& text) {
    const bool is_new = !nodes_.contains(text);
    const std::uint32_t id = node(text);
    if (is_new) add_merge(last, symbol, id);
    return id;
  }

  const TokenizerModel& model_;
  std::uint32_t next_id_;
  std::unordered_map<std::string, std::uint32_t> nodes_;
  std::vector<WholeWordPlan::Entry> entries_;
  std::vector<RankedMerge> merges_;
};

}  // namespace

WholeWordPlan plan_whole_words(const TokenizerModel& model, std::uint32_t num_ids) {
  constexpr std::size_t kMaxLevels = 8;             // marks are U+000E to U+0015
  constexpr std::size_t kMaxPatternBytes = 50'000;  // strings of the format have 16-bit lengths
  WholeWordPlan plan;
  const BpeModel* bpe = model.bpe();
  if (bpe == nullptr || !bpe->ignore_merges) return plan;
  if (model.pre_tokenizers.empty() ||
      model.pre_tokenizers.back().kind != PreTokenizerStep::Kind::kByteLevel) {
    plan.complete = false;
    return plan;
  }
  std::vector<Word> words = unreachable_words(model);
  plan.complete = std::erase_if(words, [](const Word& word) { return word.level >= kMaxLevels; }) == 0;
  std::size_t num_levels = 0;
  bool has_wide = false;  // the runtime takes its exact regex engine for patterns beyond ASCII only
  for (const Word& word : words) {
    num_levels = std::max(num_levels, word.level + 1);
    has_wide =
        has_wide || std::any_of(word.text.begin(), word.text.end(), [](char c) { return (c & 0x80) != 0; });
  }
  if (words.empty()) return plan;
  std::string pattern = marker_pattern(words, num_levels);
  if (!has_wide) pattern += "|\u0120\x0E";  // never in a text: marks stand in front
  if (pattern.size() > kMaxPatternBytes) {
    plan.complete = false;
    return plan;
  }
  Chains chains(model, num_ids);
  for (std::size_t level = num_levels; level-- > 0;)  // the outermost mark merges first
    chains.add_level(words, level);
  chains.move_to(plan);
  plan.marker = marker_of(num_levels - 1);
  plan.quick_pattern = quick_pattern(words, plan.marker);
  plan.pattern = std::move(pattern);
  return plan;
}

}  // namespace llm2mnn
