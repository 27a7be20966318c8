#include "convert/mnn_stream.h"

#include <set>

#include "base/checked.h"
#include "quant/rounding.h"

namespace llm2mnn {
namespace {

// Codes and alpha of a scheme.
class QuantizeSink final : public RowSink {
 public:
  QuantizeSink(const File& file, const QuantScheme& scheme, const QuantMethod& method,
               std::uint64_t codes_offset, std::uint64_t alpha_offset)
      : file_(file),
        scheme_(scheme),
        method_(method),
        codes_offset_(codes_offset),
        alpha_offset_(alpha_offset) {}

  void put(const WeightRows& rows, std::int64_t first_row, SinkBuffers& buffers) const override {
    const auto codes = sized(buffers.values, bytes_of_codes(rows.rows, rows.cols));
    const auto alpha = sized(buffers.more, bytes_of_alpha(rows.rows, rows.cols));
    quantize_rows(rows, scheme_, method_, first_row, codes, alpha);
    file_.write_all(codes_offset_ + bytes_of_codes(first_row, rows.cols), codes);
    file_.write_all(alpha_offset_ + bytes_of_alpha(first_row, rows.cols), alpha);
  }
  std::int64_t buffer_bytes(std::int64_t rows, std::int64_t cols) const override {
    return codes_bytes(scheme_, rows, cols) + alpha_bytes(scheme_, rows, cols) +
           scratch_bytes(scheme_, method_, cols);
  }

 private:
  std::uint64_t bytes_of_codes(std::int64_t rows, std::int64_t cols) const {
    return checked_cast<std::uint64_t>(codes_bytes(scheme_, rows, cols));
  }
  std::uint64_t bytes_of_alpha(std::int64_t rows, std::int64_t cols) const {
    return checked_cast<std::uint64_t>(alpha_bytes(scheme_, rows, cols));
  }

  const File& file_;
  QuantScheme scheme_;
  const QuantMethod& method_;
  std::uint64_t codes_offset_, alpha_offset_;
};

// Every weight in file order. With closed files (offsets only) it serves the estimate of memory, too.
std::vector<RowTarget> targets_of(const Plan& plan, const File& weight_file, const File& embedding_file) {
  std::vector<RowTarget> targets;
  std::set<const Binding*> streamed;
  const auto add = [&](const Binding& binding, std::unique_ptr<RowSink> sink) {
    streamed.insert(&binding);
    targets.push_back({&binding, std::move(sink)});
  };
  const auto add_floats = [&](ir::WeightId weight, std::uint64_t offset) {
    add(plan.model.lowered.weights[weight].binding, float_sink(weight_file, offset, DType::kF32));
  };
  for (const mnn::LinearBlob& blob : plan.layout.linears) {
    add(plan.model.lowered.weights[blob.weight].binding,
        std::make_unique<QuantizeSink>(weight_file, blob.scheme, *plan.method, blob.codes_offset(),
                                       blob.alpha_offset()));
    if (blob.bias) add_floats(*blob.bias, blob.bias_offset());
  }
  for (const mnn::NormBlob& blob : plan.layout.norms) {
    add_floats(blob.gamma, blob.offset);
    if (blob.beta) add_floats(*blob.beta, blob.offset + (blob.end() - blob.offset) / 2);
  }
  for (const mnn::VectorBlob& blob : plan.layout.vectors)
    add_floats(blob.weight, blob.offset);
  for (const mnn::TableBlob& blob : plan.layout.tables)
    add_floats(blob.weight, blob.offset);
  const EmbeddingPlan& embedding = plan.embedding;
  if (embedding.kind == EmbeddingPlan::Kind::kBf16File) {
    add(embedding.values, float_sink(embedding_file, 0, DType::kBF16));
  } else if (embedding.kind == EmbeddingPlan::Kind::kQuantFile) {
    add(embedding.values, std::make_unique<QuantizeSink>(embedding_file, embedding.scheme, *plan.method, 0,
                                                         embedding.codes_bytes));
  }
  // Vectors that went into the graph (norms of heads) only count for the digest.
  for (const LoweredWeight& weight : plan.model.lowered.weights)
    if (!weight.is_matrix && weight.role != WeightRole::kPerLayerEmbedding &&
        !streamed.contains(&weight.binding))
      add(weight.binding, nullptr);
  return targets;
}

void write_zeros(const File& file, std::uint64_t offset, std::uint64_t bytes) {
  if (bytes == 0) return;
  const std::vector<std::byte> zeros(bytes);
  file.write_all(offset, zeros);
}

void write_constant_parts(const mnn::WeightFileLayout& layout, const File& file) {
  for (const mnn::LinearBlob& blob : layout.linears) {
    file.write_all(blob.offset, blob.header);
    if (!blob.bias) write_zeros(file, blob.bias_offset(), blob.bias_bytes);
  }
  for (const mnn::NormBlob& blob : layout.norms) {
    const auto half = (blob.end() - blob.offset) / 2;
    if (!blob.beta) write_zeros(file, blob.offset + half, half);
  }
  for (const mnn::ConstBlob& blob : layout.consts)
    file.write_all(blob.offset, blob.data);
}

}  // namespace

Digest128 stream_weights(const Plan& plan, const File& weight_file, const File* embedding_file,
                         StreamProgress& progress) {
  const File none;
  write_constant_parts(plan.layout, weight_file);
  return stream_rows(
      *plan.model.checkpoint,
      targets_of(plan, weight_file, embedding_file == nullptr ? none : *embedding_file),
      {.threads = effective_threads(plan.options), .digests = !plan.source_digest, .on_finished = {}},
      progress);
}

std::uint64_t stream_memory_bytes(const Plan& plan, unsigned threads) {
  const File none;
  return stream_memory_bytes(*plan.model.checkpoint, targets_of(plan, none, none), threads);
}

}  // namespace llm2mnn
