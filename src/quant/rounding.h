#pragma once
// Weights to codes: one BlockGrid rule (stored scale and offset first, codes against the stored values after)
// used by every method.

#include <cstddef>
#include <cstdint>
#include <span>

#include "quant/method.h"
#include "tensor/dtype.h"
#include "tensor/quant_scheme.h"

namespace llm2mnn {

/// Rows of a weight matrix, contiguous, in a weight dtype (F32, F16 or BF16), little endian.
struct WeightRows {
  const std::byte* data = nullptr;
  DType dtype = DType::kF32;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
};

/// Chooses the grid of each group of each row by `method`, rounds the weights to its nearest codes and packs
/// them.
///
/// code = clamp(round_half_even((w - offset) / scale), -2^(bits-1), 2^(bits-1) - 1), with scale and offset as
/// they are stored. The method `rtn` has scale = (max - min) / (2^bits - 1) and offset = min + scale *
/// 2^(bits-1), symmetric scale = max|w| / (2^(bits-1) - 1). A constant group is scale 1, code 0, offset the
/// constant (symmetric: an all-zero group is scale 1, code 0). 16 and 32 bits: the values as FP16 (round half
/// to even) or FP32; the method does not matter.
///
/// All arithmetic is float32, one rounding per operation. A stored scale of `rtn` that leaves more than half
/// a step of the range uncovered, which takes a step among the smallest of its type (zero included), becomes
/// the next larger value. So every weight is within scale * (1/2 + 2^(bits-23)) of its value; a weight that
/// meets the end of the code range may miss by the rounding of the offset more.
///
/// @param codes  codes_bytes(scheme, rows, cols) bytes: unsigned code + 2^(bits-1), one MSB-first bit stream.
///               Precondition: rows * cols * bits is a multiple of 8, or these are the matrix's last rows.
/// @param alpha  alpha_bytes(scheme, rows, cols) bytes: per group (offset, scale), or scale when symmetric.
/// @throws Error(kFormat) "row R: NaN|Inf in column C ..." (R counted from `first_row`), and "row R: ..." for
///         values, scales or offsets beyond their stored type. Never clips in silence; after an error the
///         outputs are of no use.
/// The result does not depend on the ISA. Thread-safe.
/// Source: MNN's default rounding for `rtn`; the others in quant/methods; stored first as in docs/adr/0005.
void quantize_rows(const WeightRows& w, const QuantScheme& scheme, const QuantMethod& method,
                   std::int64_t first_row, std::span<std::byte> codes, std::span<std::byte> alpha);

/// Bytes of memory that `quantize_rows` allocates for rows of `cols` weights, beyond its outputs.
std::int64_t scratch_bytes(const QuantScheme& scheme, const QuantMethod& method, std::int64_t cols);

/// @throws Error(kFormat) naming row (counted from `first_row`) and column of the first value that is NaN or
/// Inf (counted from `first_col`); returns when there is none.
void fail_if_not_finite(const WeightRows& w, std::int64_t first_row, std::int64_t first_col = 0);

/// Rows to a float type (F32, F16, BF16; round half to even). Errors as above.
void convert_rows(const WeightRows& w, std::int64_t first_row, DType to, std::span<std::byte> out,
                  std::int64_t first_col = 0);

}  // namespace llm2mnn
