#pragma once
// The runtime's normalizer.

#include <string>
#include <string_view>

#include "verify/mtok_reader.h"
#include "verify/work_budget.h"

namespace llm2mnn::verify {

/// `text` as `step` makes it.
/// @throws Error kUnsupported when the text grows beyond what the runtime handles in some seconds.
std::string normalize(const MtokNormalizer& step, std::string text, WorkBudget& budget);

}  // namespace llm2mnn::verify
