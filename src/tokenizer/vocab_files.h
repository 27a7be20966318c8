#pragma once
// Vocabularies in plain files: vocab.json with merges.txt (byte-level BPE) and vocab.txt (WordPiece). What
// surrounds them is fixed by the tokenizer class of transformers that tokenizer_config.json names.

#include <filesystem>
#include <string_view>

#include "tokenizer/checkpoint_config.h"
#include "tokenizer/source_options.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// Reads vocab.json and merges.txt of `dir`; `config` gets the class's own special tokens.
/// @throws Error kUnsupported for a class that is not known, kFormat for a broken file, with its name.
/// Source: transformers 4.57, the slow tokenizers' readers and their conversion to fast ones.
TokenizerModel load_vocab_and_merges(const std::filesystem::path& dir, const SourceOptions& options,
                                     TokenizerConfig& config);

/// Reads vocab.txt: one piece a line, the id is the line's number from 0. As above.
TokenizerModel load_vocab_txt(const std::filesystem::path& path, const SourceOptions& options,
                              TokenizerConfig& config);

/// Pattern of GPT-4-like vocabularies with `digits` as the alternative for numbers ("\p{N}" or "\p{N}{1,3}").
std::string contraction_pattern(std::string_view digits);

}  // namespace llm2mnn
