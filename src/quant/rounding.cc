#include "quant/rounding.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
#include "kernels/convert.h"
#include "kernels/groups.h"
#include "kernels/pack.h"

namespace llm2mnn {
namespace {

/// Values handled between two looks at the source: 4 KiB of bf16, so that the second look hits L1 and the
/// hardware's prefetcher does not pause long (rounding_bench: 2048 beats 1024, 4096 and 8192).
constexpr std::size_t kChunk = 2048;
/// Groups are multiples of 16 values or whole rows (which may be as short as one value).
constexpr std::size_t kMaxGroups = kChunk / 16;

std::size_t size_of(std::int64_t value) { return checked_cast<std::size_t>(value); }

/// Appends codes to the bit stream; up to 7 codes wait until a whole number of bytes is full.
class CodeStream {
 public:
  CodeStream(int bits, std::byte* out) : bits_(bits), out_(out) {}
  /// Room for `n` <= kChunk further codes.
  std::uint8_t* reserve() { return codes_.data() + held_; }
  void commit(std::size_t n) {
    held_ += n;
    const std::size_t whole = held_ / 8 * 8;  // 8 codes of b bits are b bytes
    pack_codes(codes_.data(), whole, bits_, out_);
    out_ += whole / 8 * static_cast<std::size_t>(bits_);
    held_ -= whole;
    if (held_ > 0) std::memmove(codes_.data(), codes_.data() + whole, held_);
  }
  void finish() { pack_codes(codes_.data(), held_, bits_, out_); }

 private:
  int bits_;
  std::byte* out_;
  std::size_t held_ = 0;
  std::array<std::uint8_t, kChunk + 8> codes_;
};

/// One call of quantize_rows at 2-8 bits. The matrix is a run of groups: a group never crosses a row.
class GroupRounder {
 public:
  GroupRounder(const WeightRows& w, const QuantScheme& scheme, const QuantMethod& method,
               std::int64_t first_row, std::span<std::byte> codes, std::span<std::byte> alpha)
      : w_(w),
        method_(method),
        rule_{scheme.bits, scheme.symmetric, scheme.scale_type == ScaleType::kF16},
        first_row_(first_row),
        groups_per_row_(size_of(num_groups(scheme, w.cols))),
        group_len_(size_of(w.cols) / groups_per_row_),
        value_bytes_(size_of(dtype_bytes(w.dtype))),
        alpha_(alpha.data()),
        scratch_(method.scratch_floats(group_len_)),
        stream_(scheme.bits, codes.data()) {}

  void run() {
    const std::size_t all = size_of(w_.rows) * groups_per_row_;
    const std::size_t step = std::clamp<std::size_t>(kChunk / group_len_, method_.batch(), kMaxGroups);
    for (std::size_t group = 0; group < all; group += step)
      round(group, std::min(step, all - group));
    stream_.finish();
  }

 private:
  void round(std::size_t group, std::size_t count) {
    const std::byte* src = w_.data + group * group_len_ * value_bytes_;
    std::byte* alpha = alpha_ + group * grid_bytes(rule_);
    if (!group_min_max(src, w_.dtype, group_len_, count, min_.data(), max_.data())) {
      fail_if_not_finite(w_, first_row_);
    }
    if (!choose(src, 0, count, {scale_.data(), offset_.data(), alpha})) fail_beyond_range(src, group, count);
    if (count * group_len_ <= kChunk) {
      group_codes(src, w_.dtype, group_len_, count, scale_.data(), offset_.data(), rule_.bits,
                  stream_.reserve());
      stream_.commit(count * group_len_);
      return;
    }
    for (std::size_t i = 0; i < count; ++i)
      round_long(src + i * group_len_ * value_bytes_, i);
  }

  /// The codes of one group, which may be longer than a chunk.
  void round_long(const std::byte* src, std::size_t i) {
    for (std::size_t done = 0; done < group_len_; done += kChunk) {
      const std::size_t n = std::min(kChunk, group_len_ - done);
      group_codes(src + done * value_bytes_, w_.dtype, n, 1, &scale_[i], &offset_[i], rule_.bits,
                  stream_.reserve());
      stream_.commit(n);
    }
  }

  /// Grids of `count` groups of this step from `first` on; `src` is the step's first value.
  bool choose(const std::byte* src, std::size_t first, std::size_t count, const StoredGrids& out) {
    return method_.choose_grids(
        {src + first * group_len_ * value_bytes_, w_.dtype, group_len_, count, &min_[first], &max_[first]},
        rule_, scratch_, out);
  }

