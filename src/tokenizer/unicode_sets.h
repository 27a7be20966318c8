#pragma once
// The sets of characters by which `tokenizers` normalizes and splits. Each part of that library has its own
// version of Unicode (8 to 16), so the sets are facts about it, not about one version.

#include <algorithm>
#include <optional>
#include <vector>

namespace llm2mnn {

struct CodePointRange {
  char32_t first, last;
};

/// @param ranges  ascending, without overlap.
inline bool contains(const std::vector<CodePointRange>& ranges, char32_t c) {
  const auto it = std::upper_bound(ranges.begin(), ranges.end(), c,
                                   [](char32_t v, const CodePointRange& r) { return v < r.first; });
  return it != ranges.begin() && c <= std::prev(it)->last;
}

bool is_numeric(char32_t c);      ///< Digits
bool is_punctuation(char32_t c);  ///< Punctuation and Bert's
bool is_control(char32_t c);      ///< what Bert's clean_text drops, U+0000 and U+FFFD included
bool is_nonspacing(char32_t c);   ///< what Bert's strip_accents drops
bool is_combining(char32_t c);    ///< what StripAccents drops
bool is_unordered(char32_t c);    ///< a mark that utf8proc puts in order and the library's NFC and NFD do not
bool is_undecomposed(char32_t c);  ///< utf8proc decomposes it, the library does not
bool is_word(char32_t c);          ///< Whitespace, and single_word of added tokens

/// The lower case of `c` where utf8proc 2.8 has another or none.
std::optional<char32_t> newer_lowercase(char32_t c);

/// White_Space of Unicode.
inline bool is_whitespace(char32_t c) {
  return (c >= 0x9 && c <= 0xD) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

}  // namespace llm2mnn
