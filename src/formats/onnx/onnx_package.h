#pragma once
// An ONNX decoder: `llm.onnx`, the graph, and `llm.onnx.data`, the weights. The graph is made first: every
// byte of the data file has its offset before any weight is read, so that tiles can be written in any order.
// Facts: ONNX's IR and operator documents, onnxruntime's contrib operators, MNN's converter.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"
#include "tensor/dtype.h"

namespace llm2mnn::onnx {

/// Who is to read the file.
enum class Flavour : std::uint8_t {
  kOne,   ///< onnxruntime and MNN's converter: four nodes are standard operators to the one and functions to
          ///< the other (docs/onnx.md)
  kOrt,   ///< standard operators only
  kGenai  ///< com.microsoft::GroupQueryAttention, what onnxruntime-genai is fastest with
};

/// How matrices are stored; lm_head, embedding, norms and biases are always floats.
enum class WeightForm : std::uint8_t {
  kFloat,
  kMatMulNBits,      ///< com.microsoft::MatMulNBits
  kDequantizeLinear  ///< standard operators: DequantizeLinear in front of MatMul
};

struct OnnxForm {
  Flavour flavour = Flavour::kOne;
  int opset = 17;
  DType dtype = DType::kF32;  ///< of stored floats: F32, or F16 that a Cast makes F32 again
  WeightForm weights = WeightForm::kFloat;
  int bits = 4;             ///< 4 or 8
  std::int64_t block = 32;  ///< weights per scale, along I
  int accuracy_level = 0;   ///< MatMulNBits: 0 float, 4 int8 activations

  friend bool operator==(const OnnxForm&, const OnnxForm&) = default;
};

inline constexpr int kLeastOpset = 17;
inline constexpr int kMostOpset = 23;
/// Weights per scale that onnxruntime computes with.
inline constexpr std::array<std::int64_t, 4> kQuantBlocks = {16, 32, 64, 128};
/// Of DequantizeLinear with blocks and of 4 bit types.
inline constexpr int kQuantOpset = 21;

/// What an ONNX decoder needs to know beyond the graph.
struct DecoderFacts {
  std::int64_t vocab_rows = 0;      ///< rows of the embedding table
  bool tied = false;                ///< lm_head is the embedding table
  std::int64_t sliding_window = 0;  ///< keys a query of a sliding layer sees, itself included
  std::int64_t num_positions = 0;   ///< rows of GroupQueryAttention's rotary caches
  /// Names of the initializers, parallel to the graph's weights: those of the checkpoint where a weight is
  /// one of its tensors. Unique, the embedding's included.
  std::vector<std::string> weight_names;
  std::string embedding_name;
};

/// How the values of a matrix [O, I] lie in llm.onnx.data.
enum class MatrixLayout : std::uint8_t {
  kRows,             ///< [O, I]: the embedding table
  kTransposed,       ///< [I, O]
  kMatMulNBits,      ///< codes [O, I/block, block*bits/8], scales [O, I/block], zero points [O, ...]
  kDequantizeLinear  ///< codes [I, O], scales and zero points [I/block, O]
};

struct MatrixBlob {
  std::string name;  ///< of the initializer, or of its codes
  std::string scales_name, zero_points_name;
  std::optional<ir::WeightId> weight;  ///< empty: the embedding table
  MatrixLayout layout = MatrixLayout::kTransposed;
  std::int64_t rows = 0;  ///< O
  std::int64_t cols = 0;  ///< I
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;  ///< of values or codes
  std::uint64_t scales_offset = 0;
  std::uint64_t zero_points_offset = 0;
};

/// Makes the bytes of a blob from `begin` on, whole values.
using BytesMaker = std::function<void(std::uint64_t begin, std::span<std::byte> out)>;

/// Bytes known before any matrix is read. They are made where they are wanted: a cache of cosines can be
/// larger than all else that an export holds.
struct ConstBlob {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  BytesMaker make;
};

/// A blob of bytes at hand.
ConstBlob held_blob(std::uint64_t offset, std::string data);

/// Calls `use` with the bytes of a blob, a piece at a time, in order, until it returns false.
void for_each_piece(const ConstBlob& blob,
                    const std::function<bool(std::uint64_t begin, std::span<const std::byte> piece)>& use);

/// llm.onnx.data; what no blob covers is zero.
struct DataLayout {
  std::vector<MatrixBlob> matrices;
  std::vector<ConstBlob> consts;
  std::uint64_t total_bytes = 0;
};

inline constexpr const char* kDataName = "llm.onnx.data";

struct OnnxModel {
  std::string bytes;  ///< llm.onnx without metadata
  /// Values of the tensors inside it, by name: small ones.
  std::map<std::string, std::string, std::less<>> inline_values;
  DataLayout layout;
};

/// Values of a vector weight (bias, gamma, beta).
using VectorReader = std::function<std::vector<float>(ir::WeightId)>;

/// The whole graph. Precondition: `form` passes check_form.
/// @throws Error(kUnsupported) for what this form cannot express, by node.
OnnxModel build_model(const ir::Graph& graph, const DecoderFacts& facts, const OnnxForm& form,
                      const VectorReader& read_vector);

/// @throws Error(kInvalidArgument) naming the flag (--onnx_opset, --dtype, --onnx_quant, ...) and the remedy.
void check_form(const OnnxForm& form);

/// The nodes of a model of ours, one a line.
std::string print_model(const OnnxModel& model);

/// `bytes` of a model with the version of its producer and one more entry of metadata_props.
std::string with_metadata(std::string bytes, std::string_view producer_version, std::string_view key,
                          std::string_view value);

/// "one", "ort", "genai"; "float", "matmulnbits", "qdq".
std::string_view flavour_name(Flavour flavour);
std::string_view weight_form_name(WeightForm form);
/// "fp32", "linear layers: 4 bit, block 32 (MatMulNBits, int8 activations); lm_head and embedding: fp32".
std::string weights_text(const OnnxForm& form);

}  // namespace llm2mnn::onnx
