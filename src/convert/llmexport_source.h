#pragma once
// The ONNX file of MNN's own exporter as the source of an MNN package.

#include "convert/package_plan.h"
#include "formats/onnx/onnx_file.h"

namespace llm2mnn {

/// Sets model, tokenizer and configs of the plan from `onnx`, opened as `file`, and the files that lie with
/// it: embeddings_bf16.bin, llm_config.json, tokenizer.mtok.
/// @throws Error(kUnsupported) naming what no plain decoder has; kIo for missing files; kFormat for broken
/// ones.
void plan_llmexport_package(PackagePlan& plan, const std::filesystem::path& onnx, const onnx::OnnxFile& file);

}  // namespace llm2mnn
