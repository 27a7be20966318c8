#pragma once
// Text to ids and back, as Hugging Face's `tokenizers` does it.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// A tokenizer ready for use. Immutable; `encode` and `decode` may be called from several threads.
class Encoder {
 public:
  /// Compiles the patterns and the tables.
  /// @throws Error kUnsupported for a pattern that PCRE2 does not take or that has no bound on its work.
  explicit Encoder(TokenizerModel model);
  ~Encoder();
  Encoder(Encoder&&) noexcept;
  Encoder& operator=(Encoder&&) noexcept;

  const TokenizerModel& model() const;

  /// Ids of `text` (valid UTF-8, checked: kFormat), added tokens found in it included.
  /// @param add_special_tokens  also the prefix and the suffix of the post-processor.
  /// Time is linear in the text up to a logarithm, also without any blank in it.
  /// @throws Error kUnsupported when the model has no token for a character and no unknown token either
  /// (Unigram without unk_id), as `tokenizers` does; kFormat when a pattern exceeds its match limit.
  std::vector<std::uint32_t> encode(std::string_view text, bool add_special_tokens) const;

  /// The text of `ids`; ids without a text vanish; bytes that are no UTF-8 become U+FFFD, as in `tokenizers`.
  /// `clean_up_tokenization_spaces` of transformers is not applied.
  std::string decode(std::span<const std::uint32_t> ids, bool skip_special_tokens) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace llm2mnn
