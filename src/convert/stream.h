#pragma once
// The long part: worker threads take row tiles, read them, round them and write them where the layout says.
// Memory is a few tiles per thread, whatever the model's size; the bytes do not depend on the order of work.

#include <atomic>
#include <cstdint>

#include "base/file.h"
#include "base/hash.h"
#include "convert/plan.h"

namespace llm2mnn {

/// Shared with whoever shows progress; counts source bytes.
struct StreamProgress {
  std::atomic<std::uint64_t> done_bytes{0};
  std::atomic<std::uint64_t> total_bytes{0};
};

/// Writes everything of llm.mnn.weight and, when the plan has one, of the embedding file.
/// @param embedding_file  null when the embedding is tied.
/// @return the digest of the source.
/// @throws the first worker's Error; kCancelled when a signal came.
Digest128 stream_weights(const Plan& plan, const File& weight_file, const File* embedding_file,
                         StreamProgress& progress);

/// Bytes of tile buffers that `threads` workers hold at most, for `--dry_run`.
std::uint64_t stream_memory_bytes(const Plan& plan, unsigned threads);

/// Threads a plan runs with: `--threads`, or one per processor.
unsigned effective_threads(const ExportOptions& options);

}  // namespace llm2mnn
