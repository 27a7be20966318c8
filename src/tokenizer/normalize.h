#pragma once
// The normalizer steps of a tokenizer, ready to run.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/charsmap.h"
#include "tokenizer/pattern.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

struct NormalizedText {
  std::string text;
  bool keeps_start = true;  ///< false when the characters that the source begins with are gone
};

/// Immutable; may be used by several threads.
class Normalizer {
 public:
  /// @param steps  stay alive while the normalizer is used.
  /// @throws Error kUnsupported or kFormat for a pattern or a charsmap that is not understood.
  explicit Normalizer(const std::vector<NormalizerStep>& steps);

  bool is_identity() const { return steps_.empty(); }
  /// @param text  valid UTF-8.
  NormalizedText apply(std::string_view text) const;

 private:
  struct Step {
    const NormalizerStep* description = nullptr;
    std::unique_ptr<Pattern> pattern;
    std::unique_ptr<Charsmap> charsmap;
  };
  static void run(const Step& step, NormalizedText& state);

  std::vector<Step> steps_;
};

}  // namespace llm2mnn
