#include "arch/column_source.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "base/checked.h"
#include "kernels/convert.h"
#include "kernels/transpose.h"

namespace llm2mnn {
namespace {

std::size_t size_of(std::int64_t value) { return checked_cast<std::size_t>(value); }

// Columns [begin, begin + count) of rows [first_row, first_row + rows) of a stored matrix of `all_columns` of
// them and `bits` bits a value, without gaps: one read a row, or one in all. `begin * bits` and `count *
// bits` are whole bytes.
void read_columns(const Checkpoint& checkpoint, TensorId tensor, std::int64_t first_row, std::int64_t rows,
                  std::int64_t all_columns, std::int64_t bits, std::int64_t begin, std::int64_t count,
                  std::byte* out) {
  LLM2MNN_CHECK(count == all_columns || (begin * bits % 8 == 0 && count * bits % 8 == 0));
  const std::size_t run = size_of(count * bits / 8);
  if (count == all_columns)
    return checkpoint.read(tensor, checked_cast<std::uint64_t>(first_row * all_columns * bits / 8),
                           {out, size_of(rows) * run});
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto at = checked_cast<std::uint64_t>(((first_row + row) * all_columns + begin) * bits / 8);
    checkpoint.read(tensor, at, {out + size_of(row) * run, run});
  }
}

std::span<std::byte> sized(std::vector<std::byte>& buffer, std::size_t bytes) {
  if (buffer.size() < bytes) buffer.resize(bytes);
  return std::span(buffer).first(bytes);
}

// Two 4 bit codes a byte, the first one low; each of `rows` runs of `length` codes starts on a byte.
void unpack_nibbles(const std::byte* packed, std::size_t rows, std::size_t length, std::uint8_t* out) {
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t i = 0; i < length; ++i) {
      const auto byte = static_cast<unsigned>(packed[i / 2]);
      *out++ = static_cast<std::uint8_t>(i % 2 == 0 ? byte & 15U : byte >> 4U);
    }
    packed += (length + 1) / 2;
  }
}

// Codes of the rows, one a byte, [row_count, cols].
void read_codes(const Checkpoint& checkpoint, TensorId tensor, const Binding::ZeroPointCodes& form,
                std::int64_t cols, std::int64_t row_begin, std::int64_t row_count,
                std::span<std::uint8_t> out, std::vector<std::byte>& work) {
  const std::size_t count = size_of(row_count * cols);
  const auto memory = sized(work, 2 * count + size_of(row_count));
  auto* const unpacked = reinterpret_cast<std::uint8_t*>(memory.data());
  std::byte* const packed = memory.data() + count;
  if (!form.transposed) {
    const std::int64_t row_bytes = ceil_div<std::int64_t>(cols * form.bits, 8);
    checkpoint.read(tensor, checked_cast<std::uint64_t>(row_begin * row_bytes),
                    {packed, size_of(row_count * row_bytes)});
    if (form.bits == 4)
      unpack_nibbles(packed, size_of(row_count), size_of(cols), out.data());
    else
      std::ranges::copy(std::span(reinterpret_cast<const std::uint8_t*>(packed), count), out.begin());
    return;
  }
  read_columns(checkpoint, tensor, 0, cols, form.rows, form.bits, row_begin, row_count, packed);
  const std::uint8_t* columns = reinterpret_cast<const std::uint8_t*>(packed);
  if (form.bits == 4) {
    unpack_nibbles(packed, size_of(cols), size_of(row_count), unpacked);
    columns = unpacked;
  }
  transpose(columns, size_of(cols), size_of(row_count), out.data());
}

// Columns closer than this are read in one go and thinned out.
constexpr std::int64_t kMostStride = 4;

