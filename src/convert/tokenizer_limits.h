#pragma once
// What the runtime is known to do otherwise than Hugging Face with a tokenizer.mtok. A limit explains a
// difference only where it shows: most are given to the reference itself, which must then give the runtime's
// ids; the others need a text that has what they are about.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/encoder.h"

namespace llm2mnn {

class TokenizerLimits {
 public:
  /// @param model  of the reference; stays alive.
  /// @param has_template  whether the file has a chat template, which decides Metaspace's `first`.
  TokenizerLimits(const TokenizerModel& model, bool has_template);
  ~TokenizerLimits();

  /// The limit that explains why the runtime gives `found` where `expected` is wanted, both without the
  /// prefix; empty when none does. Not for several threads: encoders are made when they are needed.
  std::string explain(std::string_view text, std::span<const std::uint32_t> found,
                      std::span<const std::uint32_t> expected);

 private:
  struct Emulation;  ///< the reference with a limit of the runtime

  bool is_split_whole_word(std::string_view text, std::span<const std::uint32_t> expected);
  bool is_equal_path(std::span<const std::uint32_t> a, std::span<const std::uint32_t> b) const;
  std::string explain_by_text(std::string_view text) const;

  const TokenizerModel& model_;
  std::vector<Emulation> emulations_;      ///< each limit that the model meets, then all of them together
  std::unique_ptr<Emulation> all_merges_;  ///< without ignore_merges, when some whole words are left out
  std::optional<bool> has_split_words_;    ///< whether `all_merges_` is decided
};

}  // namespace llm2mnn
