#pragma once
// Internal to kernels/: the reference loops. SIMD kernels call them for their tails.

#include <cstddef>
#include <cstdint>

#include "kernels/groups.h"

namespace llm2mnn {
struct SearchInput;
}

namespace llm2mnn::scalar {

/// 1.5 * 2^23: adding it to |t| < 2^22 rounds t half to even and leaves the integer in the low mantissa bits.
inline constexpr float kRoundMagic = 12582912.0f;

bool decode(const std::byte* src, DType dtype, std::size_t n, float* out);
bool encode(const float* src, std::size_t n, DType dtype, std::byte* out);
bool group_min_max(const std::byte* src, DType dtype, std::size_t group_len, std::size_t num_groups,
                   float* min, float* max);
bool group_grids(const GridRule& rule, const float* min, const float* max, std::size_t num_groups,
                 float* scale, float* offset, std::byte* alpha);
void group_codes(const std::byte* src, DType dtype, std::size_t group_len, std::size_t num_groups,
                 const float* scale, const float* offset, int bits, std::uint8_t* codes);
void search_batch(const SearchInput& in, float* scale, float* offset);
std::size_t search_lanes();
void pack_codes(const std::uint8_t* codes, std::size_t n, int bits, std::byte* out);

}  // namespace llm2mnn::scalar
