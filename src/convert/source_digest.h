#pragma once
// A digest of the weights a package was made from: over names, dtypes, shapes and values of the used tensors,
// and over nothing of files, so that sharded, reordered and single-file copies of one model agree.

#include <map>
#include <span>
#include <vector>

#include "base/hash.h"
#include "checkpoint/checkpoint.h"

namespace llm2mnn {

/// How a tensor is cut for hashing and for streaming: whole rows, a function of shape and dtype alone.
struct TensorTiles {
  std::int64_t rows = 0;  ///< a vector [n] counts as n rows of one element
  std::int64_t row_bytes = 0;
  std::int64_t tile_rows = 0;
  std::int64_t num_tiles() const;
};
TensorTiles tiles_of(const TensorInfo& tensor);

class SourceDigest {
 public:
  /// Covers the tensors `used` (repetitions allowed).
  SourceDigest(const Checkpoint& checkpoint, std::span<const TensorId> used);
  std::vector<TensorId> tensors() const;
  /// Records one tile's bytes. Each tile exactly once; different tiles may come from different threads.
  void add_tile(TensorId tensor, std::int64_t tile_idx, std::span<const std::byte> bytes);
  /// XXH3-128 over, in the order of names: name, dtype, shape and the digests of the tiles.
  Digest128 finish() const;

 private:
  const Checkpoint& checkpoint_;
  std::map<TensorId, std::vector<Digest128>> tiles_;
};

}  // namespace llm2mnn
