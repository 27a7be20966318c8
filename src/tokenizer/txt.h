#pragma once
// tokenizer.txt: the tokenizer for runtimes before 3.5, in the form that fits it best.

#include <string>

#include "tokenizer/mtok.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

struct TxtFile {
  std::string bytes;
  std::string limits;  ///< one line: for which runtimes it is right and what it cannot express
};

/// Forms: 0 (SentencePiece) for BPE and Unigram over plain text, 1 (tiktoken) for byte-level pieces without
/// merges, 2 (BERT) for WordPiece and WordLevel, 3 (Hugging Face) for byte-level BPE. Every added token is a
/// special id, longest first, since the runtime takes the first one that matches.
/// Source: MNN 3.6.1, transformers/llm/engine/src/tokenizer/tokenizer.cpp, types 0 to 3.
TxtFile write_txt(const TokenizerModel& model, const IdTable& table, const RuntimeTexts& texts);

}  // namespace llm2mnn
