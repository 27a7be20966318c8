#pragma once
// The header of a safetensors file: 8 bytes of length, a JSON object, then the tensors' bytes.
// Source: the format section of huggingface/safetensors' README; limits as its reader has them.

#include <vector>

#include "base/byte_source.h"
#include "checkpoint/tensor_info.h"

namespace llm2mnn {

/// Reads and checks a whole header: one JSON object, known dtypes, spans that agree with dtype and shape, lie
/// back to back from the first data byte and end with the file. `file_idx` is left 0; sorted by name.
/// Stricter than the reference: an unknown key in a tensor's entry and a repeated name are refused.
/// @throws Error(kFormat) for a broken file, Error(kUnsupported) for a dtype that is not read, without the
/// file's name.
std::vector<TensorInfo> read_safetensors_header(const ByteSource& source);

}  // namespace llm2mnn
