#pragma once
// Scripts as the UnicodeScripts pre-tokenizer tells them apart.

namespace llm2mnn {

inline constexpr int kAnyScript = -1;  ///< the blank, and characters without a script: they never split

/// A number for the script of `c`, the same for Han, Hiragana and Katakana.
int splitting_script(char32_t c);

}  // namespace llm2mnn
