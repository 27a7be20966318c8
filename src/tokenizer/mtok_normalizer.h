#pragma once
// The normalizer of tokenizer.mtok.

#include <string>
#include <vector>

#include "tokenizer/mtok_bytes.h"
#include "tokenizer/mtok_plan.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// Lines about what the runtime cannot express go to `notes`.
/// @throws Error kFormat for a broken precompiled_charsmap.
void write_normalizer(const TokenizerModel& model, const MtokPlan& plan, std::vector<std::string>& notes,
                      Bytes& out);

}  // namespace llm2mnn
