#pragma once
// Rows of weights that are stored by columns or as codes. Private to this folder.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "arch/binding.h"

namespace llm2mnn {

/// The rows of `run` of the transpose of tensor [I, O], or of those of the E matrices of tensor [E, I, O], as
/// float32.
/// @throws Error(kFormat) naming tensor and place of a value that is NaN or Inf.
void read_transposed(const Checkpoint& checkpoint, TensorId tensor, const RowRun& run, float* out,
                     std::vector<std::byte>& scratch);

/// Matrices stored as [cols, rows], one after the other, in values of whole bytes.
struct ColumnMatrices {
  TensorId tensor = 0;
  std::int64_t rows = 0, cols = 0;  ///< of one matrix
  std::int64_t value_bytes = 0;
  /// Turns `count` stored values into float32: those from column `column` on of stored row `row` of matrix
  /// `matrix`. @return false when one is NaN or Inf.
  std::function<bool(const std::byte* stored, std::int64_t matrix, std::int64_t row, std::int64_t column,
                     std::int64_t count, float* out)>
      decode;
};
/// The rows of `run`, counted over all matrices, as read_transposed.
void read_columns_of(const Checkpoint& checkpoint, const ColumnMatrices& form, const RowRun& run, float* out,
                     std::vector<std::byte>& scratch);

/// Rows [row_begin, row_begin + row_count) of codes. @throws Error(kFormat) for a scale or weight that is not
/// finite.
void read_dequantised(const Checkpoint& checkpoint, const Binding::ZeroPointCodes& codes,
                      std::int64_t row_begin, std::int64_t row_count, float* out,
                      std::vector<std::byte>& scratch);

}  // namespace llm2mnn
