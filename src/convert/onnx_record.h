#pragma once
// What llm.onnx says of itself beyond ONNX: one JSON text in its metadata, from which `convert` makes the
// same package as an export of the checkpoint would.

#include <string>
#include <string_view>
#include <vector>

#include "convert/onnx_plan.h"

namespace llm2mnn {

/// Key of ModelProto.metadata_props.
inline constexpr std::string_view kRecordKey = "llm2mnn.config";

struct OnnxRecord {
  onnx::OnnxForm form;
  ir::Graph graph;
  std::vector<WeightRole> roles;          ///< parallel to graph.weights
  std::vector<std::string> weight_names;  ///< parallel to graph.weights
  std::string embedding_name;
  ModelFacts facts;
  std::string tokenizer_record;              ///< the manifest's "tokenizer"
  std::vector<std::string> tokenizer_notes;  ///< TokenizerPackage::notes
  std::string txt_limits;                    ///< TokenizerPackage::txt_limits
  std::int64_t tokenizer_vocab_size = 0;
  bool has_own_template = false;  ///< `--chat_template`
  bool allow_tokenizer_mismatch = false;
  std::string type;  ///< `--type`
  OnnxDigests digests;
};

/// The record of a plan. The size does not depend on the digests.
std::string make_onnx_record(const OnnxPlan& plan, const OnnxDigests& digests);

/// @throws Error(kFormat) for anything that make_onnx_record does not write, naming the key; the graph passes
/// ir::verify, its sizes are those of a model, and each weight is read once.
OnnxRecord parse_onnx_record(std::string_view text);

/// Bytes of all vectors and rotary tables: what recorded_model makes, and what the file must hold.
std::uint64_t constant_bytes(const OnnxRecord& record);

/// The model that the record describes.
/// @throws Error(kFormat) for a graph that no export makes (two values of one name, blocks that do not
/// divide).
onnx::OnnxModel recorded_model(const OnnxRecord& record, const onnx::VectorReader& read_vector);

}  // namespace llm2mnn