  [[noreturn]] void fail_beyond_range(const std::byte* src, std::size_t group, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      std::array<std::byte, 8> alpha;
      float scale = 0;
      float offset = 0;
      if (choose(src, i, 1, {&scale, &offset, alpha.data()})) continue;
      const std::size_t index = group + i;
      fail(ErrorKind::kFormat,
           "row {}: group {} holds values from {} to {}, too large for {} scales and offsets{}",
           first_row_ + checked_cast<std::int64_t>(index / groups_per_row_), index % groups_per_row_, min_[i],
           max_[i], rule_.f16 ? "FP16" : "FP32", rule_.f16 ? "; store them as FP32" : "");
    }
    fail(ErrorKind::kInternal, "row {}: the grid of a group is not finite", first_row_);
  }

  const WeightRows& w_;
  const QuantMethod& method_;
  const GridRule rule_;
  const std::int64_t first_row_;
  const std::size_t groups_per_row_;
  const std::size_t group_len_;
  const std::size_t value_bytes_;
  std::byte* alpha_;
  std::vector<float> scratch_;
  CodeStream stream_;
  std::array<float, kMaxGroups> min_;
  std::array<float, kMaxGroups> max_;
  std::array<float, kMaxGroups> scale_;
  std::array<float, kMaxGroups> offset_;
};

}  // namespace

void fail_if_not_finite(const WeightRows& w, std::int64_t first_row, std::int64_t first_col) {
  const std::size_t cols = size_of(w.cols);
  for (std::size_t i = 0; i < size_of(w.rows) * cols; ++i) {
    const float value = load_value(w.data, w.dtype, i);
    if (std::isfinite(value)) continue;
    fail(ErrorKind::kFormat, "row {}: {} in column {}; every weight must be finite",
         first_row + checked_cast<std::int64_t>(i / cols), std::isnan(value) ? "NaN" : "Inf",
         first_col + checked_cast<std::int64_t>(i % cols));
  }
}

void convert_rows(const WeightRows& w, std::int64_t first_row, DType to, std::span<std::byte> out,
                  std::int64_t first_col) {
  const std::size_t n = size_of(w.rows * w.cols);
  LLM2MNN_CHECK(out.size() == n * size_of(dtype_bytes(to)));
  if (convert_values(w.data, w.dtype, n, to, out.data())) return;
  fail_if_not_finite(w, first_row, first_col);
  for (std::size_t i = 0; i < n; ++i) {
    const float value = load_value(w.data, w.dtype, i);
    const float rounded = to == DType::kF16 ? f16_to_f32(f32_to_f16(value)) : bf16_to_f32(f32_to_bf16(value));
    if (std::isfinite(rounded)) continue;
    fail(ErrorKind::kFormat, "row {}: {} in column {} is beyond the range of {}",
         first_row + checked_cast<std::int64_t>(i / size_of(w.cols)), value,
         first_col + checked_cast<std::int64_t>(i % size_of(w.cols)), dtype_name(to));
  }
  fail(ErrorKind::kInternal, "row {}: a conversion to {} was refused", first_row, dtype_name(to));
}

std::int64_t scratch_bytes(const QuantScheme& scheme, const QuantMethod& method, std::int64_t cols) {
  if (scheme.is_float() || cols == 0) return 0;
  const std::int64_t group_len = cols / num_groups(scheme, cols);
  return checked_cast<std::int64_t>(method.scratch_floats(size_of(group_len)) * sizeof(float));
}

void quantize_rows(const WeightRows& w, const QuantScheme& scheme, const QuantMethod& method,
                   std::int64_t first_row, std::span<std::byte> codes, std::span<std::byte> alpha) {
  LLM2MNN_CHECK(is_weight_dtype(w.dtype) && w.rows >= 0 && w.cols >= 0);
  LLM2MNN_CHECK(codes.size() == size_of(codes_bytes(scheme, w.rows, w.cols)));
  LLM2MNN_CHECK(alpha.size() == size_of(alpha_bytes(scheme, w.rows, w.cols)));
  if (scheme.is_float()) {
    LLM2MNN_CHECK(scheme.bits == 16 || scheme.bits == 32);
    convert_rows(w, first_row, scheme.bits == 16 ? DType::kF16 : DType::kF32, codes);
    return;
  }
  LLM2MNN_CHECK(scheme.bits >= 2 && scheme.bits <= 8 && scheme.group_size % 16 == 0);
  if (w.rows == 0 || w.cols == 0) return;
  LLM2MNN_CHECK(!scheme.symmetric || method.is_symmetric_too());
  GroupRounder(w, scheme, method, first_row, codes, alpha).run();
}

}  // namespace llm2mnn
