#pragma once
// The model of tokenizer.mtok.

#include <string>
#include <vector>

#include "tokenizer/mtok_bytes.h"
#include "tokenizer/mtok_plan.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

/// Lines about what the runtime cannot express go to `notes`.
/// @throws Error kUnsupported for a model whose ids would be nonsense in the runtime.
void write_model(const TokenizerModel& model, const IdTable& table, const MtokPlan& plan,
                 std::vector<std::string>& notes, Bytes& out);

}  // namespace llm2mnn
