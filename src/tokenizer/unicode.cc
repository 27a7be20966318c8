#include "tokenizer/unicode.h"

#include <cstdlib>
#include <memory>
#include <utf8proc.h>

#include "base/error.h"

namespace llm2mnn {

std::string normalize_text(std::string_view text, NormalForm form) {
  int options = UTF8PROC_STABLE;
  if (form == NormalForm::kNfd || form == NormalForm::kNfkd) options |= UTF8PROC_DECOMPOSE;
  if (form == NormalForm::kNfc || form == NormalForm::kNfkc) options |= UTF8PROC_COMPOSE;
  if (form == NormalForm::kNfkd || form == NormalForm::kNfkc) options |= UTF8PROC_COMPAT;
  utf8proc_uint8_t* result = nullptr;
  const utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                             static_cast<utf8proc_ssize_t>(text.size()), &result,
                                             static_cast<utf8proc_option_t>(options));
  LLM2MNN_CHECK(size >= 0);
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(result, &std::free);
  return std::string(reinterpret_cast<const char*>(result), static_cast<std::size_t>(size));
}

std::string_view general_category(char32_t c) {
  return utf8proc_category_string(static_cast<utf8proc_int32_t>(c));
}

bool has_decomposition(char32_t c) {
  return utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->decomp_seqindex != UINT16_MAX ||
         (c >= 0xAC00 && c < 0xD7A4);  // Hangul decomposes by rule
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
