#pragma once
// Builds the FlatBuffer of one net, op by op. The only place that knows the wire format; private to this
// folder.

#include <cstddef>
#include <cstdint>
#include <flatbuffers/flatbuffers.h>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "formats/mnn/mnn_package.h"
#include "mnn_generated.h"

namespace llm2mnn::mnn {

/// Index into Net.tensorName.
using TensorId = std::int32_t;

/// A LayerNorm op's parameters.
struct NormParam {
  double eps = 0;
  bool rms = true;
  const NormBlob* blob = nullptr;  ///< gamma and beta in the weight file, or
  std::vector<float> gamma;        ///< gamma inline (inside a RoPE op)
};

struct RopeParam {
  std::int64_t rotary_dim = 0;
  std::int64_t num_attention_heads = 0;
  std::int64_t num_key_value_heads = 0;
  std::int64_t head_dim = 0;
  const NormParam* q_norm = nullptr;
  const NormParam* k_norm = nullptr;
};

struct AttentionParam {
  std::int64_t layer_idx = -1;  ///< -1: not written
  bool packed_output = false;
  TensorId sinks = -1;  ///< float [heads]; -1: none
};

struct LinearAttentionParam {
  std::string_view kind;
  std::int64_t num_key_heads = 0;
  std::int64_t num_value_heads = 0;
  std::int64_t key_dim = 0;
  std::int64_t value_dim = 0;
  bool normalises_qk = false;
};

/// Every maker appends one op and returns its output, named `name`; ops are named after their outputs. Inputs
/// must have been made before, so the ops come out in topological order.
class NetBuilder {
 public:
  TensorId input(std::string_view name, const std::vector<std::int32_t>& dims, fb::DataType dtype);
  /// Integer constants; equal ones are made once.
  TensorId scalar(std::int32_t value);
  TensorId vector1(std::int32_t value);
  TensorId vector(const std::vector<std::int32_t>& values);
  TensorId scalar(float value);
  /// float32 [rows, cols] in the weight file.
  TensorId external_table(std::string_view name, std::uint64_t offset, std::int64_t rows, std::int64_t cols);

  /// float32 of shape `dims` in the weight file.
  TensorId external_vector(std::string_view name, const VectorBlob& blob,
                           const std::vector<std::int64_t>& dims);

