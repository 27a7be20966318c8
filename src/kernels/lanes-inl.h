// Decoding of weights inside vector registers. Included once per Highway target (see simd_kernels.cc).
// clang-format off
#if defined(LLM2MNN_KERNELS_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LLM2MNN_KERNELS_LANES_INL_H_
#undef LLM2MNN_KERNELS_LANES_INL_H_
#else
#define LLM2MNN_KERNELS_LANES_INL_H_
#endif
// clang-format on

#include <cstddef>
#include <cstdint>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace llm2mnn::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class D>
using VecOf = hn::Vec<D>;

/// The address of `bytes` for an unaligned vector load or store.
template <typename T>
const T* lanes_at(const std::byte* bytes) {
  return reinterpret_cast<const T*>(bytes);
}
template <typename T>
T* lanes_at(std::byte* bytes) {
  return reinterpret_cast<T*>(bytes);
}

/// FP16 in the low 16 bits of each lane (the others are ignored) to float32; the value must be finite.
/// The multiplication repairs the exponent, as in `f16_to_f32`.
template <class D32, class D = hn::Rebind<float, D32>>
VecOf<D> half_to_f32(D32 d32, VecOf<D32> half) {
  const D df;
  const auto sign = hn::ShiftLeft<16>(hn::And(half, hn::Set(d32, 0x8000u)));
  const auto rest = hn::ShiftLeft<13>(hn::And(half, hn::Set(d32, 0x7fffu)));
  const auto magnitude = hn::Mul(hn::BitCast(df, rest), hn::Set(df, 0x1p112f));
  return hn::BitCast(df, hn::Or(hn::BitCast(d32, magnitude), sign));
}

/// float32 to FP16 in the low 16 bits, half to even, as in `f32_to_f16`. |value| >= 65520 (Inf too) gives
/// 0x7c00 or more below the sign.
template <class DF, class D32 = hn::Rebind<std::uint32_t, DF>>
VecOf<D32> f32_to_half(DF df, VecOf<DF> value) {
  const D32 d32;
  const hn::Rebind<std::int32_t, DF> di32;
  const auto bits = hn::BitCast(d32, value);
  const auto sign = hn::And(hn::ShiftRight<16>(bits), hn::Set(d32, 0x8000u));
  const auto rest = hn::And(bits, hn::Set(d32, 0x7fffffffu));
  const auto odd = hn::And(hn::ShiftRight<13>(rest), hn::Set(d32, 1u));
  const auto rounded = hn::Add(hn::Add(rest, hn::Set(d32, 0xfffu)), odd);
  const auto normal = hn::Sub(hn::ShiftRight<13>(rounded), hn::Set(d32, 112u << 10));
  const auto sum = hn::Add(hn::BitCast(df, rest), hn::Set(df, 0.5f));
  const auto subnormal = hn::Sub(hn::BitCast(d32, sum), hn::Set(d32, 0x3f000000u));
  const auto is_small = hn::Lt(hn::BitCast(di32, rest), hn::Set(di32, 0x38800000));
  return hn::Or(hn::IfThenElse(hn::RebindMask(d32, is_small), subnormal, normal), sign);
}

/// Sources of 16 bits come as pairs in 32-bit lanes: the even value in the low half, the odd one in the high.
struct Bf16Lanes {
  template <class D32>
  static VecOf<hn::Rebind<float, D32>> even(D32, VecOf<D32> pair) {
    return hn::BitCast(hn::Rebind<float, D32>(), hn::ShiftLeft<16>(pair));
  }
  template <class D32>
  static VecOf<hn::Rebind<float, D32>> odd(D32 d32, VecOf<D32> pair) {
    return hn::BitCast(hn::Rebind<float, D32>(), hn::And(pair, hn::Set(d32, 0xffff0000u)));
  }
};

struct F16Lanes {
  template <class D32>
  static VecOf<hn::Rebind<float, D32>> even(D32 d32, VecOf<D32> pair) {
    return half_to_f32(d32, pair);
  }
  template <class D32>
  static VecOf<hn::Rebind<float, D32>> odd(D32 d32, VecOf<D32> pair) {
    return half_to_f32(d32, hn::ShiftRight<16>(pair));
  }
};

}  // namespace llm2mnn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
