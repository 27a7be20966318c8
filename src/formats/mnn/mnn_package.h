#pragma once
// The two big files of an MNN package. Layout first: every byte of `llm.mnn.weight` has its offset before any
// weight is read, so that tiles can be written in any order. Facts: MNN's schema (Net, Convolution2D,
// IDSTQuan, LayerNorm, ...).

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "ir/graph.h"
#include "tensor/quant_scheme.h"

namespace llm2mnn::mnn {

/// Graph forms of llm.mnn.
enum class GraphForm : std::uint8_t {
  kPacked,  ///< "form B": activations stay NC4HW4 through the stack; RoPE op, 2-in/2-out LayerNorm; runtime
            ///< >= 3.6.1
  kCompat,  ///< "form A": ops that exist since runtime 3.1
};

/// A linear's record: header, codes, alpha (scales and offsets), fp32 bias; one `Convolution2D.external`.
struct LinearBlob {
  ir::WeightId weight = 0;
  std::optional<ir::WeightId> bias;
  QuantScheme scheme;
  std::int64_t rows = 0;  ///< O
  std::int64_t cols = 0;  ///< I
  std::uint64_t offset = 0;
  std::vector<std::byte> header;  ///< of the quantised form; empty at 16 and 32 bits
  std::uint64_t codes_bytes = 0;
  std::uint64_t alpha_bytes = 0;
  std::uint64_t bias_bytes = 0;  ///< a 32-bit matrix always has a bias (zeros when the model has none)

  /// Whether the header's sizes take 32 bits instead of 16.
  bool has_wide_sizes() const { return rows > 0xFFFF || cols > 0xFFFF; }
  std::uint64_t codes_offset() const { return offset + header.size(); }
  std::uint64_t alpha_offset() const { return codes_offset() + codes_bytes; }
  std::uint64_t bias_offset() const { return alpha_offset() + alpha_bytes; }
  std::uint64_t end() const { return bias_offset() + bias_bytes; }
};

/// A norm: fp32 gamma, then fp32 beta (zeros when the norm has none); one `LayerNorm.external`. Head norms
/// that the packed form folds into its RoPE op have none: their gamma lies inside llm.mnn.
struct NormBlob {
  ir::WeightId gamma = 0;
  std::optional<ir::WeightId> beta;
  std::int64_t size = 0;
  std::uint64_t offset = 0;
  std::uint64_t end() const { return offset + 8u * static_cast<std::uint64_t>(size); }
};

/// A vector beside the ops that know one (ChannelScale, sinks of Attention): fp32; one `Blob.external`.
struct VectorBlob {
  ir::WeightId weight = 0;
  std::int64_t size = 0;
  std::uint64_t offset = 0;
  std::uint64_t end() const { return offset + 4u * static_cast<std::uint64_t>(size); }
};

/// A learned table of positions, fp32; one `Blob.external`.
struct TableBlob {
  ir::WeightId weight = 0;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::uint64_t offset = 0;
  std::uint64_t bytes() const {
    return 4 * static_cast<std::uint64_t>(rows) * static_cast<std::uint64_t>(cols);
  }
};

/// Bytes known at layout time (rotary tables); one `Blob.external`.
struct ConstBlob {
  std::uint64_t offset = 0;
  std::vector<std::byte> data;
  std::uint64_t end() const { return offset + data.size(); }
};

struct WeightFileLayout {
  std::vector<LinearBlob> linears;  ///< in graph order
  std::vector<NormBlob> norms;
  std::vector<VectorBlob> vectors;
  std::vector<TableBlob> tables;
  std::vector<ConstBlob> consts;
  std::uint64_t total_bytes = 0;
  std::unordered_map<ir::WeightId, std::size_t> linear_at;  ///< index into `linears`
  const LinearBlob& linear_of(ir::WeightId weight) const;
};

/// Lays out llm.mnn.weight without gaps or overlaps, for one form.
/// @param schemes  parallel to graph.weights; read for matrices only.
/// @throws Error(kUnsupported) for what the container cannot hold (a matrix of 2^31 weights or more, ...).
WeightFileLayout lay_out(const ir::Graph& graph, std::span<const QuantScheme> schemes, GraphForm form);

/// Values of a small vector weight, for what must be stored inside llm.mnn (q and k norms of the RoPE op).
using VectorReader = std::function<std::vector<float>(ir::WeightId)>;

/// The bytes of llm.mnn.
std::vector<std::byte> write_graph(const ir::Graph& graph, const WeightFileLayout& layout, GraphForm form,
                                   const VectorReader& read_vector);

/// The ops of an llm.mnn of ours, one a line.
std::string print_graph(std::span<const std::byte> bytes);

/// A runtime release, such as 3.6.1.
struct RuntimeVersion {
  int major = 0, minor = 0, patch = 0;
  // clang-tidy 14 takes the 0 of a defaulted comparison for a null pointer.
  friend auto operator<=>(const RuntimeVersion&,
                          const RuntimeVersion&) = default;  // NOLINT(modernize-use-nullptr)
  std::string text() const;
};
/// Oldest release that runs the graph and its weight file, and the feature that decides it.
struct RuntimeNeed {
  RuntimeVersion version;
  std::string because;
  /// Takes a newer `release`; an older or equal one changes nothing.
  void raise(RuntimeVersion release, std::string reason);
};
RuntimeNeed minimum_runtime(const ir::Graph& graph, const WeightFileLayout& layout, GraphForm form);

}  // namespace llm2mnn::mnn
