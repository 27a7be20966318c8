#pragma once
// How the runtime matches a Split pattern. Two ways: a small engine on folded text (see fold), or
// std::wregex when the pattern has a character above ASCII and no `\p`. The quirks are the runtime's: a lazy
// mark is dropped, a possessive one is a literal plus, `\p{Lu}` is every letter, an alternative with a
// look-ahead `(?=` is left out, ...

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "verify/work_budget.h"

namespace llm2mnn::verify {

/// GPT-2's pattern as the runtime holds it.
std::string_view gpt2_pattern();

class RuntimeRegex {
 public:
  /// @throws Error kFormat for what the runtime would misread in silence or abort on (a bracket without its
  /// end, a number that is no int), kUnsupported for a pattern whose work has no bound.
  explicit RuntimeRegex(std::string_view pattern);
  ~RuntimeRegex();
  RuntimeRegex(RuntimeRegex&&) noexcept;

  /// Byte spans of the matches that are not empty, from left to right.
  std::vector<std::pair<std::size_t, std::size_t>> matches(std::string_view text, WorkBudget& budget) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace llm2mnn::verify
