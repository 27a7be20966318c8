// Any bytes as the record in an ONNX file's metadata: a record whose graph survives being written and read
// again and becomes an ONNX model, or one Error.

#include <cstdlib>

#include "convert/graph_json.h"
#include "convert/onnx_record.h"

namespace {

using namespace llm2mnn;

void require(bool condition) {
  if (!condition) std::abort();
}

void check(const OnnxRecord& record) {
  require(record.roles.size() == record.graph.weights.size());
  const std::string text = graph_json(record.graph).dump();
  require(ir::print(parse_graph(parse_json(text))) == ir::print(record.graph));
  // A conversion has compared this with the size of the file by now.
  constexpr std::uint64_t kMostConstants = 1 << 20;
  if (constant_bytes(record) > kMostConstants) return;
  recorded_model(record, [&](ir::WeightId id) {
    return std::vector<float>(static_cast<std::size_t>(record.graph.weights[id].shape.front()), 0.5F);
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    check(parse_onnx_record({reinterpret_cast<const char*>(data), size}));
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::kFormat || error.kind() == ErrorKind::kUnsupported);
    require(error.message().size() <= 900);
  }
  return 0;
}
