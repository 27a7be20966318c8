#pragma once
// Strings as Python sees them: characters, white space, lines and case. Case changes that Python makes by
// context or into several letters (but "ß") end the rendering, see `beyond` in value.h.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace llm2mnn::jinja {

/// `str.strip` and its kin. @param characters  the set to strip; null: white space.
std::string stripped(std::string_view text, bool left, bool right, const std::string* characters);
/// The same for white space, as a view.
std::string_view without_spaces(std::string_view text, bool left, bool right);
std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string swapped_case(std::string_view text);
std::string casefolded(std::string_view text);
/// The first letter upper, the others lower.
std::string capitalized(std::string_view text);
/// `str.title`: a letter is upper unless one that has a case stands in front of it.
std::string titled(std::string_view text);
/// Jinja's `title`: words end at blanks, hyphens and open brackets.
std::string titled_words(std::string_view text);
/// Whether the character at the begin of `text` is white space to Python; its size in bytes.
bool starts_with_space(std::string_view text, std::size_t& size);
bool is_space(char32_t c);

/// `str.splitlines`. @param keep  with the ends of the lines.
std::vector<std::string_view> lines_of(std::string_view text, bool keep);
/// The byte at which the character `index` begins; the size of `text` beyond its end.
std::size_t byte_of_character(std::string_view text, std::size_t index);

// Of one character, as the methods of `str` of these names.
bool is_alpha(char32_t c);
bool is_decimal(char32_t c);
bool is_digit(char32_t c);
bool is_numeric(char32_t c);
bool is_alnum(char32_t c);
bool is_printable(char32_t c);
/// Whether Python's `\w` matches.
bool is_word(char32_t c);

enum class Case : std::uint8_t { kNone, kLower, kUpper, kTitle };
Case case_of(char32_t c);

}  // namespace llm2mnn::jinja
