#pragma once
// What onnxruntime-genai reads beside llm.onnx.

#include <filesystem>
#include <string>
#include <vector>

#include "convert/onnx_plan.h"

namespace llm2mnn {

/// genai_config.json: names of inputs and outputs, sizes, special ids, sampling. Keys: onnxruntime-genai's
/// src/config.h.
std::string make_genai_config_json(const OnnxPlan& plan);

/// The tokenizer files of a checkpoint, as they stand.
/// @throws Error(kIo); kFormat for one of more than 128 MiB.
std::vector<OnnxPlan::CopiedFile> tokenizer_files_of(const std::filesystem::path& dir);

}  // namespace llm2mnn
