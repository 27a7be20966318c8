#pragma once
// Unicode's data as the writers need it: categories and decompositions.

#include <cstdint>
#include <string>
#include <string_view>

namespace llm2mnn {

inline constexpr char32_t kEndOfUnicode = 0x110000;

enum class NormalForm : std::uint8_t { kNfd, kNfc, kNfkd, kNfkc };

/// `text` (valid UTF-8) in `form`.
std::string normalize_text(std::string_view text, NormalForm form);

/// Two letters, as in "Lu"; "Cn" for what is no character.
std::string_view general_category(char32_t c);

/// Whether some normal form of `c` differs from it: no need to ask for the others.
bool has_decomposition(char32_t c);

/// The byte that stands for `c` in the runtime's regex engine: itself for ASCII, else one that stands for its
/// category (1 letter, 2 number, 3 blank, 4 other, 5 mark, 6 punctuation, 7 symbol).
std::uint8_t folded_byte(char32_t c);

}  // namespace llm2mnn
