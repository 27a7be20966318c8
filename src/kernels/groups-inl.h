// Range, grid and codes of groups. Included once per Highway target (see simd_kernels.cc).
// clang-format off
#if defined(LLM2MNN_KERNELS_GROUPS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LLM2MNN_KERNELS_GROUPS_INL_H_
#undef LLM2MNN_KERNELS_GROUPS_INL_H_
#else
#define LLM2MNN_KERNELS_GROUPS_INL_H_
#endif
// clang-format on

#include <bit>
#include <type_traits>

#include "kernels/convert.h"
#include "kernels/lanes-inl.h"
#include "kernels/scalar_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace llm2mnn::HWY_NAMESPACE {

// ---- Range ----
// Floats compare as unsigned integers once the sign bit is flipped, or all bits of a negative one. That works
// on the stored 16 bits, and a NaN or Inf lands beyond every finite value at either end.

template <class DU>
VecOf<DU> to_ordered(DU du, VecOf<DU> bits) {
  using TU = hn::TFromD<DU>;
  const hn::RebindToSigned<DU> di;
  const auto negative = hn::BitCast(du, hn::BroadcastSignBit(hn::BitCast(di, bits)));
  return hn::Xor(bits, hn::Or(negative, hn::Set(du, static_cast<TU>(TU{1} << (8 * sizeof(TU) - 1)))));
}

template <typename TU>
TU from_ordered(TU ordered) {
  constexpr TU kSign = static_cast<TU>(TU{1} << (8 * sizeof(TU) - 1));
  return static_cast<TU>((ordered & kSign) != 0 ? ordered ^ kSign : ~ordered);
}

template <typename TU>
struct OrderedRange {
  TU min;
  TU max;
};

/// Smallest lane of `v`; folds to 128 bits first, where one instruction may do the rest.
template <class D>
hn::TFromD<D> smallest_lane(D d, VecOf<D> v) {
  if constexpr (hn::MaxLanes(D()) * sizeof(hn::TFromD<D>) > 16) {
    const hn::Half<D> dh;
    return smallest_lane(dh, hn::Min(hn::LowerHalf(dh, v), hn::UpperHalf(dh, v)));
  } else {
    return hn::GetLane(hn::MinOfLanes(d, v));
  }
}

/// Precondition: n >= Lanes(du). The last vector overlaps the one before it, which a minimum does not mind.
template <class DU, typename TU = hn::TFromD<DU>>
OrderedRange<TU> ordered_range(DU du, const std::byte* src, std::size_t n) {
  const std::size_t lanes = hn::Lanes(du);
  const TU* in = lanes_at<TU>(src);
  auto low = to_ordered(du, hn::LoadU(du, in + (n - lanes)));
  auto high = low;
  for (std::size_t i = 0; i + lanes < n; i += lanes) {
    const auto v = to_ordered(du, hn::LoadU(du, in + i));
    low = hn::Min(low, v);
    high = hn::Max(high, v);
  }
  return {smallest_lane(du, low), static_cast<TU>(~smallest_lane(du, hn::Not(high)))};
}

template <typename TU>
float decode_bits(DType dtype, TU bits) {
  if constexpr (sizeof(TU) == 4) {
    return std::bit_cast<float>(bits);
  } else {
    return dtype == DType::kBF16 ? bf16_to_f32(bits) : f16_to_f32(bits);
  }
}

template <typename TU, class DU>
bool min_max_with(DU du, const std::byte* src, DType dtype, std::size_t group_len, std::size_t num_groups,
                  float* min, float* max) {
  const TU inf = sizeof(TU) == 4 ? static_cast<TU>(0x7f800000u)
                                 : static_cast<TU>(dtype == DType::kBF16 ? 0x7f80u : 0x7c00u);
  constexpr TU kSign = static_cast<TU>(TU{1} << (8 * sizeof(TU) - 1));
  const TU highest = static_cast<TU>(inf | kSign);  // +Inf, ordered
  const TU lowest = static_cast<TU>(~highest);      // -Inf, ordered
  bool finite = true;
  for (std::size_t g = 0; g < num_groups; ++g) {
    const OrderedRange<TU> range = ordered_range(du, src + g * group_len * sizeof(TU), group_len);
    finite &= (range.max < highest) & (range.min > lowest);
    min[g] = decode_bits(dtype, from_ordered(range.min)) + 0.0f;  // -0 + +0 is +0
    max[g] = decode_bits(dtype, from_ordered(range.max)) + 0.0f;
  }
  return finite;
}

