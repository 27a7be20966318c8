// Codes to bytes. Included once per Highway target (see simd_kernels.cc).
// clang-format off
#if defined(LLM2MNN_KERNELS_PACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LLM2MNN_KERNELS_PACK_INL_H_
#undef LLM2MNN_KERNELS_PACK_INL_H_
#else
#define LLM2MNN_KERNELS_PACK_INL_H_
#endif
// clang-format on

#include <cstring>

#include "kernels/lanes-inl.h"
#include "kernels/scalar_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace llm2mnn::HWY_NAMESPACE {

/// Returns how many codes it packed.
std::size_t pack_nibbles(const std::uint8_t* codes, std::size_t n, std::byte* out) {
  const hn::ScalableTag<std::uint8_t> d8;
  const hn::Repartition<std::uint16_t, decltype(d8)> d16;
  const std::size_t lanes = hn::Lanes(d8);
  const auto pairs = [&](std::size_t at) HWY_ATTR {
    const auto v = hn::BitCast(d16, hn::LoadU(d8, codes + at));  // first code in the low byte
    return hn::BitCast(d8, hn::Or(hn::ShiftLeft<4>(v), hn::ShiftRight<8>(v)));
  };
  std::size_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    hn::StoreU(hn::ConcatEven(d8, pairs(i + lanes), pairs(i)), d8, lanes_at<std::uint8_t>(out + i / 2));
  }
  return i;
}

/// Eight codes at a time inside 64 bits: neighbours join to fields of 2, 4 and 8 codes.
template <unsigned kBits>
std::size_t pack_eights(const std::uint8_t* codes, std::size_t n, std::byte* out) {
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    std::uint64_t x = 0;
    std::memcpy(&x, codes + i, 8);
    x = __builtin_bswap64(x);  // the first code on top
    x = ((x & 0xff00ff00ff00ff00u) >> (8 - kBits)) | (x & 0x00ff00ff00ff00ffu);
    x = ((x & 0xffff0000ffff0000u) >> (16 - 2 * kBits)) | (x & 0x0000ffff0000ffffu);
    x = ((x >> 32) << (4 * kBits)) | (x & 0xffffffffu);
    x = __builtin_bswap64(x << (64 - 8 * kBits));
    std::memcpy(out, &x, kBits);
    out += kBits;
  }
  return i;
}

std::size_t pack_whole(const std::uint8_t* codes, std::size_t n, int bits, std::byte* out) {
  switch (bits) {
    case 2:
      return pack_eights<2>(codes, n, out);
    case 3:
      return pack_eights<3>(codes, n, out);
    case 4:
      return pack_nibbles(codes, n, out);
    case 5:
      return pack_eights<5>(codes, n, out);
    case 6:
      return pack_eights<6>(codes, n, out);
    case 7:
      return pack_eights<7>(codes, n, out);
    default:
      if (n > 0) std::memcpy(out, codes, n);
      return n;
  }
}

void pack_codes(const std::uint8_t* codes, std::size_t n, int bits, std::byte* out) {
  const std::size_t done = pack_whole(codes, n, bits, out);  // a multiple of 8 unless bits is 8
  scalar::pack_codes(codes + done, n - done, bits, out + done / 8 * static_cast<std::size_t>(bits));
}

}  // namespace llm2mnn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
