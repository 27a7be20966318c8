#include "jinja/text.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <utf8proc.h>

#include "jinja/value.h"
#include "jinja/work_meter.h"

namespace llm2mnn::jinja {

namespace {

/// The first character of `text`.
char32_t code_point(std::string_view text) {
  std::size_t pos = 0;
  return next_code_point(text, pos);
}

utf8proc_category_t category(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)); }

bool is_letter(char32_t c) {
  const auto found = category(c);
  return found >= UTF8PROC_CATEGORY_LU && found <= UTF8PROC_CATEGORY_LO;
}

struct Range {
  char32_t first, last;
};

bool is_in(char32_t c, const Range* begin, const Range* end) {
  return std::any_of(begin, end, [&](const Range& range) { return c >= range.first && c <= range.last; });
}

/// Letters that may become several.
bool expands(char32_t c) {
  constexpr std::array<Range, 8> kRanges = {{{0x149, 0x149},
                                             {0x1F0, 0x1F0},
                                             {0x390, 0x390},
                                             {0x3B0, 0x3B0},
                                             {0x587, 0x587},
                                             {0x1E96, 0x1E9A},
                                             {0x1F50, 0x1FFC},
                                             {0xFB00, 0xFB17}}};
  return c >= kRanges.front().first && is_in(c, kRanges.begin(), kRanges.end());
}

constexpr char32_t kSharpS = 0xDF;

void append_upper(std::string& out, char32_t c) {
  if (expands(c)) beyond("upper case of a letter that becomes several");
  if (c == kSharpS) {
    out += "SS";
  } else {
    append_utf8(out, static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))));
  }
}

void append_title(std::string& out, char32_t c) {
  if (expands(c)) beyond("upper case of a letter that becomes several");
  if (c == kSharpS) {
    out += "Ss";
  } else {
    append_utf8(out, static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c))));
  }
}

void append_lower(std::string& out, char32_t c) {
  constexpr char32_t kSigma = 0x3A3, kDottedI = 0x130;
  if (c == kSigma || c == kDottedI) beyond("lower case of a letter that depends on others");
  append_utf8(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
}

template <typename Append>
std::string mapped(std::string_view text, Append append) {
  charge_work(2 * text.size());
  std::string out;
  out.reserve(text.size());
  for (std::size_t pos = 0; pos < text.size();)
    append(out, next_code_point(text, pos));
  return out;
}

}  // namespace

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool starts_with_space(std::string_view text, std::size_t& size) {
  std::size_t end = 1;
  while (end < text.size() && continues_character(text[end]))
    ++end;
  size = end;
  return is_space(code_point(text.substr(0, end)));
}

namespace {

/// Without what `drops` at either end.
template <typename Drops>
std::string_view without(std::string_view text, bool left, bool right, Drops drops) {
  while (left && !text.empty()) {
    const std::string_view first = text.substr(0, byte_of_character(text.substr(0, 4), 1));
    if (!drops(first)) break;
    text.remove_prefix(first.size());
  }
  while (right && !text.empty()) {
    const std::size_t begin = character_before(text, text.size());
    if (!drops(text.substr(begin))) break;
    text.remove_suffix(text.size() - begin);
  }
  return text;
}

}  // namespace

std::string_view without_spaces(std::string_view text, bool left, bool right) {
  return without(text, left, right, [](std::string_view c) { return is_space(code_point(c)); });
}

std::string stripped(std::string_view text, bool left, bool right, const std::string* set) {
  if (set == nullptr) {
    const std::string_view rest = without_spaces(text, left, right);
    charge_work(text.size() - rest.size());
    return std::string(rest);
  }
  return std::string(without(text, left, right, [&](std::string_view c) {
    charge_work(1 + set->size() / 8);
    return set->find(c) != std::string::npos;
  }));
}

std::string upper(std::string_view text) { return mapped(text, append_upper); }
std::string lower(std::string_view text) { return mapped(text, append_lower); }

std::string swapped_case(std::string_view text) {
  return mapped(text, [](std::string& out, char32_t c) {
    const Case now = case_of(c);
    if (now == Case::kUpper) {
      append_lower(out, c);
    } else if (now == Case::kLower) {
      append_upper(out, c);
    } else {
      append_utf8(out, c);
    }
  });
}

