#pragma once
// What onnxruntime-genai reads beside llm.onnx.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "convert/onnx_plan.h"

namespace llm2mnn {

/// The one file from which onnxruntime-genai makes a tokenizer.
inline constexpr const char* kTokenizerJsonName = "tokenizer.json";

/// genai_config.json: names of inputs and outputs, sizes, special ids, sampling. Keys: onnxruntime-genai's
/// src/config.h.
std::string make_genai_config_json(const OnnxPlan& plan);

/// The tokenizer files of a checkpoint, as they stand but for the chat template: onnxruntime-genai takes one
/// text, from tokenizer_config.json, else from chat_template.jinja. Where that is not `chat_template` (a list
/// of templates, `--chat_template`, no tokenizer_config.json at all) tokenizer_config.json is written with
/// it.
/// @throws Error(kIo); kFormat for one of more than 128 MiB.
std::vector<OnnxPlan::TokenizerFile> genai_tokenizer_files(const std::filesystem::path& dir,
                                                           std::string_view chat_template);

}  // namespace llm2mnn
