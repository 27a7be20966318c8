#pragma once
// Rows to columns, in blocks that stay in L1.

#include <cstddef>

namespace llm2mnn {

/// out[c * rows + r] = in[r * cols + c] for `rows` x `cols` values of T (1, 2 or 4 bytes wide).
template <typename T>
void transpose(const T* in, std::size_t rows, std::size_t cols, T* out) {
  constexpr std::size_t kBlock = 16;
  for (std::size_t r0 = 0; r0 < rows; r0 += kBlock) {
    const std::size_t r1 = r0 + kBlock < rows ? r0 + kBlock : rows;
    for (std::size_t c0 = 0; c0 < cols; c0 += kBlock) {
      const std::size_t c1 = c0 + kBlock < cols ? c0 + kBlock : cols;
      for (std::size_t c = c0; c < c1; ++c) {
        for (std::size_t r = r0; r < r1; ++r)
          out[c * rows + r] = in[r * cols + c];
      }
    }
  }
}

}  // namespace llm2mnn
