#pragma once
// The weights of an ONNX package.

#include <functional>

#include "convert/onnx_plan.h"
#include "convert/row_stream.h"

namespace llm2mnn {

/// Writes everything of llm.onnx.data and the bf16 embedding beside it.
/// @param on_prefix  told the bytes from the begin of the data file that change no more, when they have
/// become more.
/// @return the digest of the source.
/// @throws as stream_rows.
Digest128 stream_weights(const OnnxPlan& plan, const File& data_file, const File& embedding_file,
                         const std::function<void(std::uint64_t)>& on_prefix, StreamProgress& progress);

/// Bytes of tile buffers that `threads` workers hold at most, for `--dry_run`.
std::uint64_t stream_memory_bytes(const OnnxPlan& plan, unsigned threads);

}  // namespace llm2mnn
