#include "arch/column_source.h"

#include <cmath>
#include <span>

#include "base/checked.h"
#include "kernels/convert.h"
#include "kernels/transpose.h"

namespace llm2mnn {
namespace {

std::size_t size_of(std::int64_t value) { return checked_cast<std::size_t>(value); }

// Columns [begin, begin + count) of a stored [rows, all_columns] matrix of `bits` bits a value, without gaps:
// one read a row, or one in all. `begin * bits` and `count * bits` are whole bytes.
void read_columns(const Checkpoint& checkpoint, TensorId tensor, std::int64_t rows, std::int64_t all_columns,
                  std::int64_t bits, std::int64_t begin, std::int64_t count, std::byte* out) {
  LLM2MNN_CHECK(count == all_columns || (begin * bits % 8 == 0 && count * bits % 8 == 0));
  const std::size_t run = size_of(count * bits / 8);
  if (count == all_columns) return checkpoint.read(tensor, 0, {out, size_of(rows) * run});
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto at = checked_cast<std::uint64_t>((row * all_columns + begin) * bits / 8);
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
  read_columns(checkpoint, tensor, cols, form.rows, form.bits, row_begin, row_count, packed);
  const std::uint8_t* columns = reinterpret_cast<const std::uint8_t*>(packed);
  if (form.bits == 4) {
    unpack_nibbles(packed, size_of(cols), size_of(row_count), unpacked);
    columns = unpacked;
  }
  transpose(columns, size_of(cols), size_of(row_count), out.data());
}

}  // namespace

void read_transposed(const Checkpoint& checkpoint, TensorId tensor, std::int64_t row_begin,
                     std::int64_t row_count, float* out, std::vector<std::byte>& scratch) {
  const TensorInfo& info = checkpoint.tensor(tensor);
  const std::int64_t cols = info.shape[0];
  const std::int64_t value_bytes = dtype_bytes(info.dtype);
  const std::size_t count = size_of(row_count * cols);
  const auto memory = sized(scratch, count * (4 + size_of(value_bytes)));
  auto* const values = reinterpret_cast<float*>(memory.data());
  std::byte* const stored = memory.data() + 4 * count;
  read_columns(checkpoint, tensor, cols, info.shape[1], 8 * value_bytes, row_begin, row_count, stored);
  if (!decode_to_f32(stored, info.dtype, count, values)) {
    for (std::size_t i = 0; i < count; ++i) {
      if (std::isfinite(values[i])) continue;
      fail(ErrorKind::kFormat, "tensor {}: row {}, column {} is {}; weights must be finite", shown(info.name),
           i / size_of(row_count), size_of(row_begin) + i % size_of(row_count), values[i]);
    }
  }
  transpose(values, size_of(cols), size_of(row_count), out);
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
    read_columns(checkpoint, form.scales, groups, form.rows, 32, row_begin, row_count, columns.data());
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
