#pragma once
// Whether the written tokenizer files give, in a model of the runtime, the ids that Hugging Face's pipeline
// gives.

#include <cstddef>
#include <future>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/encoder.h"
#include "tokenizer/tokenizer_package.h"
#include "verify/runtime_tokenizer.h"

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

/// tokenizer.mtok as the runtime reads it, read on a thread of its own: with a large vocabulary the longest
/// part of the proof, and of use beside the making of the encoder. Deferred only where no thread is to be
/// had.
class MtokReadback {
 public:
  /// `package` must outlive this.
  explicit MtokReadback(const TokenizerPackage& package);
  /// Waits. Once. @throws as prove_tokenizer.
  verify::RuntimeTokenizer take() { return reading_.get(); }

 private:
  std::future<verify::RuntimeTokenizer> reading_;
};

/// Some dozens of texts (prose, code, digits, blanks, accents, scripts, emoji, added tokens, control
/// characters) through both files of `package` and through `encoder`, and all added tokens back to text.
/// Expected are the ids of `encoder` behind the prefix of its model. Other ids from tokenizer.txt always have
/// a reason, since it is an approximation; a text on which it stops the runtime has one only when it holds
/// bytes that the vocabulary lacks.
/// @throws Error kInternal when one of the files is not what the runtime reads, or has another prefix, stop
/// id, template, BOS or EOS than the package (named in the message).
TokenizerProof prove_tokenizer(const Encoder& encoder, const TokenizerPackage& package,
                               MtokReadback readback);
TokenizerProof prove_tokenizer(const Encoder& encoder, const TokenizerPackage& package);

}  // namespace llm2mnn
