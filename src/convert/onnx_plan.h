#pragma once
// Everything that is decided before the weights of an ONNX package are read.

#include "base/hash.h"
#include "convert/plan.h"
#include "formats/onnx/onnx_package.h"

namespace llm2mnn {

struct OnnxPlan : PackagePlan {
  EmbeddingPlan embedding;  ///< embeddings_bf16.bin: what MNN's engine reads beside a converted llm.mnn
  onnx::DecoderFacts decoder;
  onnx::OnnxModel onnx;
  std::string genai_config_json;  ///< genai_config.json of the genai flavour; else empty

  struct TokenizerFile {
    std::string name, content;
  };
  std::vector<TokenizerFile> tokenizer_files;  ///< of the source, for onnxruntime-genai
};

/// @throws Error for everything that can be known to fail before the long work starts.
OnnxPlan make_onnx_plan(const ExportOptions& options);

/// What the graph of `facts`' model does not say; without names.
onnx::DecoderFacts decoder_facts(const ModelFacts& facts);

/// Digests of an ONNX package that its own file records.
struct OnnxDigests {
  Digest128 source;   ///< SourceDigest::finish()
  Digest128 weights;  ///< weights_digest
};

/// A digest over the names and values of the tensors inside llm.onnx and the digest of llm.onnx.data.
Digest128 weights_digest(const std::map<std::string, std::string, std::less<>>& inline_values,
                         const Digest128& data);

/// The bytes of llm.onnx: the graph and the record that `convert` reads. The size does not depend on the
/// digests.
std::string onnx_file_bytes(const OnnxPlan& plan, const OnnxDigests& digests);

}  // namespace llm2mnn
