#pragma once
// tokenizer.mtok: the whole pipeline in the binary form of MNN's runtime 3.5.0 and later.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/id_table.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// Bytes of one string: the format's lengths are 16-bit.
inline constexpr std::size_t kMaxRuntimeStringBytes = 0xFFFF;

/// What the runtime's tokenizer files hold beside the tokenizer itself.
struct RuntimeTexts {
  std::vector<std::int64_t> stop_ids;
  std::string chat_template, bos_token, eos_token;
  bool clean_up_tokenization_spaces = false;
};

/// Bytes of tokenizer.mtok. Lines about what the runtime cannot express go to `notes`.
/// @throws Error kUnsupported for a pattern that the runtime's regex engine cannot match and for a model
/// whose ids would be nonsense there. Source: MNN 3.6.1, transformers/llm/engine/src/tokenizer/tokenizer.cpp,
/// type 4 (PIPELINE).
std::string write_mtok(const TokenizerModel& model, const IdTable& table, const RuntimeTexts& texts,
                       std::vector<std::string>& notes);

}  // namespace llm2mnn