template <typename TU>
bool min_max_of(const std::byte* src, DType dtype, std::size_t group_len, std::size_t num_groups, float* min,
                float* max) {
  const hn::ScalableTag<TU> full;
  if (group_len >= hn::Lanes(full))
    return min_max_with<TU>(full, src, dtype, group_len, num_groups, min, max);
  const hn::CappedTag<TU, 16> sixteen;
  if (group_len >= hn::Lanes(sixteen)) {
    return min_max_with<TU>(sixteen, src, dtype, group_len, num_groups, min, max);
  }
  return scalar::group_min_max(src, dtype, group_len, num_groups, min, max);
}

bool group_min_max(const std::byte* src, DType dtype, std::size_t group_len, std::size_t num_groups,
                   float* min, float* max) {
  if (dtype == DType::kF32) {
    return min_max_of<std::uint32_t>(src, dtype, group_len, num_groups, min, max);
  }
  return min_max_of<std::uint16_t>(src, dtype, group_len, num_groups, min, max);
}

// ---- Grid ----

template <class DF>
struct GridLanes {
  VecOf<DF> range;   // max - min, or max(|min|, |max|)
  VecOf<DF> levels;  // steps in the range
  VecOf<DF> scale;   // before rounding to the stored type, 1 where the group is constant
  VecOf<DF> offset;
};

template <class DF>
GridLanes<DF> unrounded_grids(DF df, const GridRule& rule, VecOf<DF> min, VecOf<DF> max) {
  const auto half = static_cast<float>(1 << (rule.bits - 1));
  const auto range = rule.symmetric ? hn::Max(hn::Neg(min), max) : hn::Sub(max, min);
  const auto levels = hn::Set(df, rule.symmetric ? half - 1 : 2 * half - 1);
  const auto scale = hn::Div(range, levels);
  const auto offset = rule.symmetric ? hn::Zero(df) : hn::Add(min, hn::Mul(scale, hn::Set(df, half)));
  const auto constant = hn::Eq(range, hn::Zero(df));
  return {range, levels, hn::IfThenElse(constant, hn::Set(df, 1.0f), scale), offset};
}

/// The next larger pattern where the rounded scale falls short of the range by more than half a step.
template <class DF, class D32 = hn::Rebind<std::uint32_t, DF>>
VecOf<D32> grow_short_scales(DF df, const GridLanes<DF>& grids, VecOf<D32> bits, VecOf<DF> scale) {
  const D32 d32;
  const auto missing = hn::Sub(grids.range, hn::Mul(scale, grids.levels));
  const auto is_short = hn::Gt(missing, hn::Mul(scale, hn::Set(df, 0.5f)));
  return hn::Add(bits, hn::And(hn::VecFromMask(d32, hn::RebindMask(d32, is_short)), hn::Set(d32, 1u)));
}

/// Stores Lanes(df) grids as FP16. Lanes of `seen` keep the largest magnitude as FP16 bits.
template <class DF, class V32>
void store_f16_grids(DF df, const GridRule& rule, const GridLanes<DF>& grids, float* scale, float* offset,
                     std::byte* alpha, V32& seen) {
  const hn::Rebind<std::uint32_t, DF> d32;
  const auto nearest = f32_to_half(df, grids.scale);
  const auto scale_bits = grow_short_scales(df, grids, nearest, half_to_f32(d32, nearest));
  const auto offset_bits = f32_to_half(df, grids.offset);
  seen = hn::Max(seen, nearest);
  seen = hn::Max(seen, hn::AndNot(hn::Set(d32, 0x8000u), offset_bits));
  hn::StoreU(half_to_f32(d32, scale_bits), df, scale);
  hn::StoreU(half_to_f32(d32, offset_bits), df, offset);
  if (rule.symmetric) {
    const hn::Rebind<std::uint16_t, DF> d16;
    const hn::Rebind<std::int32_t, DF> di32;
    const auto bits = hn::And(scale_bits, hn::Set(d32, 0x7fffu));  // DemoteTo saturates
    hn::StoreU(hn::DemoteTo(d16, hn::BitCast(di32, bits)), d16, lanes_at<std::uint16_t>(alpha));
  } else {
    const auto pair = hn::Or(offset_bits, hn::ShiftLeft<16>(scale_bits));
    hn::StoreU(pair, d32, lanes_at<std::uint32_t>(alpha));
  }
}

