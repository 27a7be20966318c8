#include "convert/source_digest.h"

#include "base/checked.h"
#include "quant/tiles.h"

namespace llm2mnn {

std::int64_t TensorTiles::num_tiles() const { return rows == 0 ? 0 : ceil_div(rows, tile_rows); }

TensorTiles tiles_of(const TensorInfo& tensor) {
  TensorTiles tiles;
  std::int64_t elements = 0;
  LLM2MNN_CHECK(shape_elements(tensor.shape, elements));
  tiles.rows = tensor.shape.empty() ? 1 : tensor.shape.front();
  const std::int64_t cols = tiles.rows == 0 ? 0 : elements / tiles.rows;
  tiles.row_bytes = cols * dtype_bytes(tensor.dtype);
  tiles.tile_rows = tile_rows(cols, tiles.row_bytes);
  return tiles;
}

SourceDigest::SourceDigest(const Checkpoint& checkpoint, std::span<const TensorId> used)
    : checkpoint_(checkpoint) {
  for (const TensorId id : used) {
    tiles_[id].resize(checked_cast<std::size_t>(tiles_of(checkpoint.tensor(id)).num_tiles()));
  }
}

std::vector<TensorId> SourceDigest::tensors() const {
  std::vector<TensorId> ids;
  for (const auto& [id, digests] : tiles_)
    ids.push_back(id);
  return ids;
}

void SourceDigest::add_tile(TensorId tensor, std::int64_t tile_idx, std::span<const std::byte> bytes) {
  tiles_.at(tensor).at(checked_cast<std::size_t>(tile_idx)) = xxh128(bytes);
}

Digest128 SourceDigest::finish() const {
  Hasher128 hasher;
  const auto add_text = [&](std::string_view text) { hasher.update(std::as_bytes(std::span(text))); };
  for (const auto& [id, digests] : tiles_) {  // ids are in the order of names
    const TensorInfo& tensor = checkpoint_.tensor(id);
    add_text(fmt::format("{}\n{}\n{}\n", tensor.name, dtype_name(tensor.dtype), shape_text(tensor.shape)));
    for (const Digest128& digest : digests)
      add_text(digest.hex());
  }
  return hasher.digest();
}

}  // namespace llm2mnn
