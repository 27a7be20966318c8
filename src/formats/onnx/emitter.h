#pragma once
// The semantic graph as ONNX nodes. Private to this folder.
//
// A value [T, C] of the graph has up to two faces, made on demand: rows [B, S, C] and heads [B, S, n, Dh],
// with B the batch, S the tokens now and `total` the keys, past ones included. Every reshape copies the batch
// (0), so that onnxruntime keeps its own and MNN's engine its 1.

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "formats/onnx/model_builder.h"

namespace llm2mnn::onnx {

class Emitter {
 public:
  Emitter(const ir::Graph& graph, const DecoderFacts& facts, const OnnxForm& form,
          const VectorReader& read_vector);

  OnnxModel run();

 private:
  struct Faces {
    std::string rows, heads;  // empty: not made yet
    std::int64_t channels = 0;
  };
  /// What an Attention of GroupQueryAttention needs of the Rope in front of it.
  struct RotaryCache {
    std::string cos, sin;
  };

  void emit_front();
  /// Rows of one embedding and, of the flavour for MNN's engine, of all of them, one behind the other.
  void emit_lookup();
  void add_table(std::string name, std::optional<ir::WeightId> weight, std::int64_t rows, std::int64_t cols);
  void look_up(const std::string& table, const std::string& output);
  std::string channels(const std::string& x, std::int64_t begin, std::int64_t end, const std::string& output);
  /// Marks the linear layers whose outputs choose or mix: they are never quantised.
  void mark_routers();
  void emit_masks();
  void emit(const ir::Linear& op);
  void emit(const ir::Norm& op);
  void emit(const ir::Add& op);
  void emit(const ir::Multiply& op);
  void emit(const ir::Scale& op);
  void emit(const ir::ChannelScale& op);
  void emit(const ir::Clamp& op);
  void emit(const ir::Xielu& op);
  void emit(const ir::Unary& op);
  void emit(const ir::GatedUnit& op);
  void emit(const ir::JoinHeads& op);
  [[noreturn]] static void emit(const ir::ShortConv& op);
  [[noreturn]] static void emit(const ir::GatedDelta& op);
  void emit(const ir::ResizeHeads& op);
  void emit(const ir::RopeTable& op);
  void emit(const ir::PositionEmbedding& op);
  void emit(const ir::TokenEmbedding& op);
  void emit(const ir::SliceChannels& op);
  void emit(const ir::MixHeads& op);
  void emit(const ir::RootMeanSquare& op);
  void emit(const ir::Sparsify& op);
  void emit(const ir::Rope& op);
  void emit(const ir::Attention& op);
  void emit(const ir::Route& op);
  void emit(const ir::Experts& op);
  void emit(const ir::SelectTokens& op);

  /// The nodes of a Linear on rows `x`; `prefix` and `name` are those of its output.
  std::string apply_linear(const ir::Linear& op, const std::string& prefix, const std::string& name,
                           const std::string& x);
  /// Reduces the last axis.
  std::string reduce_last(std::string_view op_type, const std::string& x, const std::string& name, bool keep);
  /// Values of the k largest along the last axis; `indices` is the name of where they were.
  std::string top_k(const std::string& x, std::int64_t k, const std::string& values,
                    const std::string& indices);
  std::string keep_groups(const std::string& prefix, const ir::Route& op, const std::string& scores);
  void emit_sparsemixer(const std::string& prefix, const ir::Route& op, const std::string& logits);
  /// act(gate) * up within their limits.
  std::string gated(const std::string& name, const std::string& gate_name, ir::UnaryKind kind,
                    const std::optional<ir::GluLimits>& limits, const std::string& gate,
                    const std::string& up);
  /// x in the given activation; `name` is the output's.
  std::string activation(const std::string& name, ir::UnaryKind kind, const std::string& x);
  /// A reduction over the last axis, which stays.
  std::string reduce_last(const char* kind, const std::string& x, const std::string& name);
  std::string rms_norm(const std::string& name, const std::string& x, const ir::Norm& op);
  std::string layer_norm(const std::string& name, const std::string& x, const ir::Norm& op);
  std::string rotate(const std::string& name, const std::string& x, const ir::Rope& op);
  std::string capped(const std::string& name, const std::string& scores, const ir::Attention& op);
  /// Whether GroupQueryAttention rotates: it must be the next to read both values.
  bool attention_rotates(const ir::Rope& op) const;
  void emit_rotary_cache(const ir::RopeTable& op);
  void check_group_query_attention(const ir::Attention& op) const;
  void emit_group_query_attention(const ir::Attention& op);
  /// Probabilities [B, Hq, S, T] of masked scores.
  std::string probabilities(const std::string& name, const std::string& masked, const std::string& queries,
                            const ir::Attention& op);
  /// Keys or values with the past in front, repeated for each query head.
  std::string with_past(const std::string& name, std::string_view kind, const std::string& now,
                        const ir::Attention& op, bool transposed);
  /// The matrix of a Linear as MatMul wants it, [I, O]; made of a quantised form when there is one.
  std::string matrix(const std::string& prefix, const ir::Linear& op);
  bool is_quantised(const ir::Linear& op) const;
  bool is_head(const ir::Linear& op) const;
  /// What both quantised forms say of a matrix; the names of its three tensors end in `suffix`.
  MatrixBlob coded_blob(const ir::Linear& op, MatrixLayout layout, std::string_view suffix) const;
  std::string mat_mul_n_bits(const std::string& output, const ir::Linear& op, const std::string& x);
  std::string dequantised(const std::string& prefix, const ir::Linear& op);
  std::string vector(ir::WeightId id);
  const std::string& mask_of(ir::MaskKind kind) const;

  std::string rows(ir::ValueId value);
  std::string heads(ir::ValueId value, std::int64_t num_heads, std::int64_t head_dim);
  std::string rows_name(ir::ValueId value) const;
  const std::string& value_name(ir::ValueId value) const { return graph_.values[value].name; }
  void set_rows(ir::ValueId value, std::string name, std::int64_t channels);
  void set_heads(ir::ValueId value, std::string name, std::int64_t channels);

  const ir::Graph& graph_;
  const DecoderFacts& facts_;
  const OnnxForm form_;
  const VectorReader& read_vector_;
  GraphBuilder net_;
  std::vector<Faces> faces_;  // per value
  std::vector<std::optional<RotaryCache>>
      caches_;                   // per value: the table of a RopeTable's cos, then of a Rope's q_out
  std::vector<bool> is_router_;  // per weight: its logits choose experts
  std::string mask_, sliding_mask_;
  std::string logits_index_;
};

/// Names of the cache of a layer, `kind` "key" or "value".
std::string past_name(std::int64_t layer, std::string_view kind);
std::string present_name(std::int64_t layer, std::string_view kind);

/// The open end of a slice; MNN's converter clamps wider numbers anyway.
inline constexpr std::int64_t kOpenEnd = std::numeric_limits<std::int32_t>::max();

inline constexpr const char* kDomain = "org.llm2mnn";
inline constexpr const char* kMicrosoftDomain = "com.microsoft";

}  // namespace llm2mnn::onnx
