#pragma once
// How a matrix is cut for streaming.

#include <cstdint>

namespace llm2mnn {

/// Rows of a tile of a matrix whose rows hold `cols` weights in `row_bytes` source bytes: about 1 MiB of
/// source, a positive multiple of 8, so that every tile's codes start on a byte whatever `cols` and the code
/// width. Depends on the shape only, never on the machine or the number of threads.
std::int64_t tile_rows(std::int64_t cols, std::int64_t row_bytes);

}  // namespace llm2mnn