  TensorId reshape(std::string_view name, TensorId x, const std::vector<std::int64_t>& dims);
  TensorId convert(std::string_view name, TensorId x, fb::DataFormat from, fb::DataFormat to);
  TensorId binary(std::string_view name, fb::BinaryKind kind, TensorId a, TensorId b,
                  fb::DataType dtype = fb::DataType::FLOAT, fb::DataFormat format = fb::DataFormat::NCHW);
  TensorId unary(std::string_view name, fb::UnaryKind kind, TensorId x,
                 fb::DataFormat format = fb::DataFormat::NCHW);
  TensorId clamp(std::string_view name, TensorId x, float min, float max,
                 fb::DataFormat format = fb::DataFormat::NCHW);
  TensorId relu(std::string_view name, TensorId x, fb::DataFormat format = fb::DataFormat::NCHW);
  TensorId concat(std::string_view name, const std::vector<TensorId>& parts, std::int32_t axis);
  /// x repeated times[d] times along each axis d.
  TensorId tile(std::string_view name, TensorId x, const std::vector<std::int32_t>& times);
  /// `count` zeros behind x along axis 3 of 4.
  TensorId pad_channels(std::string_view name, TensorId x, std::int32_t count);
  /// Two equal halves along `axis`.
  std::pair<TensorId, TensorId> halves(std::string_view name, TensorId x, std::int32_t axis);
  /// Rows of `table` (axis 0) at `index`.
  TensorId gather_rows(std::string_view name, TensorId table, TensorId index);
  /// x[begin:end] along `axis`; `begin` and `end` are int32 [1].
  TensorId strided_slice(std::string_view name, TensorId x, TensorId begin, TensorId end, std::int32_t axis,
                         fb::DataFormat format = fb::DataFormat::NCHW);
  TensorId layer_norm(std::string_view name, TensorId x, const NormParam& param, fb::DataFormat format);
  /// (a + b, norm(a + b)) on packed tensors.
  std::pair<TensorId, TensorId> add_layer_norm(std::string_view op_name, std::string_view sum_name,
                                               std::string_view norm_name, TensorId a, TensorId b,
                                               const NormParam& param);
  TensorId linear(std::string_view name, TensorId x, const LinearBlob& blob);
  std::pair<TensorId, TensorId> rope(std::string_view op_name, std::string_view q_name,
                                     std::string_view k_name, TensorId q, TensorId k, TensorId cos,
                                     TensorId sin, const RopeParam& param);
  /// float32 constants inside the graph.
  TensorId float_vector(std::string_view name, const std::vector<std::int32_t>& dims,
                        const std::vector<float>& values);
  /// Over the last axis, as are the next two.
  TensorId softmax(std::string_view name, TensorId x);
  TensorId reduce(std::string_view name, fb::ReductionKind kind, TensorId x, bool keep_axis);
  /// The k largest, in descending order: values, and where they were (int32).
  std::pair<TensorId, TensorId> top_k(std::string_view op_name, std::string_view values_name,
                                      std::string_view indices_name, TensorId x, std::int64_t k);
  /// x[..., index[..., j]] for each j.
  TensorId gather_elements(std::string_view name, TensorId x, TensorId index);
  TensorId int_to_float(std::string_view name, TensorId x);
  /// [T, H] from x [T, H], weights [1, T, k] and indices [1, T, k]; the experts are sub-graphs named
  /// `expert_graph_name(layer, e)`.
  TensorId moe(std::string_view name, TensorId x, TensorId weights, TensorId indices, std::int64_t layer,
               std::int64_t num_experts, std::int64_t top_k);
  /// From here on ops go into a sub-graph with tensors of its own, until it ends.
  void begin_subgraph();
  void end_subgraph(const std::string& name, TensorId input, TensorId output);

  /// [..., M, N] of [..., M, K] and [..., K, N].
  TensorId mat_mul(std::string_view name, TensorId a, TensorId b);
  /// The two last of three axes change places.
  TensorId transpose(std::string_view name, TensorId x);
  /// [1, T, n, D] from x [1, C, T].
  TensorId linear_attention(std::string_view name, TensorId x, TensorId gate, TensorId beta, TensorId kernel,
                            const LinearAttentionParam& param);
  TensorId attention(std::string_view name, TensorId q, TensorId k, TensorId v, TensorId mask,
                     const AttentionParam& param);

  /// The finished buffer; the builder is spent.
  std::vector<std::byte> finish(const std::vector<std::string>& outputs);

 private:
  /// One list of ops and what they are made of: the net's own, or a sub-graph's.
  struct Scope {
    std::vector<flatbuffers::Offset<fb::Op>> ops;
    std::vector<std::string> tensor_names;
    std::unordered_set<std::string> used_names;
    std::map<std::string, TensorId, std::less<>> constants;
  };
  struct OpHead {
    std::string_view name;
    fb::OpType type = fb::OpType::Unset;
    std::vector<TensorId> inputs;
    std::vector<std::string_view> output_names;
    fb::DataFormat format = fb::DataFormat::NCHW;
  };
  /// Appends the op and returns the id of its first output; the others follow it.
  template <typename Param>
  TensorId add(const OpHead& head, flatbuffers::Offset<Param> param);
  TensorId add_op(const OpHead& head, fb::OpParameter tag, flatbuffers::Offset<void> param);
  TensorId new_tensor(std::string_view name);
  flatbuffers::Offset<fb::LayerNorm> layer_norm_table(const NormParam& param);
  flatbuffers::Offset<fb::IDSTQuan> quan_table(const LinearBlob& blob);

  flatbuffers::FlatBufferBuilder builder_;
  Scope scope_;
  std::optional<Scope> outer_;  // the net's own, while a sub-graph is made
  std::vector<flatbuffers::Offset<fb::SubGraphProto>> subgraphs_;
};

/// "/expert/3_17": how the runtime finds expert 17 of layer 3.
std::string expert_graph_name(std::int64_t layer, std::int64_t expert);

}  // namespace llm2mnn::mnn
