#include "tokenizer/nfc.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "tokenizer/tokenizer_model.h"
#include "tokenizer/unicode_forms.h"

namespace llm2mnn {

namespace {

using CodePoints = std::u32string;

constexpr char32_t kEnd = 0x30000;  // no code point above planes 0 to 2 has a canonical decomposition
constexpr char32_t kHangulBase = 0xAC00, kLBase = 0x1100, kVBase = 0x1161, kTBase = 0x11A7;
constexpr char32_t kNumL = 19, kNumV = 21, kNumT = 28;  // The Unicode Standard, section 3.12

CodePoints normalize(const CodePoints& text, UnicodeForm form) {
  std::string utf8;
  for (const char32_t c : text)
    append_utf8(utf8, c);
  const std::string normal = to_unicode_form(utf8, form);
  CodePoints out;
  for (std::size_t pos = 0; pos < normal.size();)
    out += next_code_point(normal, pos);
  return out;
}

/// A code point that NFC makes from `prefix` (one code point, itself in NFC) and `mark`.
struct Composite {
  char32_t code_point;
  char32_t prefix;
  char32_t mark;
  CodePoints parts;  // the full decomposition
};

class Table {
 public:
  std::vector<Replacement> build() {
    scan();
    add_mark_swaps();
    add_late_marks();
    add_pairs();
    add_swaps(arabic_marks(), combining_class);
    add_hangul();
    return std::move(out_);
  }

  std::vector<Replacement> build_swaps() {
    scan();
    out_.clear();
    add_mark_swaps();
    add_swaps(arabic_marks(), combining_class);
    return std::move(out_);
  }

 private:
  void add(const CodePoints& from, const CodePoints& to) {
    Replacement step;
    for (const char32_t c : from)
      append_utf8(step.from, c);
    for (const char32_t c : to)
      append_utf8(step.to, c);
    out_.push_back(std::move(step));
  }

  /// Adds the single code points that NFC changes; collects composites and their marks.
  void scan() {
    for (char32_t c = 0; c < kEnd; ++c) {
      const bool hangul = c >= kHangulBase && c < kHangulBase + kNumL * kNumV * kNumT;
      if (!has_decomposition(c) || hangul) continue;
      const CodePoints parts = normalize(CodePoints(1, c), UnicodeForm::kNfd);
      if (parts == CodePoints(1, c)) continue;  // NFKC alone changes it
      const CodePoints composed = normalize(CodePoints(1, c), UnicodeForm::kNfc);
      if (composed != CodePoints(1, c)) {
        add(CodePoints(1, c), composed);
        continue;
      }
      const CodePoints prefix = normalize(parts.substr(0, parts.size() - 1), UnicodeForm::kNfc);
      if (prefix.size() != 1) continue;
      composites_.push_back({c, prefix[0], parts.back(), parts});
      pairs_.insert({prefix[0], parts.back()});
      if (combining_class(parts.back()) != 0) marks_.insert(parts.back());
    }
    std::stable_sort(composites_.begin(), composites_.end(),
                     [](const Composite& a, const Composite& b) { return a.parts.size() < b.parts.size(); });
  }

  /// Canonical order of marks, by bubble sort: each pass over the ordered pairs moves every mark by at least
  /// one place. All pairs of all marks would be 400,000 steps: marks of one script stand together.
  void add_mark_swaps() {
    constexpr int kPasses = 2;  // enough for three marks on a letter
    for (int pass = 0; pass < kPasses; ++pass) {
      add_swaps(CodePoints(marks_.begin(), marks_.lower_bound(0x370)), combining_class);
      add_swaps(marks_between(0x591, 0x5C7), combining_class);  // Hebrew
      add_swaps(arabic_marks(), arabic_class);
      constexpr char32_t kScript = 0x80;  // from Devanagari to Myanmar each half block is one script
      for (char32_t first = 0x900; first < 0x1100; first += kScript) {
        add_swaps(marks_between(first, first + kScript - 1), combining_class);
      }
    }
  }
  static CodePoints marks_between(char32_t first, char32_t last) {
    CodePoints marks;
    for (char32_t c = first; c <= last; ++c) {
      if (combining_class(c) != 0) marks += c;
    }
    return marks;
  }
  static CodePoints arabic_marks() { return marks_between(0x64B, 0x655) + CodePoints(1, 0x670); }
  /// Madda and hamza compose with the letter across vowel signs, so they go in front of these until the pairs
  /// are done.
  static int arabic_class(char32_t c) {
    const int real = combining_class(c);
    return c >= 0x653 && c <= 0x655 ? real - 255 : real;
  }
  void add_swaps(CodePoints marks, int (*class_of)(char32_t)) {
    std::stable_sort(marks.begin(), marks.end(),
                     [&](char32_t a, char32_t b) { return class_of(a) > class_of(b); });
    for (const char32_t high : marks) {
      for (const char32_t low : marks) {
        if (class_of(low) < class_of(high)) add({high, low}, {low, high});
      }
    }
  }

  /// A composite and a mark that belongs in front of the composite's own (e with circumflex + dot below).
  void add_late_marks() {
    for (const Composite& c : composites_) {
      for (const char32_t mark : marks_) {
        if (combining_class(mark) >= combining_class(c.mark)) continue;
        if (!pairs_.contains({c.parts[0], mark}) && !pairs_.contains({c.prefix, mark})) continue;
        const CodePoints from = {c.code_point, mark};
        const CodePoints composed = normalize(from, UnicodeForm::kNfc);
        if (composed != from) add(from, composed);
      }
    }
  }

  void add_pairs() {
    for (const Composite& c : composites_)
      add({c.prefix, c.mark}, CodePoints(1, c.code_point));
  }

  void add_hangul() {
    for (char32_t l = 0; l < kNumL; ++l) {
      for (char32_t v = 0; v < kNumV; ++v) {
        add({kLBase + l, kVBase + v}, CodePoints(1, kHangulBase + (l * kNumV + v) * kNumT));
      }
    }
    for (char32_t lv = 0; lv < kNumL * kNumV; ++lv) {
      for (char32_t t = 1; t < kNumT; ++t) {
        const char32_t syllable = kHangulBase + lv * kNumT;
        add({syllable, kTBase + t}, CodePoints(1, syllable + t));
      }
    }
  }

  std::vector<Replacement> out_;
  std::vector<Composite> composites_;              // shorter decompositions first
  std::set<std::pair<char32_t, char32_t>> pairs_;  // prefix and mark of each
  std::set<char32_t> marks_;
};

}  // namespace

const std::vector<Replacement>& nfc_replacements() {
  static const std::vector<Replacement> table = Table().build();
  return table;
}

std::vector<Replacement> mark_swaps() { return Table().build_swaps(); }

}  // namespace llm2mnn
