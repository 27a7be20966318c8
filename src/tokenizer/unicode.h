#pragma once
// Unicode's data as the writers need it: categories.

#include <cstdint>
#include <string_view>

namespace llm2mnn {

inline constexpr char32_t kEndOfUnicode = 0x110000;

/// Two letters, as in "Lu"; "Cn" for what is no character.
std::string_view general_category(char32_t c);

/// The byte that stands for `c` in the runtime's regex engine: itself for ASCII, else one that stands for its
/// category (1 letter, 2 number, 3 blank, 4 other, 5 mark, 6 punctuation, 7 symbol).
std::uint8_t folded_byte(char32_t c);

}  // namespace llm2mnn
