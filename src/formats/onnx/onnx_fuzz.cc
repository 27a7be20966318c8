// Any bytes as an ONNX file: a file whose spans lie inside its data, compared with a tiny decoder, or one
// Error.

#include <algorithm>
#include <cstdlib>

#include "formats/onnx/onnx_file.h"
#include "formats/onnx/same_model.h"

namespace {

using namespace llm2mnn;

constexpr std::uint64_t kDataBytes = 20'000;  // of llm.onnx.data, the only data file there is

void require(bool condition) {
  if (!condition) std::abort();
}

// An embedding, a norm and a head.
const onnx::OnnxModel& tiny_model() {
  static const onnx::OnnxModel model = [] {
    ir::Graph graph;
    graph.hidden_size = 16;
    graph.vocab_size = 24;
    const ir::WeightId gamma = graph.add_weight("norm.weight", {16});
    const ir::WeightId head = graph.add_weight("lm_head.weight", {24, 16});
    graph.input = graph.add_value("/embed");
    graph.hidden_states = graph.add_value("/norm/output");
    const ir::ValueId selected = graph.add_value("/select/output");
    graph.logits = graph.add_value("/lm_head/output");
    graph.add_node("/norm",
                   ir::Norm{graph.input, graph.hidden_states, gamma, std::nullopt, true, 1e-6, 16, 1});
    graph.add_node("/select", ir::SelectTokens{graph.hidden_states, selected});
    graph.add_node("/lm_head", ir::Linear{selected, graph.logits, head, std::nullopt, 16, 24});
    onnx::DecoderFacts facts;
    facts.vocab_rows = 24;
    facts.weight_names = {"model.norm.weight", "lm_head.weight"};
    facts.embedding_name = "model.embed_tokens.weight";
    return onnx::build_model(graph, facts, {}, [](ir::WeightId) { return std::vector<float>(16, 1.0F); });
  }();
  return model;
}

void check_spans(const onnx::OnnxFile& file, std::uint64_t own_bytes) {
  for (std::size_t i = 0; i < file.tensors().size(); ++i) {
    const onnx::StoredTensor& tensor = file.tensors()[i];
    const std::uint64_t size = tensor.file_idx == 0 ? own_bytes : kDataBytes;
    require(tensor.file_idx < file.files().size());
    require(tensor.offset <= size && tensor.bytes <= size - tensor.offset);
    require(i == 0 || file.tensors()[i - 1].name < tensor.name);
    require(file.find(tensor.name) == &tensor);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const MemorySource source(std::as_bytes(std::span(data, size)));
  try {
    const auto file = onnx::OnnxFile::read(source, "fuzz.onnx", [](const std::string& location) {
      if (location != onnx::kDataName) fail(ErrorKind::kIo, "{} is not there", shown(location));
      return kDataBytes;
    });
    check_spans(file, size);
    const onnx::OnnxFile::Summary summary = file.summary();
    require(summary.ir_version == 0 || size > 0);
    file.metadata("llm2mnn.config");
    onnx::check_same_model(
        file, tiny_model(),
        [&](const onnx::StoredTensor& tensor, std::uint64_t offset, std::span<std::byte> out) {
          require(offset <= tensor.bytes && out.size() <= tensor.bytes - offset);
          if (tensor.file_idx == 0)
            source.read(tensor.offset + offset, out);
          else
            std::ranges::fill(out, std::byte{0});
        });
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::kFormat || error.kind() == ErrorKind::kUnsupported ||
            error.kind() == ErrorKind::kIo);
    require(error.message().size() <= 900);  // two names of 100 bytes, of which each may be an escape of four
  }
  return 0;
}
