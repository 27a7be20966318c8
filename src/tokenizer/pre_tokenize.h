#pragma once
// The pre-tokenizer steps of a tokenizer, ready to run.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/pattern.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// Bytes from `begin` to `end` of a text.
struct Span {
  std::uint32_t begin = 0, end = 0;
};

/// A text and the words it is split into, from left to right.
struct Words {
  std::string text;
  std::vector<Span> spans;
  bool first_keeps_start = true;  ///< the text's first byte comes from the first byte of the whole input
  std::string_view word(std::size_t i) const {
    return std::string_view(text).substr(spans[i].begin, spans[i].end - spans[i].begin);
  }
};

/// Immutable; may be used by several threads.
class PreTokenizer {
 public:
  /// @param steps  stay alive while the pre-tokenizer is used.
  /// @param keep_bytes  leave out the spelling in the byte alphabet of a ByteLevel step that is the last one.
  /// @throws Error kUnsupported for a pattern that is not understood.
  PreTokenizer(const std::vector<PreTokenizerStep>& steps, bool keep_bytes);

  /// Splits `words`, whose spans are one word with the whole text.
  void run(Words& words) const;

 private:
  struct Step {
    const PreTokenizerStep* description = nullptr;
    std::unique_ptr<Pattern> pattern;
    bool spells_bytes = false;
  };
  static void run_step(const Step& step, Words& words);

  std::vector<Step> steps_;
};

}  // namespace llm2mnn
