#include "arch/scaled_source.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "arch/column_source.h"
#include "arch/source_quant.h"
#include "base/checked.h"
#include "kernels/convert.h"
#include "kernels/fp8.h"
#include "kernels/mxfp4.h"

namespace llm2mnn {
namespace {

std::size_t size_of(std::int64_t value) { return checked_cast<std::size_t>(value); }

// `count` rows of scales from row `begin` on, each of `in_row`, as float32.
std::vector<float> read_scales(const Checkpoint& checkpoint, TensorId scales, std::int64_t begin,
                               std::int64_t count, std::int64_t in_row) {
  const TensorInfo& info = checkpoint.tensor(scales);
  const std::size_t num_scales = size_of(count * in_row);
  const auto scale_bytes = size_of(dtype_bytes(info.dtype));
  std::vector<std::byte> stored(num_scales * scale_bytes);
  checkpoint.read(scales, size_of(begin * in_row) * scale_bytes, stored);
  std::vector<float> values(num_scales);
  if (decode_to_f32(stored.data(), info.dtype, num_scales, values.data())) return values;
  const auto bad = std::ranges::find_if(values, [](float value) { return !std::isfinite(value); });
  fail(ErrorKind::kFormat, "tensor {}: scale {} is {}; scales must be finite", shown(info.name),
       begin * in_row + (bad - values.begin()), *bad);
}

[[noreturn]] void fail_value(const Checkpoint& checkpoint, const Binding::ScaledBlocks& form,
                             std::int64_t row, const float* values) {
  const float* bad =
      std::find_if(values, values + form.cols, [](float value) { return !std::isfinite(value); });
  fail(ErrorKind::kFormat, "tensor {}: row {}, column {} is {}; weights must be finite",
       shown(checkpoint.tensor(form.values).name), row, bad - values, *bad);
}

// The row of scales, over all matrices, that a row has.
std::int64_t scale_row(const Binding::ScaledBlocks& form, std::int64_t row) {
  const std::int64_t rows = form.rows / form.matrices;
  return row / rows * ceil_div(rows, form.block_rows) + row % rows / form.block_rows;
}

void read_scaled_columns(const Checkpoint& checkpoint, const Binding::ScaledBlocks& form, const RowRun& run,
                         float* out, std::vector<std::byte>& scratch) {
  const DType dtype = checkpoint.tensor(form.values).dtype;
  const std::int64_t rows = form.rows / form.matrices;
  const std::int64_t scale_rows = ceil_div(form.cols, form.block_cols);  // of one matrix
  const std::int64_t in_row = ceil_div(rows, form.block_rows);
  std::int64_t scaled_matrix = -1;
  std::vector<float> scales;  // of that matrix
  const ColumnMatrices columns{
      .tensor = form.values,
      .rows = rows,
      .cols = form.cols,
      .value_bytes = 1,
      .decode = [&](const std::byte* stored, std::int64_t matrix, std::int64_t row, std::int64_t column,
                    std::int64_t count, float* values) {
        if (matrix != scaled_matrix) {
          scales = read_scales(checkpoint, form.scales, matrix * scale_rows, scale_rows, in_row);
          scaled_matrix = matrix;
        }
        const float* row_scales = scales.data() + row / form.block_cols * in_row;
        bool finite = true;
        for (std::int64_t done = 0; done < count;) {
          const std::int64_t block = (column + done) / form.block_rows;
          const std::int64_t part = std::min(count, (block + 1) * form.block_rows - column) - done;
          finite =
              decode_fp8(stored + done, dtype, size_of(part), row_scales[block], values + done) && finite;
          done += part;
        }
        return finite;
      }};
  read_columns_of(checkpoint, columns, run, out, scratch);
}

}  // namespace

void read_scaled(const Checkpoint& checkpoint, const Binding::ScaledBlocks& form, const RowRun& run,
                 float* out, std::vector<std::byte>& scratch) {
  if (run.count == 0) return;
  if (form.transposed) return read_scaled_columns(checkpoint, form, run, out, scratch);
  const DType dtype = checkpoint.tensor(form.values).dtype;
  const std::int64_t last = run.begin + (run.count - 1) * run.stride;
  const std::int64_t first_scale = scale_row(form, run.begin);
  const std::int64_t scales_in_row = ceil_div(form.cols, form.block_cols);
  const std::vector<float> scales = read_scales(checkpoint, form.scales, first_scale,
                                                scale_row(form, last) - first_scale + 1, scales_in_row);
  // One read when the rows lie side by side.
  const std::size_t row_bytes = size_of(form.cols);
  scratch.resize(run.stride == 1 ? size_of(run.count) * row_bytes : row_bytes);
  if (run.stride == 1) checkpoint.read(form.values, size_of(run.begin) * row_bytes, scratch);
  for (std::int64_t i = 0; i < run.count; ++i) {
    const std::int64_t row = run.begin + i * run.stride;
    const std::byte* stored = scratch.data() + (run.stride == 1 ? size_of(i) * row_bytes : 0);
    if (run.stride != 1) checkpoint.read(form.values, size_of(row) * row_bytes, scratch);
    const float* scale = scales.data() + (scale_row(form, row) - first_scale) * scales_in_row;
    float* values = out + i * form.cols;
    bool finite = true;
    for (std::int64_t col = 0; col < form.cols; col += form.block_cols, ++scale) {
      const std::int64_t count = std::min(form.block_cols, form.cols - col);
      finite = decode_fp8(stored + col, dtype, size_of(count), *scale, values + col) && finite;
    }
    if (!finite) fail_value(checkpoint, form, row, values);
  }
}

void read_mxfp4(const Checkpoint& checkpoint, const Binding::Mxfp4Groups& form, const RowRun& run, float* out,
                std::vector<std::byte>& scratch) {
  if (run.count == 0) return;
  const std::size_t groups = size_of(form.cols) / kMxfp4Group;
  const std::size_t code_bytes = groups * kMxfp4Group / 2;
  // Rows that lie close are read in one go and thinned out.
  constexpr std::int64_t kMostStride = 4;
  const std::int64_t rows_at_once = run.stride <= kMostStride ? run.count : 1;
  for (std::int64_t i = 0; i < run.count; i += rows_at_once) {
    const std::int64_t first = run.begin + i * run.stride;
    const std::size_t spanned = size_of((rows_at_once - 1) * run.stride + 1);
    scratch.resize(spanned * (code_bytes + groups));
    const std::span<std::byte> codes = std::span(scratch).first(spanned * code_bytes);
    const std::span<std::byte> scales = std::span(scratch).subspan(spanned * code_bytes);
    checkpoint.read(form.codes, size_of(first) * code_bytes, codes);
    checkpoint.read(form.scales, size_of(first) * groups, scales);
    for (std::int64_t k = 0; k < rows_at_once; ++k) {
      const std::size_t row = size_of(k * run.stride);
      if (!decode_mxfp4(codes.data() + row * code_bytes, scales.data() + row * groups, groups,
                        out + (i + k) * form.cols))
        fail(ErrorKind::kFormat, "tensor {}: row {} has a scale of 2^126 or more, or NaN",
             shown(checkpoint.tensor(form.scales).name), first + k * run.stride);
    }
  }
}

namespace {

// The factor of all values of a ternary matrix.
float read_factor(const Checkpoint& checkpoint, const Binding::TernaryCodes& form) {
  const TensorInfo& info = checkpoint.tensor(form.scale);
  std::vector<std::byte> stored(size_of(dtype_bytes(info.dtype)));
  checkpoint.read(form.scale, 0, stored);
  float scale = 0;
  const bool is_finite = decode_to_f32(stored.data(), info.dtype, 1, &scale);
  const float factor = form.divides ? 1 / scale : scale;
  if (!is_finite || !std::isfinite(factor))
    fail(ErrorKind::kFormat, "tensor {}: the scale is {}; it must be finite{}", shown(info.name), scale,
         form.divides ? " and not 0" : "");
  return factor;
}

}  // namespace

void read_ternary(const Checkpoint& checkpoint, const Binding::TernaryCodes& form, const RowRun& run,
                  float* out, std::vector<std::byte>& scratch) {
  if (run.count == 0) return;
  const float factor = read_factor(checkpoint, form);
  const std::int64_t packed_rows = form.rows / kTernaryPerByte;
  const std::size_t cols = size_of(form.cols);
  std::int64_t rows_at_once = 1;
  for (std::int64_t i = 0; i < run.count; i += rows_at_once) {
    const std::int64_t row = run.begin + i * run.stride;
    const std::int64_t packed = row % packed_rows;
    // Rows side by side, up to the next two bits.
    rows_at_once = run.stride == 1 ? std::min(run.count - i, packed_rows - packed) : 1;
    scratch.resize(size_of(rows_at_once) * cols);
    checkpoint.read(form.codes, size_of(packed) * cols, scratch);
    const auto shift = static_cast<unsigned>(2 * (row / packed_rows));
    float* values = out + size_of(i) * cols;
    for (std::size_t k = 0; k < scratch.size(); ++k) {
      const unsigned code = (std::to_integer<unsigned>(scratch[k]) >> shift) & 3U;
      if (code == 3)
        fail(ErrorKind::kFormat, "tensor {}: row {}, column {} has the code 3; ternary codes are 0, 1 and 2",
             shown(checkpoint.tensor(form.codes).name), row + std::int64_t(k / cols), k % cols);
      values[k] = (static_cast<float>(code) - 1) * factor;
    }
  }
}

}  // namespace llm2mnn
