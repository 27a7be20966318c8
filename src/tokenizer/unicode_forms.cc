#include "tokenizer/unicode_forms.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <utf8proc.h>
#include <vector>

#include "tokenizer/tokenizer_model.h"
#include "tokenizer/unicode_sets.h"

namespace llm2mnn {

namespace {

constexpr char32_t kHangulBase = 0xAC00, kLBase = 0x1100, kVBase = 0x1161, kTBase = 0x11A7;
constexpr char32_t kNumL = 19, kNumV = 21, kNumT = 28;  // The Unicode Standard, section 3.12
constexpr char32_t kFirstMark = 0x300;                  // the first character with a combining class

const utf8proc_property_t* property_of(char32_t c) {
  return utf8proc_get_property(static_cast<utf8proc_int32_t>(c));
}

bool is_hangul(char32_t c) { return c >= kHangulBase && c < kHangulBase + kNumL * kNumV * kNumT; }

/// The full decomposition of `c`, behind `out`.
void decompose(char32_t c, bool compatibility, std::u32string& out) {
  if (!has_decomposition(c)) {
    out += c;
    return;
  }
  if (is_hangul(c)) {
    const char32_t index = c - kHangulBase;
    out += kLBase + index / (kNumV * kNumT);
    out += kVBase + index % (kNumV * kNumT) / kNumT;
    if (index % kNumT != 0) out += kTBase + index % kNumT;
    return;
  }
  constexpr std::size_t kLongest = 32;  // U+FDFA has 18
  utf8proc_int32_t parts[kLongest];
  const auto options =
      static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | (compatibility ? UTF8PROC_COMPAT : 0));
  int last_class = 0;
  const utf8proc_ssize_t count =
      utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts, kLongest, options, &last_class);
  if (count <= 0 || static_cast<std::size_t>(count) > kLongest) {
    out += c;
    return;
  }
  for (utf8proc_ssize_t i = 0; i < count; ++i)
    out += static_cast<char32_t>(parts[i]);
}

void order_marks(std::u32string& text) {
  for (std::size_t i = 0; i < text.size();) {
    if (combining_class(text[i]) == 0) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < text.size() && combining_class(text[end]) != 0)
      ++end;
    std::stable_sort(text.begin() + static_cast<std::ptrdiff_t>(i),
                     text.begin() + static_cast<std::ptrdiff_t>(end),
                     [](char32_t a, char32_t b) { return combining_class(a) < combining_class(b); });
    i = end;
  }
}

/// Primary composites by their two parts.
using Composites = std::unordered_map<std::uint64_t, char32_t>;

const Composites& composites() {
  static const Composites table = [] {
    Composites out;
    constexpr char32_t kEnd = 0x20000;  // no composite lies above
    for (char32_t c = 0xC0; c < kEnd; ++c) {
      const utf8proc_property_t* property = property_of(c);
      if (!has_decomposition(c) || property->decomp_type != 0 || is_hangul(c) || property->comp_exclusion)
        continue;
      // utf8proc has the full decomposition only; the first part of a longer one is a composite itself, with
      // a smaller number of parts, and is found by composing all but the last.
      std::u32string parts;
      decompose(c, false, parts);
      if (parts.size() < 2) continue;
      std::u32string head(parts, 0, parts.size() - 1);
      utf8proc_int32_t buffer[8];
      if (head.size() > 8) continue;
      std::copy(head.begin(), head.end(), buffer);
      const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
      const utf8proc_ssize_t count =
          utf8proc_normalize_utf32(buffer, static_cast<utf8proc_ssize_t>(head.size()), options);
      if (count != 1) continue;
      out.emplace((std::uint64_t{static_cast<std::uint32_t>(buffer[0])} << 32) | parts.back(), c);
    }
    return out;
  }();
  return table;
}

/// The composite of two characters, 0 when there is none.
char32_t compose_pair(char32_t a, char32_t b) {
  if (a >= kLBase && a < kLBase + kNumL && b >= kVBase && b < kVBase + kNumV) {
    return kHangulBase + ((a - kLBase) * kNumV + (b - kVBase)) * kNumT;
  }
  if (is_hangul(a) && (a - kHangulBase) % kNumT == 0 && b > kTBase && b < kTBase + kNumT) {
    return a + (b - kTBase);
  }
  const auto it = composites().find((std::uint64_t{a} << 32) | b);
  return it == composites().end() ? 0 : it->second;
}

