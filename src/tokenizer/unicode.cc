#include "tokenizer/unicode.h"

#include <utf8proc.h>

namespace llm2mnn {

std::string_view general_category(char32_t c) {
  return utf8proc_category_string(static_cast<utf8proc_int32_t>(c));
}

std::uint8_t folded_byte(char32_t c) {
  constexpr std::uint8_t kOther = 4;
  if (c < 0x80) return static_cast<std::uint8_t>(c);
  const std::string_view category = general_category(c);
  switch (category[0]) {
    case 'L':
      return 1;
    case 'N':
      return 2;
    case 'M':
      return 5;
    case 'P':
      return 6;
    case 'S':
      return 7;
    default:
      return category == "Zs" ? 3 : kOther;
  }
}

}  // namespace llm2mnn
