#pragma once
// The pickle of a state dict, read by a machine that knows a dozen names and runs nothing.
//
// Accepted is what torch.save writes for a dict of tensors (protocols 2 to 5): strings, numbers, tuples,
// dicts, references to storages, and the globals OrderedDict, _rebuild_tensor_v2, _rebuild_tensor_v3,
// _rebuild_parameter, the storage types and the dtypes. Everything else is refused by its name.
// Source: CPython's Lib/pickletools.py (opcodes), PyTorch's torch/serialization.py and torch/_utils.py
// (values).

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "checkpoint/tensor_info.h"

namespace llm2mnn {

/// Where the bytes of a storage are in the file.
struct StorageSpan {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};
/// The storage of a key ("0", "1", ...), if the archive has it.
using FindStorage = std::function<std::optional<StorageSpan>(std::string_view key)>;

/// Reads `pickle` as a dict of tensor names and tensors; sorted by name. Spans lie inside their storages and
/// may be shared. Memory: about 300 bytes for each tensor beside `pickle`.
/// @throws Error(kFormat) for a broken pickle, Error(kUnsupported) for other objects and for strided views.
std::vector<TensorInfo> read_state_dict(std::string_view pickle, const FindStorage& find_storage);

}  // namespace llm2mnn
