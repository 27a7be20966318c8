#include "convert/onnx_sinks.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "kernels/transpose.h"
#include "quant/zero_point.h"

namespace llm2mnn {
namespace {

template <typename T>
std::span<T> as_values(std::span<std::byte> bytes) {
  return {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
}

std::size_t size_of(std::int64_t value) { return checked_cast<std::size_t>(value); }

// A matrix [cols, all_rows] of which a tile is a run in each row.
struct Columns {
  const File& file;
  std::uint64_t offset;
  std::int64_t all_rows;

  // Writes `columns`, [cols, rows] values of `bits` bits, to [first_row, first_row + rows) of the rows from
  // `first_col` on. Runs begin and end on bytes.
  void write(std::span<const std::byte> columns, std::int64_t cols, std::int64_t rows, std::int64_t first_row,
             std::int64_t bits, std::int64_t first_col = 0) const {
    const auto run = checked_cast<std::uint64_t>(rows * bits / 8);
    const auto at = [&](std::int64_t col) {
      return offset + checked_cast<std::uint64_t>(((first_col + col) * all_rows + first_row) * bits / 8);
    };
    if (rows == all_rows) return file.write_all(at(0), columns);
    for (std::int64_t c = 0; c < cols; ++c)
      file.write_all(at(c), columns.subspan(size_of(c) * run, run));
  }
};

// Values as [I, O], a block of columns at a time.
class TransposeSink final : public RowSink {
 public:
  TransposeSink(const File& file, const onnx::MatrixBlob& blob, DType dtype)
      : columns_{file, blob.offset, blob.rows}, dtype_(dtype) {}

  void put(const WeightRows& rows, std::int64_t first_row, SinkBuffers& buffers) const override {
    const std::int64_t cols = block_cols(rows.rows, rows.cols);
    for (std::int64_t col = 0; col < rows.cols; col += cols)
      put_block(rows, std::min(cols, rows.cols - col), first_row, col, buffers);
  }
  std::int64_t buffer_bytes(std::int64_t rows, std::int64_t cols) const override {
    const std::int64_t values = rows * block_cols(rows, cols);
    return values * (kMostValueBytes + 2 * dtype_bytes(dtype_));
  }
  bool wants_many_rows() const override { return true; }

 private:
  static constexpr std::int64_t kBlockValues = 512 << 10;
  static constexpr std::int64_t kMostValueBytes = 4;  // of a source

  static std::int64_t block_cols(std::int64_t rows, std::int64_t cols) {
    return std::clamp<std::int64_t>(kBlockValues / rows, 1, cols);
  }

  void put_block(const WeightRows& rows, std::int64_t cols, std::int64_t first_row, std::int64_t first_col,
                 SinkBuffers& buffers) const {
    const std::int64_t value_bytes = dtype_bytes(rows.dtype);
    const auto gathered =
        sized(buffers.values, checked_cast<std::uint64_t>(rows.rows * cols * kMostValueBytes));
    for (std::int64_t r = 0; r < rows.rows; ++r)
      std::memcpy(gathered.data() + r * cols * value_bytes,
                  rows.data + (r * rows.cols + first_col) * value_bytes, size_of(cols * value_bytes));
    const WeightRows block{gathered.data(), rows.dtype, rows.rows, cols};
    const auto bytes = checked_cast<std::uint64_t>(rows.rows * cols * dtype_bytes(dtype_));
    const auto memory = sized(buffers.more, 2 * bytes);
    const auto out = memory.first(bytes);
    const std::byte* values = block.data;
    if (rows.dtype != dtype_ || dtype_ != DType::kF32) {
      const auto converted = memory.subspan(bytes);
      convert_rows(block, first_row, dtype_, converted, first_col);
      values = converted.data();
    } else {
      fail_if_any_not_finite(block, first_row, first_col);
    }
    if (dtype_ == DType::kF32)
      turn<std::uint32_t>(values, block, out);
    else
      turn<std::uint16_t>(values, block, out);
    columns_.write(out, cols, rows.rows, first_row, 8 * dtype_bytes(dtype_), first_col);
  }

  template <typename T>
  static void turn(const std::byte* values, const WeightRows& rows, std::span<std::byte> out) {
    transpose(reinterpret_cast<const T*>(values), size_of(rows.rows), size_of(rows.cols),
              as_values<T>(out).data());
  }
  static void fail_if_any_not_finite(const WeightRows& rows, std::int64_t first_row, std::int64_t first_col) {
    const auto* values = reinterpret_cast<const float*>(rows.data);
    const std::size_t count = size_of(rows.rows * rows.cols);
    float sum = 0;  // 0 * x is 0 for finite values only
    for (std::size_t i = 0; i < count; ++i)
      sum += 0.0F * values[i];
    if (sum != 0) fail_if_not_finite(rows, first_row, first_col);
  }

  Columns columns_;
  DType dtype_;
};

// What both quantised layouts start from: codes one a byte, scales, zero points.
struct Codes {
  std::span<std::uint8_t> codes;
  std::span<float> scales;
  std::span<std::uint8_t> zero_points;
  std::int64_t groups = 0;  // of a row

  static std::int64_t bytes(const ZeroPointScheme& scheme, std::int64_t rows, std::int64_t cols) {
    return rows * (cols + cols / scheme.block * 5);
  }
  Codes(const WeightRows& rows, const ZeroPointScheme& scheme, std::int64_t first_row,
        std::vector<std::byte>& buffer)
      : groups(rows.cols / scheme.block) {
    const std::size_t num_scales = size_of(rows.rows * groups);
    const auto memory = sized(buffer, checked_cast<std::uint64_t>(bytes(scheme, rows.rows, rows.cols)));
    scales = as_values<float>(memory.first(4 * num_scales));
    zero_points = as_values<std::uint8_t>(memory.subspan(4 * num_scales, num_scales));
    codes = as_values<std::uint8_t>(memory.subspan(5 * num_scales, size_of(rows.rows * rows.cols)));
    quantize_rows_zero_point(rows, scheme, first_row, codes, scales, zero_points);
  }
};

// Two 4 bit codes a byte, the first one low; `length` codes of each row, whose last byte may be half empty.
std::size_t pack_nibbles(std::span<const std::uint8_t> codes, std::size_t length, std::byte* out) {
  std::byte* const begin = out;
  for (std::size_t row = 0; row < codes.size(); row += length) {
    for (std::size_t i = 0; i < length; i += 2) {
      const unsigned high = i + 1 < length ? codes[row + i + 1] : 0U;
      *out++ = static_cast<std::byte>(codes[row + i] | high << 4);
    }
  }
  return static_cast<std::size_t>(out - begin);
}

// com.microsoft::MatMulNBits: everything along the rows.
class MatMulNBitsSink final : public RowSink {
 public:
  MatMulNBitsSink(const File& file, const onnx::MatrixBlob& blob, const ZeroPointScheme& scheme)
      : file_(file), blob_(blob), scheme_(scheme) {}

  void put(const WeightRows& rows, std::int64_t first_row, SinkBuffers& buffers) const override {
    const Codes codes(rows, scheme_, first_row, buffers.values);
    const std::int64_t zero_bytes = ceil_div<std::int64_t>(codes.groups * scheme_.bits, 8);
    const auto row = checked_cast<std::uint64_t>(first_row);
    const auto code_row = checked_cast<std::uint64_t>(rows.cols * scheme_.bits / 8);
    put_codes(codes.codes, size_of(rows.cols), blob_.offset + row * code_row, buffers.more);
    put_codes(codes.zero_points, size_of(codes.groups),
              blob_.zero_points_offset + row * checked_cast<std::uint64_t>(zero_bytes), buffers.more);
    file_.write_all(blob_.scales_offset + row * checked_cast<std::uint64_t>(4 * codes.groups),
                    std::as_bytes(codes.scales));
  }
  std::int64_t buffer_bytes(std::int64_t rows, std::int64_t cols) const override {
    return Codes::bytes(scheme_, rows, cols) + rows * cols;
  }

 private:
  void put_codes(std::span<const std::uint8_t> codes, std::size_t length, std::uint64_t offset,
                 std::vector<std::byte>& buffer) const {
    if (scheme_.bits == 8) return file_.write_all(offset, std::as_bytes(codes));
    const auto packed = sized(buffer, codes.size());
    file_.write_all(offset, packed.first(pack_nibbles(codes, length, packed.data())));
  }

  const File& file_;
  const onnx::MatrixBlob& blob_;
  ZeroPointScheme scheme_;
};

// DequantizeLinear: everything as [I, O].
class DequantizeLinearSink final : public RowSink {
 public:
  DequantizeLinearSink(const File& file, const onnx::MatrixBlob& blob, const ZeroPointScheme& scheme)
      : codes_{file, blob.offset, blob.rows},
        scales_{file, blob.scales_offset, blob.rows},
        zero_points_{file, blob.zero_points_offset, blob.rows},
        scheme_(scheme) {}

  void put(const WeightRows& rows, std::int64_t first_row, SinkBuffers& buffers) const override {
    const Codes codes(rows, scheme_, first_row, buffers.values);
    put_codes(codes_, codes.codes, rows.cols, rows.rows, first_row, buffers.more);
    put_codes(zero_points_, codes.zero_points, codes.groups, rows.rows, first_row, buffers.more);
    const auto turned = sized(buffers.more, 4 * codes.scales.size());
    transpose(codes.scales.data(), size_of(rows.rows), size_of(codes.groups),
              as_values<float>(turned).data());
    scales_.write(turned, codes.groups, rows.rows, first_row, 32);
  }
  std::int64_t buffer_bytes(std::int64_t rows, std::int64_t cols) const override {
    return Codes::bytes(scheme_, rows, cols) + 2 * rows * cols;
  }
  bool wants_many_rows() const override { return true; }

 private:
  void put_codes(const Columns& columns, std::span<const std::uint8_t> codes, std::int64_t cols,
                 std::int64_t rows, std::int64_t first_row, std::vector<std::byte>& buffer) const {
    const auto memory = sized(buffer, 2 * codes.size());
    const auto turned = as_values<std::uint8_t>(memory.first(codes.size()));
    transpose(codes.data(), size_of(rows), size_of(cols), turned.data());
    if (scheme_.bits == 8) return columns.write(std::as_bytes(turned), cols, rows, first_row, 8);
    const auto packed = memory.subspan(codes.size());
    const std::size_t bytes = pack_nibbles(turned, size_of(rows), packed.data());
    columns.write(packed.first(bytes), cols, rows, first_row, 4);
  }

  Columns codes_, scales_, zero_points_;
  ZeroPointScheme scheme_;
};

}  // namespace

std::unique_ptr<RowSink> onnx_sink(const onnx::MatrixBlob& blob, const onnx::OnnxForm& form,
                                   const File& file) {
  const ZeroPointScheme scheme{form.bits, form.block};
  switch (blob.layout) {
    case onnx::MatrixLayout::kRows:
      return float_sink(file, blob.offset, form.dtype);
    case onnx::MatrixLayout::kTransposed:
      return std::make_unique<TransposeSink>(file, blob, form.dtype);
    case onnx::MatrixLayout::kMatMulNBits:
      return std::make_unique<MatMulNBitsSink>(file, blob, scheme);
    case onnx::MatrixLayout::kDequantizeLinear:
      return std::make_unique<DequantizeLinearSink>(file, blob, scheme);
  }
  fail(ErrorKind::kInternal, "{}: unknown layout", blob.name);
}

}  // namespace llm2mnn
