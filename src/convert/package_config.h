#pragma once
// config.json (settings a user may edit) and llm_config.json (facts of the model) of an MNN package.
// Keys: MNN's transformers/llm/engine llmconfig.hpp.

#include <string>

#include "convert/plan.h"

namespace llm2mnn {

std::string make_config_json(const Plan& plan);
std::string make_llm_config_json(const Plan& plan);

}  // namespace llm2mnn