/// Canonical composition of ordered text: a character joins the latest starter unless one of the same or a
/// higher class stands between.
void compose(std::u32string& text) {
  std::size_t out = 0;
  std::size_t starter = std::u32string::npos;
  int last_class = -1;  // of what stands behind the starter; -1 when nothing does
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    const int own = combining_class(c);
    if (starter != std::u32string::npos && last_class < own) {
      if (const char32_t joined = compose_pair(text[starter], c)) {
        text[starter] = joined;
        continue;
      }
    }
    text[out] = c;
    if (own == 0) {
      starter = out;
      last_class = -1;
    } else {
      last_class = own;
    }
    ++out;
  }
  text.resize(out);
}

/// Whether NFC leaves `c` alone and nothing joins it from behind: such a character ends what went before.
bool is_inert(char32_t c, UnicodeForm form) {
  if (c < 0x80) return true;
  if (form == UnicodeForm::kNfc && c < kFirstMark) return true;
  // Ideographs and kana without voicing are most of what is left in practice.
  if (form == UnicodeForm::kNfc && c >= 0x3400 && c < 0xA000) return true;
  return false;
}

void normalize_run(std::string_view run, UnicodeForm form, std::string& out) {
  const bool compatibility = form == UnicodeForm::kNfkc || form == UnicodeForm::kNfkd;
  std::u32string points;
  for (std::size_t pos = 0; pos < run.size();)
    decompose(next_code_point(run, pos), compatibility, points);
  order_marks(points);
  if (form == UnicodeForm::kNfc || form == UnicodeForm::kNfkc) compose(points);
  for (const char32_t c : points)
    append_utf8(out, c);
}

}  // namespace

bool is_ascii(std::string_view text) {
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + i, 8);
    if ((word & 0x8080808080808080u) != 0) return false;
  }
  for (; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0x80) != 0) return false;
  }
  return true;
}

bool has_decomposition(char32_t c) {
  if (c < 0x80) return false;
  return is_hangul(c) || (property_of(c)->decomp_seqindex != UINT16_MAX && !is_undecomposed(c));
}

int combining_class(char32_t c) {
  if (c < kFirstMark) return 0;
  const int own = property_of(c)->combining_class;
  return own != 0 && is_unordered(c) ? 0 : own;
}

std::string to_unicode_form(std::string_view text, UnicodeForm form) {
  if (is_ascii(text)) return std::string(text);
  std::string out;
  out.reserve(text.size());
  // A run reaches from the last inert character in front of one that is not, to the next two inert ones: the
  // first of these may still take a mark, the second starts anew.
  std::size_t copied = 0;
  std::size_t last_inert = std::string_view::npos;
  for (std::size_t pos = 0; pos < text.size();) {
    const std::size_t begin = pos;
    if (is_inert(next_code_point(text, pos), form)) {
      last_inert = begin;
      continue;
    }
    const std::size_t run = last_inert == std::string_view::npos ? begin : last_inert;
    out += text.substr(copied, run - copied);
    std::size_t end = pos;
    while (end < text.size()) {
      std::size_t next = end;
      if (is_inert(next_code_point(text, next), form)) break;
      end = next;
    }
    normalize_run(text.substr(run, end - run), form, out);
    copied = end;
    pos = end;
    last_inert = std::string_view::npos;
  }
  out += text.substr(copied);
  return out;
}

std::string to_lowercase(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t pos = 0; pos < text.size();) {
    const char32_t c = next_code_point(text, pos);
    if (c < 0x80) {
      out += static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    } else if (c == 0x130) {
      out += "i\xCC\x87";  // the only character whose lower case has two
    } else if (const auto newer = newer_lowercase(c)) {
      append_utf8(out, *newer);
    } else {
      append_utf8(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
    }
  }
  return out;
}

}  // namespace llm2mnn
