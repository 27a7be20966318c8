#include "jinja/text.h"

#include <utf8proc.h>
#include <vector>

#include "jinja/value.h"

namespace llm2mnn::jinja {

namespace {

/// The first character of `text`.
char32_t code_point(std::string_view text) {
  std::size_t pos = 0;
  return next_code_point(text, pos);
}

bool is_letter(char32_t c) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL ||
         category == UTF8PROC_CATEGORY_LT || category == UTF8PROC_CATEGORY_LM ||
         category == UTF8PROC_CATEGORY_LO;
}

template <typename Map>
std::string mapped(std::string_view text, Map map) {
  std::string out;
  for (const std::string_view c : characters(text)) {
    const char32_t value = code_point(c);
    if (value == 0xDF && map(U'a') == U'A') {
      out += "SS";  // the one expansion that occurs in prose
    } else {
      append_utf8(out, map(value));
    }
  }
  return out;
}

char32_t to_upper(char32_t c) {
  return static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c)));
}
char32_t to_lower(char32_t c) {
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
}

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

}  // namespace

bool starts_with_space(std::string_view text, std::size_t& size) {
  std::size_t end = 1;
  while (end < text.size() && continues_character(text[end]))
    ++end;
  size = end;
  return is_space(code_point(text.substr(0, end)));
}

std::string stripped(std::string_view text, bool left, bool right, const std::string* set) {
  const std::vector<std::string_view> parts = characters(text);
  const auto drops = [&](std::string_view c) {
    return set == nullptr ? is_space(code_point(c)) : set->find(c) != std::string::npos;
  };
  std::size_t begin = 0;
  std::size_t end = parts.size();
  while (left && begin < end && drops(parts[begin]))
    ++begin;
  while (right && end > begin && drops(parts[end - 1]))
    --end;
  if (begin == end) return {};
  const char* first = parts[begin].data();
  return std::string(first, parts[end - 1].data() + parts[end - 1].size());
}

std::string upper(std::string_view text) { return mapped(text, to_upper); }
std::string lower(std::string_view text) { return mapped(text, to_lower); }

std::string capitalized(std::string_view text) {
  const auto parts = characters(text);
  if (parts.empty()) return {};
  return upper(parts[0]) + lower(text.substr(parts[0].size()));
}

std::string titled(std::string_view text) {
  std::string out;
  bool in_word = false;
  for (const std::string_view c : characters(text)) {
    out += in_word ? lower(c) : upper(c);
    in_word = is_letter(code_point(c));
  }
  return out;
}

}  // namespace llm2mnn::jinja
