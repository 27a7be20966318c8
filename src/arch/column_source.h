#pragma once
// Rows of weights that are stored by columns or as codes. Private to this folder.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "arch/binding.h"

namespace llm2mnn {

/// Rows [row_begin, row_begin + row_count) of the transpose of tensor [I, O], as float32.
/// @throws Error(kFormat) naming tensor and place of a value that is NaN or Inf.
void read_transposed(const Checkpoint& checkpoint, TensorId tensor, std::int64_t row_begin,
                     std::int64_t row_count, float* out, std::vector<std::byte>& scratch);

/// The same of codes. @throws Error(kFormat) for a scale or weight that is not finite.
void read_dequantised(const Checkpoint& checkpoint, const Binding::ZeroPointCodes& codes,
                      std::int64_t row_begin, std::int64_t row_count, float* out,
                      std::vector<std::byte>& scratch);

}  // namespace llm2mnn
