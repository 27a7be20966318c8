#pragma once
// The bytes of an ONNX model, walked field by field, so that the values of tensors are never in memory.
// Private to this folder.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/byte_source.h"
#include "onnx.pb.h"
#include "tensor/dtype.h"

namespace llm2mnn::onnx {

/// An initializer as it stands in the file.
struct FoundTensor {
  std::string name;
  std::int32_t elem_type = 0;
  Shape dims;
  bool is_external = false;
  bool in_float_field = false;  ///< float_data: only of FLOAT
  bool in_typed_field = false;  ///< int32_data, int64_data, ...: nothing that a span can name
  std::uint64_t offset = 0;     ///< of raw_data (or packed float_data) in the file
  std::uint64_t num_bytes = 0;
  std::vector<std::pair<std::string, std::string>> external;
};

/// Fills `model` with everything but initializers, which are returned in the file's order.
/// @throws Error(kFormat) with the offset for bytes that are no model; kUnsupported for more than this tool
/// holds in memory, which is counted before anything is parsed.
std::vector<FoundTensor> read_model(const ByteSource& source, proto::Model& model);

}  // namespace llm2mnn::onnx
