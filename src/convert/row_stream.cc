#include "convert/row_stream.h"

#include <algorithm>
#include <exception>
#include <mutex>
#include <set>
#include <system_error>
#include <thread>

#include "base/cancel.h"
#include "base/checked.h"
#include "convert/source_digest.h"
#include "quant/tiles.h"

namespace llm2mnn {
namespace {

// What all workers' tiles hold together where many rows at a time make long runs: of a sink that writes
// columns (two workers hold whole matrices of the smaller models), and of a source that is stored in columns.
constexpr std::int64_t kManyRowsBytes = 72 << 20;
constexpr std::int64_t kManyColumnsBytes = 32 << 20;

// One target as the workers see it.
struct Source {
  const RowTarget* target = nullptr;  // null: nothing is stored, the tensor is only digested
  TensorId tensor = 0;                // of a plain source
  bool reads_plain = false;           // stored bytes go to the sink directly
  bool digests = false;               // this source's tiles are the ones the digest gets
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t digest_rows = 0;  // rows of one tile of the digest
  std::int64_t tile_rows = 0;    // rows at a time: a multiple of that
  std::int64_t row_bytes = 0;    // as read: stored bytes, or float32 after a binding
};

struct Tile {
  const Source* source = nullptr;
  std::int64_t row_begin = 0;
  std::int64_t row_count = 0;
};

// Hands out tiles in file order.
class TileQueue {
 public:
  explicit TileQueue(const std::vector<Source>& sources) : sources_(sources) {}

  bool next(Tile& tile) {
    const std::scoped_lock lock(mutex_);
    while (source_idx_ < sources_.size() && row_ >= sources_[source_idx_].rows) {
      ++source_idx_;
      row_ = 0;
    }
    if (source_idx_ == sources_.size()) return false;
    const Source& source = sources_[source_idx_];
    tile = {&source, row_, std::min(source.tile_rows, source.rows - row_)};
    row_ += tile.row_count;
    return true;
  }
  void stop() {
    const std::scoped_lock lock(mutex_);
    source_idx_ = sources_.size();
  }

 private:
  const std::vector<Source>& sources_;
  std::mutex mutex_;
  std::size_t source_idx_ = 0;
  std::int64_t row_ = 0;
};

struct Buffers {
  std::vector<std::byte> source;
  std::vector<std::byte> scratch;
  SinkBuffers sink;
};

std::vector<TensorId> tensors_of(std::span<const RowTarget> targets) {
  std::vector<TensorId> used;
  for (const RowTarget& target : targets)
    target.binding->collect_sources(used);
  return used;
}

// What a worker holds for a tile of `rows` rows.
std::int64_t held_bytes(const Source& source, std::int64_t rows) {
  // What is no stored tensor as it stands is made from stored bytes in a second buffer.
  const std::int64_t num_reads = source.reads_plain ? 1 : 2;
  const RowSink* sink = source.target->sink.get();
  return num_reads * rows * source.row_bytes + (sink != nullptr ? sink->buffer_bytes(rows, source.cols) : 0);
}

Source source_of(const Checkpoint& checkpoint, const RowTarget& target, unsigned threads) {
  Source source;
  source.target = &target;
  source.rows = target.binding->rows();
  source.cols = target.binding->cols();
  const auto tensor = target.binding->plain_source();
  if (tensor && is_weight_dtype(checkpoint.tensor(*tensor).dtype)) {
    const TensorTiles tiles = tiles_of(checkpoint.tensor(*tensor));
    source.reads_plain = true;
    source.tensor = *tensor;
    source.row_bytes = tiles.row_bytes;
    source.digest_rows = tiles.tile_rows;
  } else {
    source.row_bytes = source.cols * 4;
    source.digest_rows = tile_rows(source.cols, source.row_bytes);
  }
  source.tile_rows = source.digest_rows;
  std::int64_t budget = 0;
  if (target.binding->reads_columns())
    budget = kManyColumnsBytes / threads;
  else if (target.sink && target.sink->wants_many_rows())
    budget = kManyRowsBytes / threads;
  while (source.tile_rows < source.rows &&
         held_bytes(source, source.tile_rows + source.digest_rows) <= budget)
    source.tile_rows += source.digest_rows;
  return source;
}

class RowStreamer {
 public:
  RowStreamer(const Checkpoint& checkpoint, std::span<const RowTarget> targets, const StreamOptions& options)
      : checkpoint_(checkpoint),
        options_(options),
        digest_(checkpoint, options.digests ? tensors_of(targets) : std::vector<TensorId>()) {
    std::set<TensorId> digested;
    for (const RowTarget& target : targets) {
      sources_.push_back(source_of(checkpoint, target, options.threads));
      rows_left_.push_back(sources_.back().rows);
      if (Source& source = sources_.back(); source.reads_plain && options.digests)
        source.digests = digested.insert(source.tensor).second;
    }
    // Tensors whose bytes no target reads as they are stored.
    for (const TensorId id : digest_.tensors()) {
      if (digested.contains(id)) continue;
      const TensorTiles tiles = tiles_of(checkpoint.tensor(id));
      sources_.push_back({.tensor = id,
                          .reads_plain = true,
                          .digests = true,
                          .rows = tiles.rows,
                          .digest_rows = tiles.tile_rows,
                          .tile_rows = tiles.tile_rows,
                          .row_bytes = tiles.row_bytes});
    }
  }

  std::uint64_t total_bytes() const {
    std::uint64_t total = 0;
    for (const Source& source : sources_)
      total += static_cast<std::uint64_t>(source.rows * source.row_bytes);
    return total;
  }

