#include "verify/runtime_unicode.h"

#include <array>
#include <utf8proc.h>

namespace llm2mnn::verify {
namespace {

bool continues(std::string_view text, std::size_t at, std::size_t count) {
  if (text.size() - at <= count) return false;
  for (std::size_t i = 1; i <= count; ++i)
    if ((static_cast<unsigned char>(text[at + i]) & 0xC0U) != 0x80U) return false;
  return true;
}

/// Characters that Unicode 15.1 added: a newer utf8proc knows them, the runtime's tables do not.
bool newer_than_the_runtime(char32_t code) {
  return (code >= 0x2FFC && code <= 0x2FFF) || code == 0x31EF || (code >= 0x2EBF0 && code <= 0x2EE5D);
}

int category(char32_t code) {
  if (code > 0x10FFFF || newer_than_the_runtime(code)) return UTF8PROC_CATEGORY_CN;
  return utf8proc_category(static_cast<utf8proc_int32_t>(code));
}

bool between(int value, int first, int last) { return value >= first && value <= last; }

std::array<char32_t, 256> alphabet_codes() {
  std::array<char32_t, 256> codes{};
  char32_t next = 256;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool printable = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
    codes[byte] = printable ? byte : next++;
  }
  return codes;
}

}  // namespace

Utf8Char utf8_char(std::string_view text, std::size_t at) {
  constexpr Utf8Char kBroken = {0xFFFD, 1};
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned lead = byte(0);
  const auto tail = [&](std::size_t i) { return char32_t{byte(i) & 0x3FU}; };
  if (lead < 0x80) return {lead, 1};
  if ((lead & 0xE0U) == 0xC0U && continues(text, at, 1)) {
    const char32_t code = (lead & 0x1FU) << 6 | tail(1);
    return code >= 0x80 ? Utf8Char{code, 2} : kBroken;
  }
  if ((lead & 0xF0U) == 0xE0U && continues(text, at, 2)) {
    const char32_t code = (lead & 0x0FU) << 12 | tail(1) << 6 | tail(2);
    return code >= 0x800 && (code < 0xD800 || code > 0xDFFF) ? Utf8Char{code, 3} : kBroken;
  }
  if ((lead & 0xF8U) == 0xF0U && continues(text, at, 3)) {
    const char32_t code = (lead & 0x07U) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3);
    return code >= 0x10000 && code <= 0x10FFFF ? Utf8Char{code, 4} : kBroken;
  }
  return kBroken;
}

bool is_ascii_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool is_space_separator(char32_t code) { return category(code) == UTF8PROC_CATEGORY_ZS; }

bool is_control(char32_t code) { return category(code) == UTF8PROC_CATEGORY_CC; }

bool is_runtime_space(char32_t code) {
  if (code < 0x80) return is_ascii_space(static_cast<char>(code));
  return is_space_separator(code);
}

bool is_runtime_punctuation(char32_t code) {
  return between(category(code), UTF8PROC_CATEGORY_PC, UTF8PROC_CATEGORY_PO);
}

bool is_runtime_mark(char32_t code) {
  return between(category(code), UTF8PROC_CATEGORY_MN, UTF8PROC_CATEGORY_ME);
}

char32_t runtime_lower(char32_t code) {
  // The runtime's table has no entry for this one: its lower case is two characters.
  constexpr char32_t kCapitalIWithDot = 0x130;
  if (code == kCapitalIWithDot || newer_than_the_runtime(code)) return code;
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code)));
}

std::uint8_t folded_char(char32_t code) {
  if (code < 0x80) return static_cast<std::uint8_t>(code);
  const int kind = category(code);
  if (between(kind, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LO)) return 1;
  if (between(kind, UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NO)) return 2;
  if (kind == UTF8PROC_CATEGORY_ZS) return 3;
  if (between(kind, UTF8PROC_CATEGORY_MN, UTF8PROC_CATEGORY_ME)) return 5;
  if (between(kind, UTF8PROC_CATEGORY_PC, UTF8PROC_CATEGORY_PO)) return 6;
  if (between(kind, UTF8PROC_CATEGORY_SM, UTF8PROC_CATEGORY_SO)) return 7;
  return 4;
}

FoldedText fold(std::string_view text) {
  FoldedText folded;
  folded.bytes.reserve(text.size());
  folded.starts.reserve(text.size() + 1);
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_char(text, at);
    folded.starts.push_back(static_cast<std::uint32_t>(at));
    folded.bytes.push_back(static_cast<char>(folded_char(c.code)));
    at += c.length;
  }
  folded.starts.push_back(static_cast<std::uint32_t>(text.size()));
  return folded;
}

const std::vector<std::string>& byte_alphabet() {
  static const std::vector<std::string> kAlphabet = [] {
    std::vector<std::string> alphabet;
    for (const char32_t code : alphabet_codes())
      append_utf8(alphabet.emplace_back(), code);
    return alphabet;
  }();
  return kAlphabet;
}

int alphabet_byte(char32_t code) {
  static const std::array<std::int16_t, 324> kBytes = [] {
    std::array<std::int16_t, 324> bytes;
    bytes.fill(-1);
    const auto codes = alphabet_codes();
    for (std::size_t byte = 0; byte < codes.size(); ++byte)
      bytes.at(codes.at(byte)) = static_cast<std::int16_t>(byte);
    return bytes;
  }();
  return code < kBytes.size() ? kBytes[code] : -1;
}

}  // namespace llm2mnn::verify
