#pragma once
// The ONNX file that MNN's own exporter writes (llmexport.py --export onnx): standard nodes, the operators of
// the domain LlmExporter, no embedding. Translated node by node into the semantic graph; what is not
// understood is refused.

#include <cstdint>
#include <string>
#include <vector>

#include "formats/onnx/onnx_file.h"
#include "formats/onnx/same_model.h"
#include "ir/graph.h"

namespace llm2mnn::onnx {

/// The initializer that holds a weight.
struct WeightOrigin {
  std::string tensor;
  bool transposed = false;  ///< a matrix stored as [I, O]
};

struct LlmexportModel {
  ir::Graph graph;                    ///< passes ir::verify; names and addresses are those of our own exports
  std::vector<WeightOrigin> weights;  ///< parallel to graph.weights
};

/// Whether the file uses the domain LlmExporter.
bool is_llmexport(const OnnxFile& file);

/// @param read           for constants and rotary tables; matrices are never read.
/// @param num_positions  that rotary tables shall cover at least; the file's tables are checked as far as
/// they go.
/// @throws Error(kUnsupported) naming node and op type, or tensor, for everything that is no part of a plain
/// decoder; kFormat for values that are broken.
LlmexportModel read_llmexport(const OnnxFile& file, const TensorReader& read, std::int64_t num_positions);

}  // namespace llm2mnn::onnx
