#pragma once
// What a checkpoint says about one tensor.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/dtype.h"

namespace llm2mnn {

/// Of one checkpoint, all files together: 50 MB of records. The largest published models have 150,000
/// (experts stored one by one, with their scales).
inline constexpr std::size_t kMaxTensors = 250'000;
/// Bytes of all their names: 128 for each.
inline constexpr std::size_t kMaxNamesBytes = 128 * kMaxTensors;
/// Dimensions of one tensor. The limit of NumPy 1; weights have at most five.
inline constexpr std::size_t kMaxRank = 32;

/// One stored tensor: contiguous, row-major, little endian.
struct TensorInfo {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  std::uint32_t file_idx = 0;  ///< index into the checkpoint's files
  std::uint64_t offset = 0;    ///< of the first byte, in that file
  std::uint64_t bytes = 0;     ///< elements * dtype_bytes(dtype)
};

/// Bytes of a tensor of `dtype` and `shape`; false on overflow (zero-size dimensions do not hide one).
[[nodiscard]] bool tensor_num_bytes(DType dtype, const Shape& shape, std::uint64_t& out);
/// "F16 [64, 48]", cut for messages.
std::string type_text(DType dtype, const Shape& shape);
/// Counts the tensors of a checkpoint and the bytes of their names.
class TensorLimits {
 public:
  /// @throws Error(kUnsupported) when this is one too many.
  void add(std::string_view name);

 private:
  std::size_t num_tensors_ = 0;
  std::size_t names_bytes_ = 0;
};

/// Sorts by name (bytewise). @throws Error(kFormat) for a name that appears twice.
void sort_by_name(std::vector<TensorInfo>& tensors);
/// The remedy of most refusals here.
inline constexpr std::string_view kResave =
    "load the model with transformers and save it again: save_pretrained(DIR, safe_serialization=True)";

}  // namespace llm2mnn
