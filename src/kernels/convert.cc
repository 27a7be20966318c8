#include "kernels/convert.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "kernels/groups.h"
#include "kernels/kernel_table.h"

namespace llm2mnn {
bool decode_to_f32(const std::byte* src, DType dtype, std::size_t n, float* out) {
  LLM2MNN_CHECK(is_weight_dtype(dtype));
  return active_kernels().decode(src, dtype, n, out);
}

bool encode_from_f32(const float* src, std::size_t n, DType dtype, std::byte* out) {
  LLM2MNN_CHECK(is_weight_dtype(dtype));
  return active_kernels().encode(src, n, dtype, out);
}

bool convert_values(const std::byte* src, DType from, std::size_t n, DType to, std::byte* out) {
  if (n == 0) return true;
  if (from == to) {
    float min = 0;
    float max = 0;
    std::memcpy(out, src, n * static_cast<std::size_t>(dtype_bytes(from)));
    return group_min_max(src, from, n, 1, &min, &max);  // false for NaN and Inf
  }
  constexpr std::size_t kChunk = 2048;  // 8 KiB of float32: stays in L1
  std::array<float, kChunk> chunk;
  const auto from_bytes = static_cast<std::size_t>(dtype_bytes(from));
  const auto to_bytes = static_cast<std::size_t>(dtype_bytes(to));
  bool fits = true;
  for (std::size_t done = 0; done < n; done += kChunk) {
    const std::size_t count = std::min(kChunk, n - done);
    fits = decode_to_f32(src + done * from_bytes, from, count, chunk.data()) && fits;
    fits = encode_from_f32(chunk.data(), count, to, out + done * to_bytes) && fits;
  }
  return fits;
}

}  // namespace llm2mnn
