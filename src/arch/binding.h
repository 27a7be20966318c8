#pragma once
// How a weight of the model is made from checkpoint tensors: a small expression that can produce any range of
// its rows without producing the rest. That is what lets the exporter stream.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"

namespace llm2mnn {

/// Rows begin, begin + stride, ..., `count` of them.
struct RowRun {
  std::int64_t begin = 0;
  std::int64_t count = 0;
  std::int64_t stride = 1;
};

/// An immutable expression with value semantics. Its value is a matrix [rows, cols] of float32 (a vector [n]
/// is n rows of one column).
class Binding {
 public:
  Binding() = default;

  /// The tensor `id` as it is stored. A 1-D tensor [n] is n rows of 1 column; a matrix [O, I] is O rows of I.
  static Binding source(const Checkpoint& checkpoint, TensorId id);
  /// The same from the tensor's shape alone.
  static Binding source(TensorId id, const Shape& shape);
  /// The tensor `id`, stored as [I, O], as O rows of I; or as [E, I, O], as E * O rows of I.
  static Binding transposed_source(const Checkpoint& checkpoint, TensorId id);
  static Binding transposed_source(TensorId id, const Shape& shape);

  /// A matrix stored as unsigned codes with an integer zero point per group of `block` values of a row:
  /// w = (code - zero_point) * scale, computed in float32.
  struct ZeroPointCodes {
    TensorId codes = 0;        ///< U8 bytes: codes of 8 bits, or two of 4 bits a byte, the first one low
    TensorId scales = 0;       ///< F32
    TensorId zero_points = 0;  ///< as codes
    int bits = 4;              ///< 4 or 8
    std::int64_t block = 32;   ///< divides `cols`
    std::int64_t rows = 0, cols = 0;
    /// false: all three along the rows, [O, I], [O, G] and [O, G], each row of codes and zero points from a
    /// byte of its own; true: [I, O], [G, O] and [G, O] without gaps, O even for 4 bits.
    bool transposed = false;
  };
  static Binding dequantised(const ZeroPointCodes& codes);

  /// Matrices of 8 bit floats, one after the other, with a scale for each block of rows and columns; blocks
  /// at the edges are cut off. w = value * scale, in float32.
  struct ScaledBlocks {
    TensorId values = 0;              ///< F8_E4M3 or F8_E5M2
    TensorId scales = 0;              ///< F32, BF16 or F16, ceil(O / block_rows) rows of ceil(I / block_cols)
    std::int64_t rows = 0, cols = 0;  ///< of all matrices: E * O, I
    std::int64_t block_rows = 1, block_cols = 1;
    std::int64_t matrices = 1;  ///< E
    /// Each matrix is stored as [I, O] and its scales as [ceil(I / block_cols), ceil(O / block_rows)].
    bool transposed = false;
  };
  static Binding dequantised(const ScaledBlocks& blocks);

  /// A matrix of MXFP4: w = value * 2^(scale - 127), exactly.
  struct Mxfp4Groups {
    TensorId codes = 0;               ///< U8, 16 bytes for each group
    TensorId scales = 0;              ///< U8, a byte for each group
    std::int64_t rows = 0, cols = 0;  ///< `cols` is a multiple of 32
  };
  static Binding dequantised(const Mxfp4Groups& groups);

  /// A matrix of -1, 0 and 1 times one number, four codes in a byte: with n = rows / 4, bits 2j and 2j + 1 of
  /// row r of the bytes are row j * n + r of the matrix, plus 1. Source: pack_weights of transformers.
  struct TernaryCodes {
    TensorId codes = 0;               ///< U8 [rows / 4, cols]
    TensorId scale = 0;               ///< F32, BF16 or F16, one value
    bool divides = false;             ///< the values are divided by the scale
    std::int64_t rows = 0, cols = 0;  ///< `rows` is a multiple of 4
  };
  static Binding dequantised(const TernaryCodes& codes);

  /// A matrix of `cols` columns that is no tensor of the checkpoint.
  static Binding values(std::int64_t cols, std::vector<float> values);

  /// A vector [n] of one value (an absent norm weight, a zero bias).
  static Binding constant(std::int64_t rows, float value);
  /// The rows of the parts, one after the other; all have the same cols.
  static Binding concat_rows(std::vector<Binding> parts);
  /// Rows of the parts side by side; all have the same rows.
  static Binding concat_cols(std::vector<Binding> parts);
  /// The rows named by the runs, in that order (un-fuse qkv, re-pair rotary rows, slice). Every row exists.
  Binding gather_rows(std::vector<RowRun> runs) const;
  /// Every element times `factor`, in float32.
  Binding scale(float factor) const;
  /// Every element plus `term`, in float32 (a norm's `1 + w`).
  Binding add(float term) const;

  /// Every element, limited to -limit .. limit.
  Binding clamp(float limit) const;
  /// e to the power of every element, in float32.
  Binding exponential() const;
  /// ln(1 + exp(x)) of every element, in float32.
  Binding softplus() const;
  /// Every row over its Euclidean length (at least 1e-12, as torch's normalize), in float32.
  Binding normalise_rows() const;

  bool is_empty() const { return node_ == nullptr; }
  std::int64_t rows() const;
  std::int64_t cols() const;
  /// The tensor, when the binding is one whole stored tensor without any transform: the fast path reads its
  /// bytes directly.
  std::optional<TensorId> plain_source() const;
  /// Whether reading a row touches every row of what is stored: then many rows at a time are cheaper.
  bool reads_columns() const;
  /// Every tensor the expression reads, with repetitions.
  void collect_sources(std::vector<TensorId>& out) const;
  /// "model.layers.0.self_attn.qkv_proj.weight rows 0..512, * 2", for messages and `inspect`.
  std::string text(const Checkpoint& checkpoint) const;

  /// Writes rows [row_begin, row_begin + row_count) as float32 into `out` (row_count * cols() values).
  /// `scratch` is reused between calls of one thread. Thread-safe.
  /// @throws Error(kFormat) naming tensor and row when a value is NaN or Inf.
  void read_rows(const Checkpoint& checkpoint, std::int64_t row_begin, std::int64_t row_count, float* out,
                 std::vector<std::byte>& scratch) const;

  struct Node;

 private:
  void read_run(const Checkpoint& checkpoint, const RowRun& run, float* out,
                std::vector<std::byte>& scratch) const;

  explicit Binding(std::shared_ptr<const Node> node) : node_(std::move(node)) {}
  std::shared_ptr<const Node> node_;
};

}  // namespace llm2mnn
