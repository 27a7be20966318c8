#pragma once
// Strings as Python sees them: white space and case. Letters beyond ASCII change case by Unicode's simple
// mappings.

#include <string>
#include <string_view>

namespace llm2mnn::jinja {

/// `str.strip` and its kin. @param characters  the set to strip; null: white space.
std::string stripped(std::string_view text, bool left, bool right, const std::string* characters);
std::string upper(std::string_view text);
std::string lower(std::string_view text);
/// The first letter upper, the others lower.
std::string capitalized(std::string_view text);
/// Each word capitalized, a word being what follows anything that is no letter.
std::string titled(std::string_view text);
/// Whether the character at the begin of `text` is white space to Python; its size in bytes.
bool starts_with_space(std::string_view text, std::size_t& size);

}  // namespace llm2mnn::jinja
