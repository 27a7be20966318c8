#pragma once
// Turns the semantic graph into runtime ops. What both graph forms share lives here; a form decides where a
// value lives and which op computes it. Private to this folder.
//
// A value [T, C] has up to three faces in the runtime, made on demand and at most once each:
//   plain   [1, T, C]        NCHW
//   heads   [1, T, n, Dh]    NCHW, C == n * Dh
//   packed  [T, C, 1, 1]     NC4HW4: what convolutions read and write

#include <cstdint>
#include <string>
#include <vector>

#include "formats/mnn/form_plan.h"
#include "formats/mnn/net_builder.h"
#include "ir/graph.h"

namespace llm2mnn::mnn {

class Emitter {
 public:
  Emitter(const ir::Graph& graph, const WeightFileLayout& layout, FormPlan plan,
          const VectorReader& read_vector);
  virtual ~Emitter() = default;
  Emitter(const Emitter&) = delete;
  Emitter& operator=(const Emitter&) = delete;

  std::vector<std::byte> run();

 protected:
  struct Faces {
    TensorId plain = kNone;
    TensorId heads = kNone;
    TensorId packed = kNone;
    std::int64_t channels = 0;
  };
  static constexpr TensorId kNone = -1;

  virtual void emit(std::size_t node, const ir::Norm& op) = 0;
  virtual void emit(std::size_t node, const ir::Add& op) = 0;
  virtual void emit(std::size_t node, const ir::RopeTable& op) = 0;
  virtual void emit(std::size_t node, const ir::Rope& op) = 0;
  virtual void emit(std::size_t node, const ir::Attention& op) = 0;
  virtual void emit(std::size_t node, const ir::SelectTokens& op) = 0;
  void emit(std::size_t node, const ir::Linear& op);
  void emit(std::size_t node, const ir::GatedUnit& op);
  void emit(std::size_t node, const ir::Multiply& op);
  void emit(std::size_t node, const ir::Scale& op);
  void emit(std::size_t node, const ir::ChannelScale& op);
  void emit(std::size_t node, const ir::Clamp& op);
  void emit(std::size_t node, const ir::Xielu& op);
  void emit(std::size_t node, const ir::Unary& op);
  void emit(std::size_t node, const ir::JoinHeads& op);
  void emit(std::size_t node, const ir::ShortConv& op);
  void emit(std::size_t node, const ir::GatedDelta& op);
  void emit(std::size_t node, const ir::ResizeHeads& op);
  void emit(std::size_t node, const ir::Route& op);
  void emit(std::size_t node, const ir::Experts& op);
  /// act(gate) * up of packed tensors, named `name`; `act_name` is for what comes in between.
  /// Packed gate and up within their limits.
  std::pair<TensorId, TensorId> limited(const std::string& prefix, const std::optional<ir::GluLimits>& limits,
                                        TensorId gate, TensorId up);
  virtual TensorId gated(const std::string& name, const std::string& act_name, ir::UnaryKind kind,
                         TensorId gate, TensorId up);
  void emit(std::size_t node, const ir::PositionEmbedding& op);
  void emit(std::size_t node, const ir::TokenEmbedding& op);
  void emit(std::size_t node, const ir::SliceChannels& op);
  void emit(std::size_t node, const ir::MixHeads& op);
  void emit(std::size_t node, const ir::RootMeanSquare& op);
  void emit(std::size_t node, const ir::Sparsify& op);

  /// ln(1 + exp x) of an NCHW tensor.
  TensorId softplus(const std::string& name, TensorId x);
  /// The face of a value, converted from one that exists.
  TensorId plain(ir::ValueId value);
  TensorId packed(ir::ValueId value);
  TensorId heads(ir::ValueId value, std::int64_t num_heads, std::int64_t head_dim);

  /// Names that the faces of a value get: the value's own, the runtime's for outputs it looks up.
  std::string plain_name(ir::ValueId value) const;
  std::string packed_name(ir::ValueId value) const;
  std::string heads_name(ir::ValueId value) const;
  void set_plain(ir::ValueId value, TensorId tensor, std::int64_t channels);
  void set_packed(ir::ValueId value, TensorId tensor, std::int64_t channels);
  void set_heads(ir::ValueId value, TensorId tensor, std::int64_t channels);

