#pragma once
// What a family has beyond the plainest decoder, for `families`.

#include <string>
#include <vector>

#include "arch/family_data.h"

namespace llm2mnn {

/// Words in the vocabulary's order: one for each choice that is not the fallback, whether for good or up to
/// config.json.
std::vector<std::string> features_of(const Family& family);

}  // namespace llm2mnn
