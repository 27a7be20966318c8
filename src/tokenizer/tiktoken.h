#pragma once
// Vocabularies of ranked byte strings: tiktoken's text files (qwen.tiktoken, hy.tiktoken, tokenizer.model of
// some models). They hold neither the pattern nor the special tokens: these are the tokenizer class's own.

#include <filesystem>
#include <string>
#include <string_view>

#include "tokenizer/checkpoint_config.h"
#include "tokenizer/piece_table.h"
#include "tokenizer/source_options.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// Whether `text` can be a tiktoken file: a line of base64, a blank and a number. A SentencePiece model never
/// is.
bool looks_like_tiktoken(std::string_view text);

/// The byte strings of a tiktoken file by rank; index and id are the rank.
/// @param by_position  a line's rank is its position, and strings that come again are passed over.
/// @throws Error kFormat with the line's number; also for ranks that are not 0, 1, 2, ... in some order.
PieceTable parse_tiktoken(std::string_view text, bool by_position);

/// Reads the tiktoken file `path` as the class that `options` names does; `config` gets the class's own
/// special tokens. @throws Error kUnsupported for a class that is not known, kFormat for a broken file, with
/// its name. Source: the classes' Python code beside these files; transformers 4.57, TikTokenConverter.
TokenizerModel load_tiktoken(const std::filesystem::path& path, const SourceOptions& options,
                             TokenizerConfig& config);

/// Makes `ranked` (byte strings in rank order, with their ids) the model's vocabulary, with all their merges.
void set_ranked_vocabulary(const PieceTable& ranked, TokenizerModel& model);
/// Text is cut by `pattern`, then becomes bytes.
void add_ranked_pipeline(std::string pattern, bool nfc, TokenizerModel& model);

}  // namespace llm2mnn