// The rows of `run` of one matrix.
void read_matrix(const Checkpoint& checkpoint, const ColumnMatrices& form, std::int64_t matrix,
                 const RowRun& run, float* out, std::vector<std::byte>& scratch) {
  const std::int64_t spanned = (run.count - 1) * run.stride + 1;
  const std::size_t count = size_of(run.count), span = size_of(spanned), cols = size_of(form.cols);
  const std::size_t row_bytes = span * size_of(form.value_bytes);
  const auto memory = sized(scratch, 4 * (cols * count + span) + cols * row_bytes);
  auto* const values = reinterpret_cast<float*>(memory.data());
  float* const row_values = values + cols * count;
  std::byte* const stored = memory.data() + 4 * (cols * count + span);
  read_columns(checkpoint, form.tensor, matrix * form.cols, form.cols, form.rows, 8 * form.value_bytes,
               run.begin, spanned, stored);
  for (std::size_t row = 0; row < cols; ++row) {
    float* const kept = values + row * count;
    float* const decoded = run.stride == 1 ? kept : row_values;
    const auto stored_row = static_cast<std::int64_t>(row);
    const bool finite =
        form.decode(stored + row * row_bytes, matrix, stored_row, run.begin, spanned, decoded);
    if (run.stride != 1) {
      for (std::size_t i = 0; i < count; ++i)
        kept[i] = decoded[i * size_of(run.stride)];
    }
    if (finite) continue;
    for (std::size_t i = 0; i < count; ++i) {
      if (!std::isfinite(kept[i]))
        fail(ErrorKind::kFormat, "tensor {}: row {}, column {} is {}; weights must be finite",
             shown(checkpoint.tensor(form.tensor).name), matrix * form.cols + stored_row,
             run.begin + static_cast<std::int64_t>(i) * run.stride, kept[i]);
    }
  }
  transpose(values, cols, count, out);
}

}  // namespace

void read_columns_of(const Checkpoint& checkpoint, const ColumnMatrices& form, const RowRun& run, float* out,
                     std::vector<std::byte>& scratch) {
  for (std::int64_t i = 0; i < run.count;) {
    const std::int64_t row = run.begin + i * run.stride;
    const std::int64_t matrix = row / form.rows, begin = row % form.rows;
    const std::int64_t in_matrix =
        run.stride > kMostStride ? 1 : std::min(run.count - i, ceil_div(form.rows - begin, run.stride));
    read_matrix(checkpoint, form, matrix, {begin, in_matrix, in_matrix == 1 ? 1 : run.stride},
                out + i * form.cols, scratch);
    i += in_matrix;
  }
}

void read_transposed(const Checkpoint& checkpoint, TensorId tensor, const RowRun& run, float* out,
                     std::vector<std::byte>& scratch) {
  const TensorInfo& info = checkpoint.tensor(tensor);
  const ColumnMatrices form{
      .tensor = tensor,
      .rows = info.shape.back(),
      .cols = info.shape[info.shape.size() - 2],
      .value_bytes = dtype_bytes(info.dtype),
      .decode = [&](const std::byte* stored, std::int64_t, std::int64_t, std::int64_t, std::int64_t count,
                    float* values) { return decode_to_f32(stored, info.dtype, size_of(count), values); }};
  read_columns_of(checkpoint, form, run, out, scratch);
}

void read_dequantised(const Checkpoint& checkpoint, const Binding::ZeroPointCodes& form,
                      std::int64_t row_begin, std::int64_t row_count, float* out,
                      std::vector<std::byte>& scratch) {
  const std::int64_t groups = form.cols / form.block;
  const std::size_t num_groups = size_of(row_count * groups);
  std::vector<std::uint8_t> codes(size_of(row_count * form.cols));
  std::vector<std::uint8_t> zero_points(num_groups);
  std::vector<float> scales(num_groups);
  read_codes(checkpoint, form.codes, form, form.cols, row_begin, row_count, codes, scratch);
  read_codes(checkpoint, form.zero_points, form, groups, row_begin, row_count, zero_points, scratch);
  if (form.transposed) {
    const auto columns = sized(scratch, 4 * num_groups);
    read_columns(checkpoint, form.scales, 0, groups, form.rows, 32, row_begin, row_count, columns.data());
    transpose(reinterpret_cast<const float*>(columns.data()), size_of(groups), size_of(row_count),
              scales.data());
  } else {
    checkpoint.read(form.scales, checked_cast<std::uint64_t>(4 * row_begin * groups),
                    std::as_writable_bytes(std::span(scales)));
  }
  const std::size_t block = size_of(form.block);
  for (std::size_t group = 0; group < num_groups; ++group) {
    const float zero = zero_points[group];
    for (std::size_t i = group * block; i < (group + 1) * block; ++i)
      out[i] = (static_cast<float>(codes[i]) - zero) * scales[group];
    if (!std::isfinite(scales[group]) || !std::isfinite(255.0F * scales[group])) {
      fail(ErrorKind::kFormat, "tensor {}: a scale of row {} is {}",
           shown(checkpoint.tensor(form.scales).name), row_begin + checked_cast<std::int64_t>(group) / groups,
           scales[group]);
    }
  }
}

}  // namespace llm2mnn
