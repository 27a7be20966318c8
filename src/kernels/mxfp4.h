#pragma once
// MXFP4 to float32 (OCP's Microscaling Formats, revision 1.0): groups of 32 values of four bits (E2M1) with a
// power of two each (E8M0).

#include <cstddef>

namespace llm2mnn {

inline constexpr std::size_t kMxfp4Group = 32;

/// `num_groups` groups: 16 bytes each in `codes`, the first value of a byte low, and a byte each in `scales`.
/// @return false when some scale is NaN or some value overflows; `out` is then complete but of no use.
[[nodiscard]] bool decode_mxfp4(const std::byte* codes, const std::byte* scales, std::size_t num_groups,
                                float* out);

}  // namespace llm2mnn