  TensorId apply_unary(const std::string& name, ir::UnaryKind kind, TensorId x, fb::DataFormat format);
  /// A norm computed on the plain (or heads) face: right for every kind of norm.
  void emit_plain_norm(const ir::Norm& op);
  NormParam stored_norm(const ir::Norm& op) const;
  const VectorBlob& stored_vector(ir::WeightId weight) const;
  /// Rows that `emit_plain_rope` multiplies with, as heads faces [1, T, 1, D]: cos is (c, c), sin is (-s, s).
  void emit_plain_rotary_rows(std::size_t node, const ir::RopeTable& op, TensorId cos_half,
                              TensorId sin_half);
  void emit_plain_rope(std::size_t node, const ir::Rope& op);
  void emit_plain_attention(std::size_t node, const ir::Attention& op);
  /// What an Attention op gets of the head's sinks, or kNone.
  TensorId sinks_of(std::size_t node, const ir::Attention& op);
  /// The mask of a layer: the graph's input, or its plane when the model mixes masks.
  TensorId mask_of(ir::MaskKind kind);
  /// cos and sin [T, D/2] of `table`, in float32 products of the stored tables.
  std::pair<TensorId, TensorId> emit_half_tables(const std::string& prefix, const ir::RopeTable& table);
  /// Rows of x along `axis` from logits_index on.
  TensorId select(const std::string& name, TensorId x, std::int32_t axis, fb::DataFormat format);

  const ir::Graph& graph_;
  const WeightFileLayout& layout_;
  const FormPlan plan_;
  const VectorReader& read_vector_;
  NetBuilder net_;
  std::vector<Faces> faces_;  // per value
  /// Value whose packed face is the runtime's `hidden_states`; otherwise its plain face is.
  bool hidden_states_packed_ = false;

 private:
  /// Positions inside a table, int32 [T], shared by all tables of one length; `high` is a position over
  /// ir::kRotarySplit and `low` the remainder.
  struct Positions {
    std::int64_t num_positions = 0;
    std::string prefix;
    TensorId clamped = kNone;
    TensorId high = kNone;
    TensorId low = kNone;
  };
  Positions& clamped_positions(std::int64_t num_positions);
  const Positions& split_positions(std::int64_t num_positions);
  TensorId position_op(const Positions& at, std::string_view name, fb::BinaryKind kind, TensorId a,
                       std::int64_t b);
  /// The packed face as NCHW, [T, C, 1, 1].
  TensorId unpacked(ir::ValueId value);
  /// `scores` [1, T, E] with 0 outside the best groups.
  TensorId keep_groups(const std::string& prefix, const ir::Route& op, TensorId scores);
  void emit_sparsemixer(const std::string& prefix, const ir::Route& op, TensorId logits);
  void emit_expert(const std::string& prefix, const ir::Experts& op, std::size_t expert);
  TensorId rotate(const std::string& prefix, ir::ValueId x, ir::ValueId y, std::int64_t num_heads,
                  const ir::Rope& op);
  void emit_inputs();
  /// Channels [begin, end) of a plain face.
  TensorId channels(const std::string& name, TensorId x, std::int64_t begin, std::int64_t end);

  TensorId embedded_ = kNone;  // what the engine hands over, [1, T, H], and behind it a TokenEmbedding's rows
  TensorId attention_mask_ = kNone;
  TensorId position_ids_ = kNone;
  TensorId logits_index_ = kNone;
  TensorId mask_planes_[2] = {kNone, kNone};  // by ir::MaskKind
  std::vector<Positions> positions_;
  std::size_t next_const_ = 0;  // into layout_.consts
};

/// "Form A": every op exists since runtime 3.1.
class CompatEmitter final : public Emitter {
 public:
  using Emitter::Emitter;

 private:
  void emit(std::size_t node, const ir::Norm& op) override;
  void emit(std::size_t node, const ir::Add& op) override;
  void emit(std::size_t node, const ir::RopeTable& op) override;
  void emit(std::size_t node, const ir::Rope& op) override;
  void emit(std::size_t node, const ir::Attention& op) override;
  void emit(std::size_t node, const ir::SelectTokens& op) override;
};

/// "Form B": activations stay packed from the first norm to the head; runtime 3.6.1.
class PackedEmitter final : public Emitter {
 public:
  PackedEmitter(const ir::Graph& graph, const WeightFileLayout& layout, FormPlan plan,
                const VectorReader& read_vector);

 private:
  void emit(std::size_t node, const ir::Norm& op) override;
  void emit(std::size_t node, const ir::Add& op) override;
  void emit(std::size_t node, const ir::RopeTable& op) override;
  void emit(std::size_t node, const ir::Rope& op) override;
  void emit(std::size_t node, const ir::Attention& op) override;
  void emit(std::size_t node, const ir::SelectTokens& op) override;

  TensorId gated(const std::string& name, const std::string& act_name, ir::UnaryKind kind, TensorId gate,
                 TensorId up) override;
  NormParam inline_norm(std::size_t node) const;
};

}  // namespace llm2mnn::mnn