  void run(StreamProgress& progress) {
    TileQueue queue(sources_);
    std::mutex mutex;
    std::exception_ptr first_error;
    const auto work = [&] {
      try {
        Buffers buffers;
        Tile tile;
        while (queue.next(tile)) {
          throw_if_cancelled();
          process(tile, buffers);
          progress.done_bytes += tile_bytes(tile);
          count(tile);
        }
      } catch (...) {
        queue.stop();
        const std::scoped_lock lock(mutex);
        if (!first_error) first_error = std::current_exception();
      }
    };
    {
      std::vector<std::jthread> workers;
      try {
        for (unsigned i = 1; i < options_.threads; ++i)
          workers.emplace_back(work);
      } catch (const std::system_error&) {
        // No more threads to be had (ulimit): those that started do the work.
      }
      work();
    }
    if (first_error) std::rethrow_exception(first_error);
  }

  Digest128 source_digest() const { return digest_.finish(); }

 private:
  static std::uint64_t tile_bytes(const Tile& tile) {
    return checked_cast<std::uint64_t>(tile.row_count * tile.source->row_bytes);
  }

  // Tells of targets that are finished now.
  void count(const Tile& tile) {
    if (!options_.on_finished || tile.source->target == nullptr) return;
    const std::scoped_lock lock(finished_mutex_);
    rows_left_[static_cast<std::size_t>(tile.source - sources_.data())] -= tile.row_count;
    const std::size_t before = num_finished_;
    while (num_finished_ < rows_left_.size() && rows_left_[num_finished_] == 0)
      ++num_finished_;
    if (num_finished_ > before) options_.on_finished(num_finished_);
  }

  void process(const Tile& tile, Buffers& buffers) {
    const Source& source = *tile.source;
    const std::span<std::byte> data = sized(buffers.source, tile_bytes(tile));
    WeightRows rows = {data.data(), DType::kF32, tile.row_count, source.cols};
    if (source.reads_plain) {
      checkpoint_.read(source.tensor, static_cast<std::uint64_t>(tile.row_begin * source.row_bytes), data);
      if (source.digests) digest(tile, data);
      rows.dtype = checkpoint_.tensor(source.tensor).dtype;
    } else {
      source.target->binding->read_rows(checkpoint_, tile.row_begin, tile.row_count,
                                        reinterpret_cast<float*>(data.data()), buffers.scratch);
    }
    if (source.target == nullptr || !source.target->sink) return;
    try {
      source.target->sink->put(rows, tile.row_begin, buffers.sink);
    } catch (Error& error) {
      if (error.kind() == ErrorKind::kFormat) error.add_context(source_text(source));
      throw;
    }
  }

  void digest(const Tile& tile, std::span<const std::byte> data) {
    const Source& source = *tile.source;
    for (std::int64_t row = 0; row < tile.row_count; row += source.digest_rows) {
      const std::int64_t count = std::min(source.digest_rows, tile.row_count - row);
      digest_.add_tile(source.tensor, (tile.row_begin + row) / source.digest_rows,
                       data.subspan(static_cast<std::size_t>(row * source.row_bytes),
                                    static_cast<std::size_t>(count * source.row_bytes)));
    }
  }

  std::string source_text(const Source& source) const {
    if (source.reads_plain) return "tensor " + shown(checkpoint_.tensor(source.tensor).name);
    return source.target->binding->text(checkpoint_);
  }

  const Checkpoint& checkpoint_;
  const StreamOptions& options_;
  SourceDigest digest_;
  std::vector<Source> sources_;  // of the targets, in their order, then what is only digested
  std::mutex finished_mutex_;
  std::vector<std::int64_t> rows_left_;  // of each target
  std::size_t num_finished_ = 0;
};

class FloatSink final : public RowSink {
 public:
  FloatSink(const File& file, std::uint64_t offset, DType dtype)
      : file_(file), offset_(offset), dtype_(dtype) {}

  void put(const WeightRows& rows, std::int64_t first_row, SinkBuffers& buffers) const override {
    const auto values =
        sized(buffers.values, checked_cast<std::uint64_t>(buffer_bytes(rows.rows, rows.cols)));
    convert_rows(rows, first_row, dtype_, values);
    file_.write_all(offset_ + checked_cast<std::uint64_t>(buffer_bytes(first_row, rows.cols)), values);
  }
  std::int64_t buffer_bytes(std::int64_t rows, std::int64_t cols) const override {
    return rows * cols * dtype_bytes(dtype_);
  }

 private:
  const File& file_;
  std::uint64_t offset_;
  DType dtype_;
};

}  // namespace

std::span<std::byte> sized(std::vector<std::byte>& buffer, std::uint64_t bytes) {
  if (buffer.size() < bytes) buffer.resize(bytes);
  return std::span(buffer).first(bytes);
}

std::unique_ptr<RowSink> float_sink(const File& file, std::uint64_t offset, DType dtype) {
  return std::make_unique<FloatSink>(file, offset, dtype);
}

Digest128 stream_rows(const Checkpoint& checkpoint, std::span<const RowTarget> targets,
                      const StreamOptions& options, StreamProgress& progress) {
  RowStreamer streamer(checkpoint, targets, options);
  progress.total_bytes = streamer.total_bytes();
  streamer.run(progress);
  checkpoint.check_unchanged();
  return options.digests ? streamer.source_digest() : Digest128{};
}

std::uint64_t stream_memory_bytes(const Checkpoint& checkpoint, std::span<const RowTarget> targets,
                                  unsigned threads) {
  std::int64_t largest = 0;
  for (const RowTarget& target : targets) {
    const Source source = source_of(checkpoint, target, threads);
    largest = std::max(largest, held_bytes(source, std::min(source.rows, source.tile_rows)));
  }
  return checked_cast<std::uint64_t>(largest) * threads;
}

}  // namespace llm2mnn
