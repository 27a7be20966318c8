#pragma once
// The long part of every export: worker threads take row tiles of weights, read them and hand them to a sink
// that stores them. Memory is a few tiles per thread, whatever the model's size; the bytes do not depend on
// the order of work.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "arch/binding.h"
#include "base/file.h"
#include "base/hash.h"
#include "quant/rounding.h"

namespace llm2mnn {

/// Shared with whoever shows progress; counts source bytes.
struct StreamProgress {
  std::atomic<std::uint64_t> done_bytes{0};
  std::atomic<std::uint64_t> total_bytes{0};
};

/// One worker's buffers for a sink, grown to the largest tile and kept.
struct SinkBuffers {
  std::vector<std::byte> values;
  std::vector<std::byte> more;
};

/// The first `bytes` of `buffer`, which grows when it is smaller.
std::span<std::byte> sized(std::vector<std::byte>& buffer, std::uint64_t bytes);

/// Where the rows of one weight go.
class RowSink {
 public:
  virtual ~RowSink() = default;
  /// Stores rows [first_row, first_row + rows.rows). Called from several threads, each row once.
  /// @throws Error(kFormat) for values that cannot be stored; kNoSpace, kIo.
  virtual void put(const WeightRows& rows, std::int64_t first_row, SinkBuffers& buffers) const = 0;
  /// Bytes of buffers that `put` needs for `rows` rows of `cols` values.
  virtual std::int64_t buffer_bytes(std::int64_t rows, std::int64_t cols) const = 0;
  /// Whether it writes a run of each column: then many rows at a time make the runs long.
  virtual bool wants_many_rows() const { return false; }
};

struct RowTarget {
  const Binding* binding = nullptr;  ///< outlives the stream
  std::unique_ptr<RowSink> sink;     ///< null: the rows are only digested
};

/// float32, bf16 or fp16 values as [rows, cols] at `offset` of `file`.
std::unique_ptr<RowSink> float_sink(const File& file, std::uint64_t offset, DType dtype);

struct StreamOptions {
  unsigned threads = 1;
  bool digests = true;  ///< whether the digest of the source is wanted
  /// Told how many targets, counted from the first one, have all their rows stored, when it has become more.
  /// Called from any thread, one call at a time.
  std::function<void(std::size_t finished)> on_finished;
};

/// Streams every target, in their order. For the digest all tensors of the bindings are read as they are
/// stored.
/// @return the digest of the source; zeros when it is not wanted.
/// @throws the first worker's Error; kCancelled when a signal came.
Digest128 stream_rows(const Checkpoint& checkpoint, std::span<const RowTarget> targets,
                      const StreamOptions& options, StreamProgress& progress);

/// Bytes of tile buffers that `threads` workers hold at most, for `--dry_run`.
std::uint64_t stream_memory_bytes(const Checkpoint& checkpoint, std::span<const RowTarget> targets,
                                  unsigned threads);

}  // namespace llm2mnn
