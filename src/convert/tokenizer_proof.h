#pragma once
// Whether the written tokenizer files give, in a model of the runtime, the ids that Hugging Face's pipeline
// gives.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/encoder.h"

namespace llm2mnn {

struct TokenizerProof {
  /// A text that got other ids.
  struct Difference {
    std::string text;
    std::string reason;  ///< the known limit of the runtime that explains it; empty when nothing does
  };
  struct File {
    std::string name;  ///< "tokenizer.mtok"
    std::size_t tested = 0;
    std::vector<Difference> differences;

    std::size_t unexplained() const;
    /// "tokenizer.mtok: 52 of 52 texts as in the checkpoint".
    std::string summary() const;
  };
  File mtok, txt;
};

/// Some dozens of texts (prose, code, digits, blanks, accents, scripts, emoji, added tokens, control
/// characters) through both files and through `encoder`; expected are the ids of `encoder` behind the prefix
/// of the file. Differences of tokenizer.txt always have a reason: it is an approximation.
/// @throws Error kInternal when one of the files is not what the runtime reads (named in the message).
TokenizerProof prove_tokenizer(const Encoder& encoder, std::string_view mtok, std::string_view txt);

}  // namespace llm2mnn
