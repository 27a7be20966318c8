#pragma once
// 8 bit floats to float32, as checkpoints store them: one scale for a run of values.

#include <cstddef>

#include "tensor/dtype.h"

namespace llm2mnn {

/// `n` values of F8_E4M3 or F8_E5M2 (OCP's OFP8, revision 1.0: E4M3 has no infinities, E5M2 is the upper half
/// of FP16), each times `scale` with one rounding to float32.
/// @return false when some product is NaN or Inf; `out` is then complete but of no use.
[[nodiscard]] bool decode_fp8(const std::byte* src, DType dtype, std::size_t n, float scale, float* out);

}  // namespace llm2mnn
