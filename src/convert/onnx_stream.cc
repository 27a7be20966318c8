#include "convert/onnx_stream.h"

#include "base/cancel.h"
#include "base/checked.h"
#include "convert/onnx_sinks.h"

namespace llm2mnn {
namespace {

std::vector<RowTarget> targets_of(const OnnxPlan& plan, const File& data_file, const File& embedding_file) {
  std::vector<RowTarget> targets;
  for (const onnx::MatrixBlob& blob : plan.onnx.layout.matrices) {
    const Binding& binding =
        blob.weight ? plan.model.lowered.weights[*blob.weight].binding : plan.model.embed_tokens;
    targets.push_back({&binding, onnx_sink(blob, plan.options.onnx, data_file)});
  }
  targets.push_back({&plan.embedding.values, float_sink(embedding_file, 0, DType::kBF16)});
  // The vectors went into the graph and the constants; here they only count for the digest.
  for (const LoweredWeight& weight : plan.model.lowered.weights)
    if (!weight.is_matrix && weight.role != WeightRole::kPositionEmbedding &&
        weight.role != WeightRole::kPerLayerEmbedding)
      targets.push_back({&weight.binding, nullptr});
  return targets;
}

}  // namespace

Digest128 stream_weights(const OnnxPlan& plan, const File& data_file, const File& embedding_file,
                         const std::function<void(std::uint64_t)>& on_prefix, StreamProgress& progress) {
  const onnx::DataLayout& layout = plan.onnx.layout;
  for (const onnx::ConstBlob& blob : layout.consts) {
    onnx::for_each_piece(blob, [&](std::uint64_t begin, std::span<const std::byte> piece) {
      throw_if_cancelled();
      data_file.write_all(blob.offset + begin, piece);
      return true;
    });
  }
  StreamOptions options;
  options.threads = effective_threads(plan.options);
  // Matrices lie in the file in the order in which they are streamed.
  options.on_finished = [&](std::size_t finished) {
    on_prefix(finished < layout.matrices.size() ? layout.matrices[finished].offset : layout.total_bytes);
  };
  return stream_rows(*plan.model.checkpoint, targets_of(plan, data_file, embedding_file), options, progress);
}

std::uint64_t stream_memory_bytes(const OnnxPlan& plan, unsigned threads) {
  const File none;
  return stream_memory_bytes(*plan.model.checkpoint, targets_of(plan, none, none), threads);
}

}  // namespace llm2mnn
