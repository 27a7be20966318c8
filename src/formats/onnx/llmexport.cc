#include "formats/onnx/llmexport.h"

#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "formats/onnx/llmexport_names.h"
#include "formats/onnx/llmexport_walk.h"
#include "onnx.pb.h"

namespace llm2mnn::onnx {
namespace {

// Each value is made once, before it is used, and everything in the file leads to an output.
class Structure {
 public:
  explicit Structure(const OnnxFile& file) : file_(file), graph_(file.model().graph()) {}

  void check() {
    if (file_.model().functions_size() > 0)
      fail(ErrorKind::kUnsupported, "function {} is not known", shown(file_.model().functions(0).name()));
    for (const proto::ValueInfo& info : graph_.input())
      take_name(info.name(), "input");
    for (const StoredTensor& tensor : file_.tensors())
      take_name(tensor.name, "tensor");
    for (int i = 0; i < graph_.node_size(); ++i) {
      for (const std::string& name : graph_.node(i).output()) {
        if (!name.empty() && (names_.contains(name) || !makers_.emplace(name, i).second))
          refuse(graph_.node(i), fmt::format("{} is made twice", shown(name)));
      }
    }
    for (int i = 0; i < graph_.node_size(); ++i)
      check_inputs(i);
    check_all_used();
  }

 private:
  void take_name(const std::string& name, std::string_view what) {
    if (!names_.insert(name).second) fail(ErrorKind::kUnsupported, "{} {} is there twice", what, shown(name));
  }

  void check_inputs(int index) const {
    const proto::Node& node = graph_.node(index);
    for (const std::string& name : node.input()) {
      if (name.empty() || names_.contains(name)) continue;
      const auto maker = makers_.find(name);
      if (maker == makers_.end()) refuse(node, fmt::format("nobody makes its input {}", shown(name)));
      if (maker->second >= index)
        refuse(node,
               fmt::format("its input {} is made later, by {}: the nodes are in a cycle or out of order",
                           shown(name), node_text(graph_.node(maker->second))));
    }
  }

  void check_all_used() {
    std::unordered_set<std::string> used;
    for (const proto::ValueInfo& info : graph_.output()) {
      if (!makers_.contains(info.name()))
        fail(ErrorKind::kUnsupported, "output {}: no node makes it", shown(info.name()));
      used.insert(info.name());
    }
    for (int i = graph_.node_size() - 1; i >= 0; --i) {
      const proto::Node& node = graph_.node(i);
      const bool is_used = std::any_of(node.output().begin(), node.output().end(),
                                       [&](const std::string& name) { return used.contains(name); });
      // A node that nobody knows is refused as such.
      if (!is_used) unused_ = i;
      used.insert(node.input().begin(), node.input().end());
    }
    if (unused_ >= 0) refuse(graph_.node(unused_), "no output depends on it");
    for (const StoredTensor& tensor : file_.tensors())
      if (!used.contains(tensor.name))
        fail(ErrorKind::kUnsupported, "tensor {}: no node uses it", shown(tensor.name));
  }

  const OnnxFile& file_;
  const proto::Graph& graph_;
  std::unordered_set<std::string> names_;  // of inputs and initializers
  std::unordered_map<std::string, int> makers_;
  int unused_ = -1;
};

}  // namespace

bool is_llmexport(const OnnxFile& file) { return file.summary().opsets.contains("LlmExporter"); }

LlmexportModel read_llmexport(const OnnxFile& file, const TensorReader& read, std::int64_t num_positions) {
  Structure(file).check();
  WalkedGraph walked = Walk(file, read, num_positions).run();
  name_decoder(walked);
  ir::verify(walked.graph);
  return {std::move(walked.graph), std::move(walked.weights)};
}

}  // namespace llm2mnn::onnx
