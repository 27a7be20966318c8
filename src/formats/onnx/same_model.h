#pragma once
// Whether a file still is the graph that this tool wrote.

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "formats/onnx/onnx_file.h"
#include "formats/onnx/onnx_package.h"

namespace llm2mnn::onnx {

/// Fills `out` with bytes of a tensor of the file.
using TensorReader =
    std::function<void(const StoredTensor& tensor, std::uint64_t offset, std::span<std::byte> out)>;

/// Compares the file with `expected`, the graph that its record describes: nodes, inputs, outputs, names,
/// types and shapes of tensors, and the values of tables and constants. Functions may be missing, but not
/// differ.
/// @throws Error(kUnsupported) naming the first node (and its op type) or tensor that is other.
void check_same_model(const OnnxFile& file, const OnnxModel& expected, const TensorReader& read);

}  // namespace llm2mnn::onnx
