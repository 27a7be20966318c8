#pragma once
// `pytorch_model.bin`: the zip form that torch.save writes (PyTorch 1.6 and later). Nothing of it is
// executed.

#include <vector>

#include "base/byte_source.h"
#include "checkpoint/tensor_info.h"

namespace llm2mnn {

/// Reads and checks everything but the weights: the zip directory, the pickled state dict, the spans of the
/// storages. Tensors may share bytes (tied weights). `file_idx` is left 0; sorted by name.
/// @throws Error(kFormat) for a broken file, Error(kUnsupported) for what is refused by name (the form before
/// PyTorch 1.6, compressed or encrypted entries, nested dicts, other Python objects, strided views), without
/// the file's name.
std::vector<TensorInfo> read_torch_bin(const ByteSource& source);

}  // namespace llm2mnn
