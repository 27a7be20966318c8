#pragma once
// config.json (settings a user may edit) and llm_config.json (facts of the model) of an MNN package.
// Keys: MNN's transformers/llm/engine llmconfig.hpp.

#include <string>

#include "convert/plan.h"

namespace llm2mnn {

/// @param form  the graph form whose runtimes read the file.
std::string make_config_json(const PackagePlan& plan, const EmbeddingPlan& embedding, mnn::GraphForm form);
std::string make_llm_config_json(const Plan& plan);
/// Without `tie_embeddings`: the embedding is a bf16 file.
std::string make_llm_config_json(const PackagePlan& plan);

}  // namespace llm2mnn
