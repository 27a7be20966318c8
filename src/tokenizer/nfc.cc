#include "tokenizer/nfc.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utf8proc.h>

#include "base/error.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

namespace {

using CodePoints = std::u32string;

constexpr char32_t kEnd = 0x30000;  // no code point above planes 0 to 2 has a canonical decomposition
constexpr char32_t kHangulBase = 0xAC00, kLBase = 0x1100, kVBase = 0x1161, kTBase = 0x11A7;
constexpr char32_t kNumL = 19, kNumV = 21, kNumT = 28;  // The Unicode Standard, section 3.12

CodePoints normalize(const CodePoints& text, bool compose) {
  std::string utf8;
  for (const char32_t c : text)
    append_utf8(utf8, c);
  utf8proc_uint8_t* result = nullptr;
  const auto options =
      static_cast<utf8proc_option_t>(UTF8PROC_STABLE | (compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE));
  const utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(utf8.data()),
                                             static_cast<utf8proc_ssize_t>(utf8.size()), &result, options);
  LLM2MNN_CHECK(size >= 0);
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(result, &std::free);
  const std::string_view bytes(reinterpret_cast<const char*>(result), static_cast<std::size_t>(size));
  CodePoints out;
  for (std::size_t pos = 0; pos < bytes.size();)
    out += next_code_point(bytes, pos);
  return out;
}

int combining_class(char32_t c) {
  return utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->combining_class;
}

/// A code point that NFC makes from `prefix` (one code point, itself in NFC) and `mark`.
struct Composite {
  char32_t code_point;
  char32_t prefix;
  char32_t mark;
  std::size_t chain;  // length of the full decomposition
};

class Table {
 public:
  std::vector<Replacement> build() {
    scan();
    add_mark_swaps();
    add_pairs();
    add_hangul();
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
      const utf8proc_property_t* property = utf8proc_get_property(static_cast<utf8proc_int32_t>(c));
      const bool hangul = c >= kHangulBase && c < kHangulBase + kNumL * kNumV * kNumT;
      if (property->decomp_seqindex == UINT16_MAX || property->decomp_type != 0 || hangul) continue;
      const CodePoints composed = normalize(CodePoints(1, c), true);
      if (composed != CodePoints(1, c)) {
        add(CodePoints(1, c), composed);
        continue;
      }
      const CodePoints parts = normalize(CodePoints(1, c), false);
      const CodePoints prefix = normalize(parts.substr(0, parts.size() - 1), true);
      if (prefix.size() != 1) continue;
      composites_.push_back({c, prefix[0], parts.back(), parts.size()});
      if (combining_class(parts.back()) != 0) marks_.push_back(parts.back());
    }
    std::sort(marks_.begin(), marks_.end());
    marks_.erase(std::unique(marks_.begin(), marks_.end()), marks_.end());
    std::stable_sort(composites_.begin(), composites_.end(),
                     [](const Composite& a, const Composite& b) { return a.chain < b.chain; });
  }

  /// Bubble sort: each pass over the ordered pairs moves every mark by at least one place.
  void add_mark_swaps() {
    std::vector<char32_t> latin;
    for (const char32_t m : marks_) {
      if (m < 0x370) latin.push_back(m);
    }
    constexpr int kPasses = 2;  // text has at most three marks on a letter
    for (int pass = 0; pass < kPasses; ++pass) {
      add_swaps(latin);
      add_swaps(marks_of(0x591, 0x5C7));  // Hebrew
      add_swaps(marks_of(0x64B, 0x670));  // Arabic
    }
  }
  static std::vector<char32_t> marks_of(char32_t first, char32_t last) {
    std::vector<char32_t> marks;
    for (char32_t c = first; c <= last; ++c) {
      if (combining_class(c) != 0) marks.push_back(c);
    }
    return marks;
  }
  void add_swaps(std::vector<char32_t> marks) {
    std::stable_sort(marks.begin(), marks.end(),
                     [](char32_t a, char32_t b) { return combining_class(a) > combining_class(b); });
    for (const char32_t high : marks) {
      for (const char32_t low : marks) {
        if (combining_class(low) < combining_class(high)) add({high, low}, {low, high});
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
  std::vector<Composite> composites_;
  std::vector<char32_t> marks_;
};

}  // namespace

const std::vector<Replacement>& nfc_replacements() {
  static const std::vector<Replacement> table = Table().build();
  return table;
}

}  // namespace llm2mnn
