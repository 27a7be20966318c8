#pragma once
// Text as the runtime sees it: its own UTF-8 rule, its character classes (Unicode 15.0) and the folding of
// text to one byte per character that its patterns work on.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/utf8.h"

namespace llm2mnn::verify {

struct Utf8Char {
  char32_t code = 0;
  std::size_t length = 1;
};

/// The character at `at` (below text.size()); U+FFFD of one byte where the text is not UTF-8.
Utf8Char utf8_char(std::string_view text, std::size_t at);

bool is_runtime_space(char32_t code);  ///< six ASCII characters and Zs
bool is_runtime_punctuation(char32_t code);
bool is_runtime_mark(char32_t code);
bool is_control(char32_t code);          ///< Cc
bool is_space_separator(char32_t code);  ///< Zs
char32_t runtime_lower(char32_t code);
/// C's isspace without a locale.
bool is_ascii_space(char c);

/// ASCII as itself, else 1 letter, 2 number, 3 blank, 4 other, 5 mark, 6 punctuation, 7 symbol.
std::uint8_t folded_char(char32_t code);

/// A text with one byte per character and where each of them starts (one entry more: the end).
struct FoldedText {
  std::string bytes;
  std::vector<std::uint32_t> starts;
};
FoldedText fold(std::string_view text);

/// The characters that stand for the 256 bytes in a byte-level vocabulary, in UTF-8.
const std::vector<std::string>& byte_alphabet();
/// The byte that `code` stands for, or -1.
int alphabet_byte(char32_t code);

}  // namespace llm2mnn::verify
