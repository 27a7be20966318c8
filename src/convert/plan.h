#pragma once
// Everything that is decided before a weight is read: the canonical model, the graph, each matrix's scheme,
// the offset of every byte, the small files, the minimum runtime. `--dry_run` prints this and stops.

#include <string>
#include <vector>

#include "convert/package_plan.h"
#include "formats/mnn/mnn_package.h"
#include "quant/method.h"

namespace llm2mnn {

/// Where the runtime finds an embedding row.
struct EmbeddingPlan {
  enum class Kind : std::uint8_t {
    kTied,       ///< in lm_head's own blob of llm.mnn.weight
    kBf16File,   ///< embeddings_bf16.bin
    kQuantFile,  ///< embeddings_int8.bin or embeddings_int4.bin: codes, then fp32 scales
  };
  Kind kind = Kind::kBf16File;
  QuantScheme scheme;             ///< of kQuantFile and kTied
  std::string file_name;          ///< empty when tied
  Binding values;                 ///< [V, H], and behind a row that of the graph's TokenEmbedding
  std::int64_t rows = 0;          ///< V
  std::int64_t cols = 0;          ///< H, or more
  std::uint64_t codes_bytes = 0;  ///< of the file's first part (all of it for bf16)
  std::uint64_t alpha_bytes = 0;
  std::uint64_t file_bytes() const { return kind == Kind::kTied ? 0 : codes_bytes + alpha_bytes; }
};

/// Whether a matrix stays float in every scheme: it chooses or weighs, is small, and its rounding would be
/// felt.
bool stays_float(WeightRole role);
/// The embedding of `model` as embeddings_bf16.bin.
EmbeddingPlan bf16_embedding(const Model& model);

struct Plan : PackagePlan {
  std::vector<QuantScheme> schemes;  ///< parallel to the model's weights; meaningful for matrices
  const QuantMethod* method = nullptr;
  mnn::WeightFileLayout layout;
  EmbeddingPlan embedding;
  mnn::RuntimeNeed runtime;
  std::vector<std::byte> graph_bytes;  ///< llm.mnn

  double linear_bits_per_weight() const;  ///< over all matrices of llm.mnn.weight, scales included
};

/// Makes the plan. Reads headers, config and tokenizer, and the few small vectors that live inside llm.mnn;
/// no matrix.
/// @throws Error for everything that can be known to fail before the long work starts.
Plan make_plan(const ExportOptions& options);

/// The same for `convert`: `options.path` is an ONNX file or its directory.
Plan make_convert_plan(const ExportOptions& options);

}  // namespace llm2mnn
