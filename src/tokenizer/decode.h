#pragma once
// The decoder steps of a tokenizer, ready to run.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/pattern.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// `bytes` with U+FFFD for each longest part that cannot belong to a character.
std::string to_valid_utf8(std::string_view bytes);

/// Immutable; may be used by several threads.
class Decoder {
 public:
  /// @param steps  stay alive while the decoder is used.
  /// @throws Error kUnsupported for a pattern that is not understood.
  explicit Decoder(const std::vector<DecoderStep>& steps);

  /// The text that `tokens` spell; without any step they are joined by blanks.
  std::string decode(std::vector<std::string> tokens) const;

 private:
  struct Step {
    const DecoderStep* description = nullptr;
    std::unique_ptr<Pattern> pattern;
  };
  static void run(const Step& step, std::vector<std::string>& tokens);

  std::vector<Step> steps_;
};

}  // namespace llm2mnn
