#pragma once
// An ONNX file as the source of an MNN package: the two-step route and `convert`.

#include "convert/package_plan.h"
#include "formats/onnx/onnx_file.h"

namespace llm2mnn {

/// The first steps of a conversion, in place of plan_package: the destination, the model of `options.path` (a
/// file, or a directory that holds llm.onnx), and the files that lie beside it or one directory above.
/// @throws Error for a destination in the way; kUnsupported, by node name and op type, for a graph that is
/// neither this tool's nor llmexport's; kIo for missing files.
void plan_onnx_package(PackagePlan& plan, const ExportOptions& options);

/// The file that `--model` names.
/// @throws Error(kIo) when there is none.
std::filesystem::path onnx_path(const std::filesystem::path& model);

}  // namespace llm2mnn