/// Stores Lanes(df) grids as FP32. Lanes of `seen` keep the largest magnitude as FP32 bits.
template <class DF, class V32>
void store_f32_grids(DF df, const GridRule& rule, const GridLanes<DF>& grids, float* scale, float* offset,
                     std::byte* alpha, V32& seen) {
  const hn::Rebind<std::uint32_t, DF> d32;
  const auto nearest = hn::BitCast(d32, grids.scale);
  const auto stored_scale = hn::BitCast(df, grow_short_scales(df, grids, nearest, grids.scale));
  seen = hn::Max(seen, nearest);
  seen = hn::Max(seen, hn::BitCast(d32, hn::Abs(grids.offset)));
  hn::StoreU(stored_scale, df, scale);
  hn::StoreU(grids.offset, df, offset);
  if (rule.symmetric) {
    hn::StoreU(stored_scale, df, lanes_at<float>(alpha));
  } else {
    hn::StoreInterleaved2(grids.offset, stored_scale, df, lanes_at<float>(alpha));
  }
}

bool group_grids(const GridRule& rule, const float* min, const float* max, std::size_t num_groups,
                 float* scale, float* offset, std::byte* alpha) {
  const hn::ScalableTag<float> df;
  const hn::Rebind<std::uint32_t, decltype(df)> d32;
  const std::size_t lanes = hn::Lanes(df);
  const std::size_t bytes = grid_bytes(rule);
  auto seen = hn::Zero(d32);
  std::size_t g = 0;
  for (; g + lanes <= num_groups; g += lanes) {
    const auto grids = unrounded_grids(df, rule, hn::LoadU(df, min + g), hn::LoadU(df, max + g));
    if (rule.f16) {
      store_f16_grids(df, rule, grids, scale + g, offset + g, alpha + g * bytes, seen);
    } else {
      store_f32_grids(df, rule, grids, scale + g, offset + g, alpha + g * bytes, seen);
    }
  }
  const bool tail =
      scalar::group_grids(rule, min + g, max + g, num_groups - g, scale + g, offset + g, alpha + g * bytes);
  const std::uint32_t inf = rule.f16 ? 0x7c00u : 0x7f800000u;
  return tail && hn::AllTrue(d32, hn::Lt(seen, hn::Set(d32, inf)));
}

// ---- Codes ----

template <class DF>
struct CodeRule {
  VecOf<DF> scale;
  VecOf<DF> offset;
  VecOf<DF> low;    // -2^(bits-1)
  VecOf<DF> high;   // 2^(bits-1) - 1
  VecOf<DF> magic;  // kRoundMagic + 2^(bits-1): the sum's low byte is the unsigned code, rounded half to even
};

template <class DF>
VecOf<hn::Rebind<std::uint32_t, DF>> code_lanes(DF, const CodeRule<DF>& rule, VecOf<DF> value) {
  const auto t = hn::Div(hn::Sub(value, rule.offset), rule.scale);
  const auto clamped = hn::Min(hn::Max(t, rule.low), rule.high);
  return hn::BitCast(hn::Rebind<std::uint32_t, DF>(), hn::Add(clamped, rule.magic));
}

/// 2 * Lanes values from pairs: their codes as bytes in order, in the low 16 bits of each lane.
template <class Source, class DF>
VecOf<hn::Rebind<std::uint32_t, DF>> code_pairs(DF df, const CodeRule<DF>& rule, const std::byte* src) {
  const hn::Rebind<std::uint32_t, DF> d32;
  const auto pair = hn::LoadU(d32, lanes_at<std::uint32_t>(src));
  const auto even = code_lanes(df, rule, Source::even(d32, pair));
  const auto odd = code_lanes(df, rule, Source::odd(d32, pair));
  return hn::Or(even, hn::ShiftLeft<8>(odd));  // even's bits 8-15 are zero
}

