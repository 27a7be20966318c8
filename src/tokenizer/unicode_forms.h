#pragma once
// Unicode's normalisation forms and lower case as `tokenizers` has them: with the data of Unicode 9 (forms)
// and of a newer version (lower case).

#include <string>
#include <string_view>

namespace llm2mnn {

enum class UnicodeForm { kNfc, kNfd, kNfkc, kNfkd };

/// `text` (valid UTF-8) in `form`.
std::string to_unicode_form(std::string_view text, UnicodeForm form);
/// Whether some form of `c` differs from it: no need to ask for the others.
bool has_decomposition(char32_t c);
/// The place of a mark in canonical order, 0 of what stays where it is.
int combining_class(char32_t c);
/// Whether `text` has no character that any form, or lower-casing apart from A to Z, could change.
bool is_ascii(std::string_view text);
/// Every character in lower case, one by one (no rule for a final sigma).
std::string to_lowercase(std::string_view text);

}  // namespace llm2mnn
