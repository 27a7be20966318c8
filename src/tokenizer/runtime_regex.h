#pragma once
// Pre-tokenizer patterns: from Oniguruma's syntax (what tokenizer.json has) to the dialect of the runtime's
// small regex engine.

#include <string>
#include <string_view>
#include <vector>

namespace llm2mnn {

/// `pattern` in the runtime's dialect, with the same matches on the texts that occur.
/// The engine runs on folded text, in which a character beyond ASCII is one byte that stands for its Unicode
/// category; it knows neither possessive nor lazy quantifiers, look-behind, anchors nor sub-categories.
///   - possessive marks are dropped (`\p{N}{1,3}+`): harmless where what follows cannot match the same text;
///   - sub-categories of letters become ASCII ranges plus the folded byte of all other letters;
///   - a leading `(?i)` becomes a group.
/// Rewrites that are exact for ASCII only add a line to `notes`.
/// @throws Error kUnsupported names what cannot be written.
std::string to_runtime_regex(std::string_view pattern, std::vector<std::string>& notes);

/// A pattern of the runtime's dialect that matches `text` itself.
std::string literal_runtime_regex(std::string_view text);

}  // namespace llm2mnn
