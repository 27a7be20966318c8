#pragma once
// Characters of valid UTF-8 (`is_utf8` in base/json.h tells).

#include <cstddef>
#include <string>
#include <string_view>

namespace llm2mnn {

/// Whether `byte` goes on with a character that an earlier byte began.
inline bool continues_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0u) == 0x80u; }

/// Where the character in front of `end`, which is not 0, begins.
inline std::size_t character_before(std::string_view text, std::size_t end) {
  do {
    --end;
  } while (end > 0 && continues_character(text[end]));
  return end;
}

/// Appends `code_point` as UTF-8.
void append_utf8(std::string& out, char32_t code_point);
/// The code point that starts at `pos`; moves `pos` behind it.
char32_t next_code_point(std::string_view text, std::size_t& pos);

}  // namespace llm2mnn
