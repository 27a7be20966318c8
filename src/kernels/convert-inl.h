// Conversions of whole arrays. Included once per Highway target (see simd_kernels.cc).
// clang-format off
#if defined(LLM2MNN_KERNELS_CONVERT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LLM2MNN_KERNELS_CONVERT_INL_H_
#undef LLM2MNN_KERNELS_CONVERT_INL_H_
#else
#define LLM2MNN_KERNELS_CONVERT_INL_H_
#endif
// clang-format on

#include "kernels/lanes-inl.h"
#include "kernels/scalar_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace llm2mnn::HWY_NAMESPACE {

/// Whether every magnitude (as bits, sign cleared) is below `limit`.
template <class DU>
bool all_below(DU du, VecOf<DU> largest, hn::TFromD<DU> limit) {
  return hn::AllTrue(du, hn::Lt(largest, hn::Set(du, limit)));
}

bool decode_16(const std::byte* src, DType dtype, std::size_t n, float* out) {
  const hn::ScalableTag<float> df;
  const hn::Rebind<std::uint32_t, decltype(df)> d32;
  const hn::Rebind<std::uint16_t, decltype(df)> d16;
  const std::size_t lanes = hn::Lanes(df);
  const std::uint16_t* in = lanes_at<std::uint16_t>(src);
  const bool bf16 = dtype == DType::kBF16;
  auto largest = hn::Zero(d16);
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto bits = hn::LoadU(d16, in + i);
    largest = hn::Max(largest, hn::And(bits, hn::Set(d16, static_cast<std::uint16_t>(0x7fff))));
    const auto wide = hn::PromoteTo(d32, bits);
    hn::StoreU(bf16 ? hn::BitCast(df, hn::ShiftLeft<16>(wide)) : half_to_f32(d32, wide), df, out + i);
  }
  const bool tail = scalar::decode(src + 2 * i, dtype, n - i, out + i);
  return all_below(d16, largest, static_cast<std::uint16_t>(bf16 ? 0x7f80 : 0x7c00)) && tail;
}

bool decode_f32(const std::byte* src, std::size_t n, float* out) {
  const hn::ScalableTag<std::uint32_t> d32;
  const std::size_t lanes = hn::Lanes(d32);
  auto largest = hn::Zero(d32);
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto bits = hn::LoadU(d32, lanes_at<std::uint32_t>(src + 4 * i));
    largest = hn::Max(largest, hn::And(bits, hn::Set(d32, 0x7fffffffu)));
    hn::StoreU(hn::BitCast(hn::ScalableTag<float>(), bits), hn::ScalableTag<float>(), out + i);
  }
  const bool tail = scalar::decode(src + 4 * i, DType::kF32, n - i, out + i);
  return all_below(d32, largest, 0x7f800000u) && tail;
}

bool decode(const std::byte* src, DType dtype, std::size_t n, float* out) {
  return dtype == DType::kF32 ? decode_f32(src, n, out) : decode_16(src, dtype, n, out);
}

/// float32 to the 16 bits of `dtype` in the low half of each lane; magnitudes below `encode_limit` only.
template <class DF>
VecOf<hn::Rebind<std::uint32_t, DF>> encode_lanes(DF df, DType dtype, VecOf<DF> value) {
  const hn::Rebind<std::uint32_t, DF> d32;
  if (dtype == DType::kF16) return f32_to_half(df, value);
  const auto bits = hn::BitCast(d32, value);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d32, 1u));
  return hn::ShiftRight<16>(hn::Add(hn::Add(bits, hn::Set(d32, 0x7fffu)), odd));
}

/// float32 bits of the smallest magnitude that rounds to Inf: half a step above the largest finite value.
std::uint32_t encode_limit(DType dtype) { return dtype == DType::kF16 ? 0x477ff000u : 0x7f7f8000u; }

bool encode_16(const float* src, std::size_t n, DType dtype, std::byte* out) {
  const hn::ScalableTag<float> df;
  const hn::Rebind<std::uint32_t, decltype(df)> d32;
  const hn::Repartition<std::uint16_t, decltype(df)> d16;
  const std::size_t lanes = hn::Lanes(df);
  auto largest = hn::Zero(d32);
  std::size_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    const auto low = hn::LoadU(df, src + i);
    const auto high = hn::LoadU(df, src + i + lanes);
    largest = hn::Max(largest, hn::BitCast(d32, hn::Abs(low)));
    largest = hn::Max(largest, hn::BitCast(d32, hn::Abs(high)));
    const auto packed = hn::ConcatEven(d16, hn::BitCast(d16, encode_lanes(df, dtype, high)),
                                       hn::BitCast(d16, encode_lanes(df, dtype, low)));
    hn::StoreU(packed, d16, lanes_at<std::uint16_t>(out + 2 * i));
  }
  const bool tail = scalar::encode(src + i, n - i, dtype, out + 2 * i);
  return all_below(d32, largest, encode_limit(dtype)) && tail;
}

bool encode(const float* src, std::size_t n, DType dtype, std::byte* out) {
  if (dtype != DType::kF32) return encode_16(src, n, dtype, out);
  return decode_f32(reinterpret_cast<const std::byte*>(src), n, reinterpret_cast<float*>(out));
}

}  // namespace llm2mnn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
