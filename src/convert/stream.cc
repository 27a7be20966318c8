#include "convert/stream.h"

#include <algorithm>
#include <exception>
#include <mutex>
#include <sched.h>
#include <set>
#include <system_error>
#include <thread>

#include "base/cancel.h"
#include "base/checked.h"
#include "convert/source_digest.h"
#include "quant/rounding.h"
#include "quant/tiles.h"

namespace llm2mnn {
namespace {

// What happens to the rows of one binding.
enum class Action : std::uint8_t {
  kQuantize,  // codes and alpha of a scheme
  kBf16,      // the embedding file
  kF32,       // biases, gammas
  kDigest,    // nothing is written: tensors whose bytes no other target reads as they are stored
};

struct Target {
  Action action = Action::kDigest;
  const Binding* binding = nullptr;  // null for kDigest
  TensorId tensor = 0;               // kDigest; otherwise the plain source when `reads_plain`
  bool reads_plain = false;          // stored bytes go to the kernel directly
  bool digests = false;              // this target's tiles are the ones the source digest gets
  QuantScheme scheme;
  const File* file = nullptr;
  std::uint64_t offset = 0;        // of codes or values
  std::uint64_t alpha_offset = 0;  // kQuantize
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t tile_rows = 0;
  std::int64_t row_bytes = 0;  // as read: stored bytes, or float32 after a binding
};

struct Tile {
  const Target* target = nullptr;
  std::int64_t row_begin = 0;
  std::int64_t row_count = 0;
};

// Hands out tiles in file order.
class TileQueue {
 public:
  explicit TileQueue(const std::vector<Target>& targets) : targets_(targets) {}

  bool next(Tile& tile) {
    const std::scoped_lock lock(mutex_);
    while (target_idx_ < targets_.size() && row_ >= targets_[target_idx_].rows) {
      ++target_idx_;
      row_ = 0;
    }
    if (target_idx_ == targets_.size()) return false;
    const Target& target = targets_[target_idx_];
    tile = {&target, row_, std::min(target.tile_rows, target.rows - row_)};
    row_ += tile.row_count;
    return true;
  }
  void stop() {
    const std::scoped_lock lock(mutex_);
    target_idx_ = targets_.size();
  }

 private:
  const std::vector<Target>& targets_;
  std::mutex mutex_;
  std::size_t target_idx_ = 0;
  std::int64_t row_ = 0;
};

// One worker's buffers, grown to the largest tile and kept.
struct Buffers {
  std::vector<std::byte> source;
  std::vector<std::byte> scratch;
  std::vector<std::byte> values;
  std::vector<std::byte> alpha;
};

std::span<std::byte> sized(std::vector<std::byte>& buffer, std::uint64_t bytes) {
  if (buffer.size() < bytes) buffer.resize(bytes);
  return std::span(buffer).first(bytes);
}

class Streamer {
 public:
  Streamer(const Plan& plan, const File& weight_file, const File* embedding_file)
      : plan_(plan),
        checkpoint_(*plan.checkpoint),
        weight_file_(weight_file),
        digest_(checkpoint_, used_tensors(plan)) {
    add_linears();
    add_vectors();
    if (embedding_file != nullptr) add_embedding(*embedding_file);
    add_digest_only();
  }

  std::uint64_t total_bytes() const {
    std::uint64_t total = 0;
    for (const Target& target : targets_)
      total += static_cast<std::uint64_t>(target.rows * target.row_bytes);
    return total;
  }

  void write_constant_parts() const {
    for (const mnn::LinearBlob& blob : plan_.layout.linears) {
      weight_file_.write_all(blob.offset, blob.header);
      if (!blob.bias) write_zeros(blob.bias_offset(), blob.bias_bytes);
    }
    for (const mnn::NormBlob& blob : plan_.layout.norms) {
      const auto half = (blob.end() - blob.offset) / 2;
      if (!blob.beta) write_zeros(blob.offset + half, half);
    }
    for (const mnn::ConstBlob& blob : plan_.layout.consts)
      weight_file_.write_all(blob.offset, blob.data);
  }

