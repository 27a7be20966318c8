#pragma once
// The pre-tokenizer of tokenizer.mtok.

#include <string>
#include <vector>

#include "tokenizer/mtok_bytes.h"
#include "tokenizer/mtok_plan.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// Lines about what the runtime cannot express go to `notes`.
/// @throws Error kUnsupported for a pattern that the runtime's regex engine cannot match.
void write_pre_tokenizer(const TokenizerModel& model, const MtokPlan& plan, bool has_template,
                         std::vector<std::string>& notes, Bytes& out);

}  // namespace llm2mnn
