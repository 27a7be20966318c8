#include "kernels/mxfp4.h"

#include <array>
#include <cmath>

namespace llm2mnn {
namespace {

constexpr std::array<float, 16> kE2M1 = {0.0F,  0.5F,  1.0F,  1.5F,  2.0F,  3.0F,  4.0F,  6.0F,
                                         -0.0F, -0.5F, -1.0F, -1.5F, -2.0F, -3.0F, -4.0F, -6.0F};
constexpr int kBias = 127;
constexpr int kLargest = 252;  // 6 * 2^125 is finite, 6 * 2^126 is not

}  // namespace

bool decode_mxfp4(const std::byte* codes, const std::byte* scales, std::size_t num_groups, float* out) {
  bool finite = true;
  for (std::size_t group = 0; group < num_groups; ++group) {
    const int stored = std::to_integer<int>(scales[group]);
    finite = finite && stored <= kLargest;
    const float scale = std::ldexp(1.0F, stored - kBias);
    for (std::size_t i = 0; i < kMxfp4Group / 2; ++i) {
      const auto pair = std::to_integer<unsigned>(*codes++);
      *out++ = kE2M1[pair & 15U] * scale;
      *out++ = kE2M1[pair >> 4U] * scale;
    }
  }
  return finite;
}

}  // namespace llm2mnn