  void run(unsigned threads, StreamProgress& progress) {
    TileQueue queue(targets_);
    std::mutex mutex;
    std::exception_ptr first_error;
    const auto work = [&] {
      try {
        Buffers buffers;
        Tile tile;
        while (queue.next(tile)) {
          throw_if_cancelled();
          process(tile, buffers);
          progress.done_bytes += static_cast<std::uint64_t>(tile.row_count * tile.target->row_bytes);
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
        for (unsigned i = 1; i < threads; ++i)
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
  static std::vector<TensorId> used_tensors(const Plan& plan) {
    std::vector<TensorId> used;
    for (const LoweredWeight& weight : plan.lowered.weights)
      weight.binding.collect_sources(used);
    plan.spec.embed_tokens.collect_sources(used);
    return used;
  }

  Target make_target(Action action, const Binding& binding, const File& file, std::uint64_t offset) {
    Target target;
    target.action = action;
    target.binding = &binding;
    target.file = &file;
    target.offset = offset;
    target.rows = binding.rows();
    target.cols = binding.cols();
    if (const auto source = binding.plain_source();
        source && is_weight_dtype(checkpoint_.tensor(*source).dtype)) {
      const TensorTiles tiles = tiles_of(checkpoint_.tensor(*source));
      target.reads_plain = true;
      target.tensor = *source;
      target.digests = digested_.insert(*source).second;
      target.row_bytes = tiles.row_bytes;
      target.tile_rows = tiles.tile_rows;
    } else {
      target.row_bytes = target.cols * 4;
      target.tile_rows = tile_rows(target.cols, target.row_bytes);
    }
    return target;
  }

  void add_linears() {
    for (const mnn::LinearBlob& blob : plan_.layout.linears) {
      Target target = make_target(Action::kQuantize, plan_.lowered.weights[blob.weight].binding, weight_file_,
                                  blob.codes_offset());
      target.scheme = blob.scheme;
      target.alpha_offset = blob.alpha_offset();
      targets_.push_back(target);
      if (blob.bias) add_vector(*blob.bias, blob.bias_offset());
    }
  }

  void add_vectors() {
    for (const mnn::NormBlob& blob : plan_.layout.norms) {
      add_vector(blob.gamma, blob.offset);
      if (blob.beta) add_vector(*blob.beta, blob.offset + (blob.end() - blob.offset) / 2);
    }
  }

  void add_vector(ir::WeightId weight, std::uint64_t offset) {
    targets_.push_back(
        make_target(Action::kF32, plan_.lowered.weights[weight].binding, weight_file_, offset));
  }

  void add_embedding(const File& file) {
    const EmbeddingPlan& embedding = plan_.embedding;
    const bool bf16 = embedding.kind == EmbeddingPlan::Kind::kBf16File;
    Target target = make_target(bf16 ? Action::kBf16 : Action::kQuantize, plan_.spec.embed_tokens, file, 0);
    target.scheme = embedding.scheme;
    target.alpha_offset = embedding.codes_bytes;
    targets_.push_back(target);
  }

  void add_digest_only() {
    for (const TensorId id : digest_.tensors()) {
      if (digested_.contains(id)) continue;
      const TensorTiles tiles = tiles_of(checkpoint_.tensor(id));
      Target target;
      target.tensor = id;
      target.reads_plain = true;
      target.digests = true;
      target.rows = tiles.rows;
      target.row_bytes = tiles.row_bytes;
      target.tile_rows = tiles.tile_rows;
      targets_.push_back(target);
    }
  }

  void write_zeros(std::uint64_t offset, std::uint64_t bytes) const {
    if (bytes == 0) return;
    const std::vector<std::byte> zeros(bytes);
    weight_file_.write_all(offset, zeros);
  }

  void process(const Tile& tile, Buffers& buffers) {
    const Target& target = *tile.target;
    const auto bytes = checked_cast<std::uint64_t>(tile.row_count * target.row_bytes);
    const std::span<std::byte> source = sized(buffers.source, bytes);
    WeightRows rows = {source.data(), DType::kF32, tile.row_count, target.cols};
    if (target.reads_plain) {
      checkpoint_.read(target.tensor, static_cast<std::uint64_t>(tile.row_begin * target.row_bytes), source);
      if (target.digests) digest_.add_tile(target.tensor, tile.row_begin / target.tile_rows, source);
      rows.dtype = checkpoint_.tensor(target.tensor).dtype;
    } else {
      target.binding->read_rows(checkpoint_, tile.row_begin, tile.row_count,
                                reinterpret_cast<float*>(source.data()), buffers.scratch);
    }
    if (target.action == Action::kDigest) return;
    try {
      convert_and_write(tile, rows, buffers);
    } catch (Error& error) {
      if (error.kind() == ErrorKind::kFormat) error.add_context(source_text(target));
      throw;
    }
  }

  std::string source_text(const Target& target) const {
    if (target.reads_plain) return "tensor " + shown(checkpoint_.tensor(target.tensor).name);
    return target.binding->text(checkpoint_);
  }

  void convert_and_write(const Tile& tile, const WeightRows& rows, Buffers& buffers) const {
    const Target& target = *tile.target;
    const auto row = static_cast<std::uint64_t>(tile.row_begin);
    switch (target.action) {
      case Action::kQuantize: {
        const QuantScheme& scheme = target.scheme;
        const auto values =
            sized(buffers.values, static_cast<std::uint64_t>(codes_bytes(scheme, rows.rows, rows.cols)));
        const auto alpha =
            sized(buffers.alpha, static_cast<std::uint64_t>(alpha_bytes(scheme, rows.rows, rows.cols)));
        quantize_rows(rows, scheme, tile.row_begin, values, alpha);
        target.file->write_all(
            target.offset + static_cast<std::uint64_t>(codes_bytes(scheme, tile.row_begin, rows.cols)),
            values);
        target.file->write_all(
            target.alpha_offset + static_cast<std::uint64_t>(alpha_bytes(scheme, tile.row_begin, rows.cols)),
            alpha);
        return;
      }
      case Action::kBf16: {
        const auto values = sized(buffers.values, static_cast<std::uint64_t>(2 * rows.rows * rows.cols));
        convert_rows_bf16(rows, tile.row_begin, values);
        target.file->write_all(target.offset + 2 * row * static_cast<std::uint64_t>(rows.cols), values);
        return;
      }
      case Action::kF32: {
        const auto values = sized(buffers.values, static_cast<std::uint64_t>(4 * rows.rows * rows.cols));
        convert_rows_f32(rows, tile.row_begin, values);
        target.file->write_all(target.offset + 4 * row * static_cast<std::uint64_t>(rows.cols), values);
        return;
      }
      case Action::kDigest:
        return;
    }
  }

  const Plan& plan_;
  const Checkpoint& checkpoint_;
  const File& weight_file_;
  SourceDigest digest_;
  std::set<TensorId> digested_;
  std::vector<Target> targets_;
};

// Bytes of a worker's buffers for a tile of `binding` that is stored by `scheme`.
std::int64_t tile_memory(const Plan& plan, const Binding& binding, const QuantScheme& scheme) {
  const std::optional<TensorId> source = binding.plain_source();
  const std::int64_t value_bytes = source ? dtype_bytes(plan.checkpoint->tensor(*source).dtype) : 4;
  const std::int64_t row_bytes = binding.cols() * value_bytes;
  const std::int64_t rows = std::min(binding.rows(), tile_rows(binding.cols(), row_bytes));
  // What is no stored tensor as it stands is made from stored bytes in a second buffer.
  const std::int64_t num_reads = source ? 1 : 2;
  return num_reads * rows * row_bytes + codes_bytes(scheme, rows, binding.cols()) +
         alpha_bytes(scheme, rows, binding.cols());
}

}  // namespace

unsigned effective_threads(const ExportOptions& options) {
  if (options.threads > 0) return options.threads;
  // The processors this process may use, not those of the machine (containers, taskset).
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0)
    return std::max(1U, static_cast<unsigned>(CPU_COUNT(&set)));
  return std::max(1U, std::thread::hardware_concurrency());
}

std::uint64_t stream_memory_bytes(const Plan& plan, unsigned threads) {
  std::int64_t largest = 0;
  for (const mnn::LinearBlob& blob : plan.layout.linears) {
    largest = std::max(largest, tile_memory(plan, plan.lowered.weights[blob.weight].binding, blob.scheme));
  }
  if (!plan.embedding.file_name.empty()) {
    const bool bf16 = plan.embedding.kind == EmbeddingPlan::Kind::kBf16File;
    const QuantScheme scheme = bf16 ? QuantScheme{.bits = 16} : plan.embedding.scheme;
    largest = std::max(largest, tile_memory(plan, plan.spec.embed_tokens, scheme));
  }
  return checked_cast<std::uint64_t>(largest) * threads;
}

Digest128 stream_weights(const Plan& plan, const File& weight_file, const File* embedding_file,
                         StreamProgress& progress) {
  Streamer streamer(plan, weight_file, embedding_file);
  progress.total_bytes = streamer.total_bytes();
  streamer.write_constant_parts();
  streamer.run(effective_threads(plan.options), progress);
  plan.checkpoint->check_unchanged();
  return streamer.source_digest();
}

}  // namespace llm2mnn
