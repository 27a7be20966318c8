#include "quant/tiles.h"

#include <algorithm>

#include "base/error.h"

namespace llm2mnn {

std::int64_t tile_rows(std::int64_t cols, std::int64_t row_bytes) {
  LLM2MNN_CHECK(cols >= 0 && row_bytes >= 0);
  constexpr std::int64_t kTileBytes = 1 << 20;
  // Eight rows of any width end on a byte: 8 * cols * bits is a multiple of 8.
  constexpr std::int64_t kRowStep = 8;
  const std::int64_t rows = kTileBytes / std::max<std::int64_t>(row_bytes, 1);
  return std::max(rows / kRowStep * kRowStep, kRowStep);
}

}  // namespace llm2mnn
