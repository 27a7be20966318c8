#pragma once
// Patterns of tokenizer.json: Oniguruma's syntax and meaning, executed by PCRE2.

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// `pattern` (Oniguruma's syntax, as `tokenizers` compiles it) in PCRE2's syntax, for PCRE2_UTF | PCRE2_UCP |
/// PCRE2_MULTILINE. Character types and categories are spelt out where the two libraries or their versions of
/// Unicode differ: `\s`, `\w`, `\h`, `\d`, `\p{..}` (Unicode 16), nested classes, `&&`, `{n,m}+`, `(?m)`.
/// @throws Error kUnsupported names what cannot be written.
std::string to_pcre2_pattern(std::string_view pattern);

/// A compiled pattern. Immutable; may be used by several threads, each with its own Matcher.
class Pattern {
 public:
  /// @throws Error kUnsupported when PCRE2 does not take the pattern.
  explicit Pattern(const TextPattern& pattern);
  ~Pattern();
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;

 private:
  friend class Matcher;
  struct Code;
  std::unique_ptr<Code> code_;
  std::string literal_;  // when code_ is null
};

/// Largest text that a replacement may grow to.
inline constexpr std::size_t kMaxReplacedBytes = std::size_t{1} << 28;

/// `text` with `content` in place of each match; false, and nothing else happens, when there is none.
/// @throws Error kUnsupported beyond `max_bytes`.
bool replace_matches(const Pattern& pattern, std::string_view content, std::string& text,
                     std::size_t max_bytes = kMaxReplacedBytes);

/// The matches of a pattern in one text, from left to right, without overlap. An empty match directly behind
/// a match does not count.
class Matcher {
 public:
  /// `pattern` and `text` (valid UTF-8) stay alive while the matcher is used.
  Matcher(const Pattern& pattern, std::string_view text) : pattern_(pattern), text_(text) {}

  /// Finds the next match; false when there is none.
  /// @throws Error kFormat when the pattern exceeds its match limit, or the search of this text its time.
  bool next();
  std::size_t begin() const { return begin_; }
  std::size_t end() const { return end_; }

 private:
  bool search(std::size_t from);
  /// The same for matches that begin at `from` to `last`.
  bool search_window(std::size_t from, std::size_t last);
  void check_time();

  const Pattern& pattern_;
  std::string_view text_;
  std::size_t begin_ = 0, end_ = 0;
  bool found_ = false;  // begin_ and end_ are those of a match
  unsigned num_searches_ = 0;
  std::chrono::steady_clock::time_point started_;
};

}  // namespace llm2mnn
