#pragma once
// tokenizer.mtok: the whole pipeline in the binary form of MNN's runtime 3.5.0 and later.

#include <cstdint>
#include <string>
#include <vector>

#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// What the runtime's tokenizer files hold beside the tokenizer itself.
struct RuntimeTexts {
  std::vector<std::int64_t> stop_ids;
  std::string chat_template, bos_token, eos_token;
  bool clean_up_tokenization_spaces = false;
};

/// Bytes of tokenizer.mtok. Lines about what the runtime cannot express go to `notes`.
/// @throws Error kUnsupported for a pattern that the runtime's regex engine cannot match.
/// Source: MNN 3.6.1, transformers/llm/engine/src/tokenizer/tokenizer.cpp, type 4 (PIPELINE).
std::string write_mtok(const TokenizerModel& model, const RuntimeTexts& texts,
                       std::vector<std::string>& notes);

/// Whole-word pieces that BPE merges cannot reach and that are safe to match as added tokens: a blank and
/// letters of which one is in U+1EA0..U+1EF9, that is a Vietnamese syllable, which is a word of its own
/// wherever it occurs. Only for models with `ignore_merges`; ascending by id.
std::vector<AddedToken> unreachable_syllables(const TokenizerModel& model);

/// A string for each id below `num_ids()`: pieces, added tokens, and a filler where an id is unused.
/// Unique strings; an added token's content wins over a piece with its id.
PieceTable whole_table(const TokenizerModel& model);

}  // namespace llm2mnn
