#pragma once
// How the rows of a matrix get into llm.onnx.data: as they are, as columns, or as codes.

#include <memory>

#include "convert/row_stream.h"
#include "formats/onnx/onnx_package.h"

namespace llm2mnn {

/// `blob` and `file` must outlive it.
std::unique_ptr<RowSink> onnx_sink(const onnx::MatrixBlob& blob, const onnx::OnnxForm& form,
                                   const File& file);

}  // namespace llm2mnn
