#pragma once
// The weights of an MNN package.

#include "convert/plan.h"
#include "convert/row_stream.h"

namespace llm2mnn {

/// Writes everything of llm.mnn.weight and, when the plan has one, of the embedding file.
/// @param embedding_file  null when the embedding is tied.
/// @return the digest of the source.
/// @throws as stream_rows.
Digest128 stream_weights(const Plan& plan, const File& weight_file, const File* embedding_file,
                         StreamProgress& progress);

/// Bytes of tile buffers that `threads` workers hold at most, for `--dry_run`.
std::uint64_t stream_memory_bytes(const Plan& plan, unsigned threads);

}  // namespace llm2mnn
