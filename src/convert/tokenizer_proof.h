#pragma once
// Whether the written tokenizer files give, in a model of the runtime, the ids that Hugging Face's pipeline
// gives.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/encoder.h"
#include "tokenizer/tokenizer_package.h"

namespace llm2mnn {

struct TokenizerProof {
  /// A text that got other ids, or an added token that prints as another text.
  struct Difference {
    std::string text;
    std::string reason;   ///< the known limit of the runtime that explains it; empty when nothing does
    std::string failure;  ///< why the runtime gives nothing at all; empty when it gives something else
  };
  struct File {
    std::string name;  ///< "tokenizer.mtok"
    std::size_t tested = 0;
    std::vector<Difference> differences;
    std::vector<Difference> misprinted;  ///< added tokens

    std::size_t unexplained() const;
    /// Null when all have a reason.
    const Difference* first_unexplained() const;
    /// "tokenizer.mtok: 52 of 52 texts as in the checkpoint".
    std::string summary() const;
  };
  File mtok, txt;
};

/// Some dozens of texts (prose, code, digits, blanks, accents, scripts, emoji, added tokens, control
/// characters) through both files of `package` and through `encoder`, and all added tokens back to text.
/// Expected are the ids of `encoder` behind the prefix of its model. Other ids from tokenizer.txt always have
/// a reason, since it is an approximation; a text on which it stops the runtime has one only when it holds
/// bytes that the vocabulary lacks.
/// @throws Error kInternal when one of the files is not what the runtime reads, or has another prefix, stop
/// id, template, BOS or EOS than the package (named in the message).
TokenizerProof prove_tokenizer(const Encoder& encoder, const TokenizerPackage& package);

}  // namespace llm2mnn