std::string casefolded(std::string_view text) {
  charge_work(4 * text.size());
  utf8proc_uint8_t* folded = nullptr;
  const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                 static_cast<utf8proc_ssize_t>(text.size()), &folded, UTF8PROC_CASEFOLD);
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(folded, std::free);
  if (size < 0) beyond("casefold of this text");
  return std::string(reinterpret_cast<const char*>(folded), static_cast<std::size_t>(size));
}

std::string capitalized(std::string_view text) {
  bool is_first = true;
  return mapped(text, [&](std::string& out, char32_t c) {
    std::exchange(is_first, false) ? append_title(out, c) : append_lower(out, c);
  });
}

std::string titled(std::string_view text) {
  bool in_word = false;
  return mapped(text, [&](std::string& out, char32_t c) {
    in_word ? append_lower(out, c) : append_title(out, c);
    in_word = case_of(c) != Case::kNone;
  });
}

std::string titled_words(std::string_view text) {
  constexpr std::string_view kBetween = "-({[<";
  bool in_word = false;
  return mapped(text, [&](std::string& out, char32_t c) {
    const bool is_between =
        is_space(c) || (c < 0x80 && kBetween.find(static_cast<char>(c)) != std::string_view::npos);
    in_word ? append_lower(out, c) : append_upper(out, c);
    in_word = !is_between;
  });
}

std::vector<std::string_view> lines_of(std::string_view text, bool keep) {
  const auto ends_line = [](char32_t c) {
    return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
  };
  charge_work(text.size() / 2);
  std::vector<std::string_view> lines;
  for (std::size_t begin = 0, next = 0; begin < text.size(); begin = next) {
    std::size_t end = next;
    char32_t c = 0;
    while (next < text.size() && !ends_line(c)) {
      end = next;
      c = next_code_point(text, next);
    }
    if (!ends_line(c)) end = next;
    if (c == '\r' && next < text.size() && text[next] == '\n') ++next;
    charge_work(sizeof(std::string_view));
    lines.push_back(text.substr(begin, (keep ? next : end) - begin));
  }
  return lines;
}

std::size_t byte_of_character(std::string_view text, std::size_t index) {
  std::size_t pos = 0;
  for (; pos < text.size(); ++pos) {
    if (!continues_character(text[pos]) && index-- == 0) break;
  }
  charge_work(pos / 8);
  return pos;
}

bool is_alpha(char32_t c) { return is_letter(c); }

bool is_decimal(char32_t c) { return category(c) == UTF8PROC_CATEGORY_ND; }

bool is_digit(char32_t c) {
  if (category(c) == UTF8PROC_CATEGORY_NO) beyond("isdigit() of a number that is no decimal digit");
  return is_decimal(c);
}

bool is_numeric(char32_t c) {
  if (category(c) == UTF8PROC_CATEGORY_LO) beyond("isnumeric() of this text");  // Han numerals
  return category(c) == UTF8PROC_CATEGORY_NO || category(c) == UTF8PROC_CATEGORY_NL || is_decimal(c);
}

bool is_alnum(char32_t c) {
  return is_letter(c) || category(c) == UTF8PROC_CATEGORY_NO || category(c) == UTF8PROC_CATEGORY_NL ||
         is_decimal(c);
}

bool is_word(char32_t c) { return c == '_' || is_alnum(c); }

bool is_printable(char32_t c) {
  switch (category(c)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    case UTF8PROC_CATEGORY_ZS:
      return c == ' ';
    default:
      return true;
  }
}

Case case_of(char32_t c) {
  // Marks and numbers that Unicode calls lower or upper case all the same.
  constexpr std::array<Range, 6> kOthers = {
      {{0xAA, 0xAA}, {0xBA, 0xBA}, {0x2B0, 0x37A}, {0x1D2C, 0x1DBF}, {0x2071, 0x24E9}, {0xA69C, 0xAB69}}};
  switch (category(c)) {
    case UTF8PROC_CATEGORY_LU:
      return Case::kUpper;
    case UTF8PROC_CATEGORY_LL:
      return Case::kLower;
    case UTF8PROC_CATEGORY_LT:
      return Case::kTitle;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_SO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_LO:
      if (c >= kOthers.front().first && is_in(c, kOthers.begin(), kOthers.end()))
        beyond("the case of a sign that is no letter");
      return Case::kNone;
    default:
      return Case::kNone;
  }
}

}  // namespace llm2mnn::jinja
