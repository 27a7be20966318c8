#pragma once
// tokenizer.txt, type 3: byte-level BPE for runtimes before 3.5.

#include <string>

#include "tokenizer/mtok.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

struct TxtFile {
  std::string bytes;
  std::string limits;  ///< one line: for which runtimes it is right and what it cannot express
};

/// The vocabulary in the byte alphabet and the merges; every added token is a special id, longest first,
/// since the runtime takes the first one that matches.
/// Source: MNN 3.6.1, transformers/llm/engine/src/tokenizer/tokenizer.cpp, type 3 (HUGGINGFACE).
TxtFile write_txt(const TokenizerModel& model, const IdTable& table, const RuntimeTexts& texts);

}  // namespace llm2mnn
