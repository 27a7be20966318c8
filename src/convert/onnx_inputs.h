#pragma once
// What `convert` reads of an ONNX file and of the files that lie with it, whoever wrote it.

#include <filesystem>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "convert/package_plan.h"
#include "formats/onnx/onnx_file.h"

namespace llm2mnn {

/// The file's tensors for Checkpoint::of_tensors; what is no float is bytes.
std::vector<TensorInfo> tensor_infos(const onnx::OnnxFile& file);

/// `name` beside the ONNX file or one directory above.
/// @throws Error(kIo) when it is in neither.
std::filesystem::path needed_side_file(const std::filesystem::path& onnx, const char* name);

/// Sets tokenizer files, their number of ids and the configs of the plan. @throws Error(kIo) for missing
/// ones.
void read_onnx_side_files(PackagePlan& plan, const std::filesystem::path& onnx);

/// @throws Error(kUnsupported) when `--compat` asks for a tokenizer.txt that is not there.
void check_compat(const PackagePlan& plan);

}  // namespace llm2mnn