/// Codes of blocks of 2 * Lanes values; returns how many values of `n` it did.
template <class Source, class DF>
std::size_t codes_of_pairs(DF df, const CodeRule<DF>& rule, const std::byte* src, std::size_t n,
                           std::uint8_t* codes) {
  const hn::Repartition<std::uint16_t, DF> d16;
  const std::size_t lanes = hn::Lanes(df);
  std::size_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    const auto low = code_pairs<Source>(df, rule, src + 2 * i);
    const auto high = code_pairs<Source>(df, rule, src + 2 * i + 4 * lanes);
    const auto bytes = hn::ConcatEven(d16, hn::BitCast(d16, high), hn::BitCast(d16, low));
    hn::StoreU(bytes, d16, reinterpret_cast<std::uint16_t*>(codes + i));
  }
  if (i + 2 * lanes <= n) {
    const hn::Half<decltype(d16)> half;
    const auto pairs = hn::BitCast(d16, code_pairs<Source>(df, rule, src + 2 * i));
    const auto bytes = hn::LowerHalf(half, hn::ConcatEven(d16, pairs, pairs));
    hn::StoreU(bytes, half, reinterpret_cast<std::uint16_t*>(codes + i));
    i += 2 * lanes;
  }
  return i;
}

/// Codes of blocks of 4 * Lanes values; returns how many values of `n` it did.
template <class DF>
std::size_t codes_of_f32(DF df, const CodeRule<DF>& rule, const std::byte* src, std::size_t n,
                         std::uint8_t* codes) {
  const hn::Repartition<std::uint16_t, DF> d16;
  const hn::Repartition<std::uint8_t, DF> d8;
  const std::size_t lanes = hn::Lanes(df);
  const float* in = lanes_at<float>(src);
  const auto at = [&](std::size_t index)
                      HWY_ATTR { return hn::BitCast(d16, code_lanes(df, rule, hn::LoadU(df, in + index))); };
  std::size_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    const auto low = hn::ConcatEven(d16, at(i + lanes), at(i));
    const auto high = hn::ConcatEven(d16, at(i + 3 * lanes), at(i + 2 * lanes));
    hn::StoreU(hn::ConcatEven(d8, hn::BitCast(d8, high), hn::BitCast(d8, low)), d8, codes + i);
  }
  return i;
}

template <class Source>
struct GroupCodes {
  float scale;
  float offset;
  int bits;

  /// Returns how many values of `n` it did: those that fill vectors of Lanes(df).
  template <class DF>
  HWY_INLINE std::size_t run(DF df, const std::byte* src, std::size_t n, std::uint8_t* codes) const {
    if (n < (std::is_same_v<Source, float> ? 4 : 2) * hn::Lanes(df)) return 0;
    const auto half = static_cast<float>(1 << (bits - 1));
    const CodeRule<DF> rule = {hn::Set(df, scale), hn::Set(df, offset), hn::Set(df, -half),
                               hn::Set(df, half - 1), hn::Set(df, scalar::kRoundMagic + half)};
    if constexpr (std::is_same_v<Source, float>) {
      return codes_of_f32(df, rule, src, n, codes);
    } else {
      return codes_of_pairs<Source>(df, rule, src, n, codes);
    }
  }
};

template <class Source>
void codes_of_groups(const std::byte* src, DType dtype, std::size_t group_len, std::size_t num_groups,
                     const float* scale, const float* offset, int bits, std::uint8_t* codes) {
  const auto value_bytes = std::is_same_v<Source, float> ? std::size_t{4} : std::size_t{2};
  for (std::size_t g = 0; g < num_groups; ++g) {
    const GroupCodes<Source> group = {scale[g], offset[g], bits};
    const std::byte* in = src + g * group_len * value_bytes;
    std::uint8_t* out = codes + g * group_len;
    std::size_t i = group.run(hn::ScalableTag<float>(), in, group_len, out);
    // Remainders of 16 and 32 values want shorter vectors.
    i += group.run(hn::CappedTag<float, 8>(), in + i * value_bytes, group_len - i, out + i);
    i += group.run(hn::CappedTag<float, 4>(), in + i * value_bytes, group_len - i, out + i);
    if (i < group_len) {
      scalar::group_codes(in + i * value_bytes, dtype, group_len - i, 1, scale + g, offset + g, bits,
                          out + i);
    }
  }
}

void group_codes(const std::byte* src, DType dtype, std::size_t group_len, std::size_t num_groups,
                 const float* scale, const float* offset, int bits, std::uint8_t* codes) {
  switch (dtype) {
    case DType::kBF16:
      return codes_of_groups<Bf16Lanes>(src, dtype, group_len, num_groups, scale, offset, bits, codes);
    case DType::kF16:
      return codes_of_groups<F16Lanes>(src, dtype, group_len, num_groups, scale, offset, bits, codes);
    default:
      return codes_of_groups<float>(src, dtype, group_len, num_groups, scale, offset, bits, codes);
  }
}

}  // namespace llm2mnn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
