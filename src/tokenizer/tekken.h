#pragma once
// tekken.json: ranked byte strings with their pattern, and the special tokens in front of them.

#include <filesystem>
#include <string_view>

#include "tokenizer/checkpoint_config.h"
#include "tokenizer/source_options.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// Reads tekken.json; `config` gets its special tokens. Ids 0, 1, ... are the special tokens, with fillers up
/// to `default_num_special_tokens`; the ranks follow, up to `default_vocab_size` in all.
/// @throws Error kFormat for a broken file, with its name.
/// Source: the reference reader of these files (tekken.py, 2026). transformers 4.57 gives special tokens and
/// ranks the same ids, which no checkpoint means.
TokenizerModel load_tekken(const std::filesystem::path& path, const SourceOptions& options,
                           TokenizerConfig& config);

}  // namespace llm2mnn
