#pragma once
// Which files of a directory are its tokenizer, and the neutral description of it.

#include <filesystem>
#include <string>

#include "tokenizer/checkpoint_config.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

struct TokenizerSource {
  std::string file;  ///< "tokenizer.json", "tokenizer.model", "vocab.json and merges.txt", ...
  TokenizerModel model;
  TokenizerConfig config;
};

/// Reads the tokenizer of `dir`, in the order transformers' AutoTokenizer prefers: tokenizer.json;
/// vocab.json + merges.txt; a SentencePiece tokenizer.model (spiece.model, sentencepiece.bpe.model,
/// ice_text.model); tiktoken files
/// (qwen.tiktoken, hy.tiktoken, tokenizer.model in tiktoken's text form); tekken.json; vocab.txt.
/// @throws Error kIo when there is none, kFormat for a broken one, kUnsupported by name. Messages name the
/// file.
TokenizerSource load_tokenizer_source(const std::filesystem::path& dir);

}  // namespace llm2mnn
