#include "formats/mnn/net_builder.h"

#include <bit>
#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/checked.h"
#include "base/error.h"

namespace llm2mnn::mnn {
namespace {

std::int32_t to_int(std::int64_t value) { return checked_cast<std::int32_t>(value); }

std::vector<std::int32_t> to_ints(const std::vector<std::int64_t>& values) {
  std::vector<std::int32_t> ints;
  ints.reserve(values.size());
  for (const std::int64_t value : values)
    ints.push_back(to_int(value));
  return ints;
}

std::vector<std::int64_t> external_of(std::initializer_list<std::uint64_t> numbers) {
  std::vector<std::int64_t> out;
  for (const std::uint64_t number : numbers)
    out.push_back(checked_cast<std::int64_t>(number));
  return out;
}

constexpr std::int32_t kQuantisedBlob = 1;  // IDSTQuan.type: header and codes
constexpr std::int32_t kHalfBlob = 3;       // IDSTQuan.type: IEEE halves
constexpr std::int32_t kOnnxSlice = 1;      // StridedSliceParam.fromType: data, begin, end, axes, steps

}  // namespace

TensorId NetBuilder::new_tensor(std::string_view name) {
  // The runtime binds tensors by name: two of one name would be one.
  LLM2MNN_CHECK(scope_.used_names.insert(std::string(name)).second);
  scope_.tensor_names.emplace_back(name);
  return checked_cast<TensorId>(scope_.tensor_names.size() - 1);
}

TensorId NetBuilder::add_op(const OpHead& head, fb::OpParameter tag, flatbuffers::Offset<void> param) {
  std::vector<TensorId> outputs;
  for (const std::string_view name : head.output_names)
    outputs.push_back(new_tensor(name));
  const auto inputs_offset = head.inputs.empty() ? 0 : builder_.CreateVector(head.inputs);
  const auto outputs_offset = builder_.CreateVector(outputs);
  const auto name_offset = builder_.CreateString(head.name.data(), head.name.size());
  scope_.ops.push_back(
      fb::CreateOp(builder_, inputs_offset, tag, param, name_offset, outputs_offset, head.type, head.format));
  return outputs.front();
}

template <typename Param>
TensorId NetBuilder::add(const OpHead& head, flatbuffers::Offset<Param> param) {
  return add_op(head, fb::OpParameterTraits<Param>::enum_value, param.Union());
}

TensorId NetBuilder::input(std::string_view name, const std::vector<std::int32_t>& dims, fb::DataType dtype) {
  const auto param = fb::CreateInputDirect(builder_, &dims, dtype, fb::DataFormat::NCHW);
  return add({name, fb::OpType::Input, {}, {name}}, param);
}

TensorId NetBuilder::scalar(std::int32_t value) {
  const std::string name = fmt::format("/const/int/{}", value);
  if (const auto found = scope_.constants.find(name); found != scope_.constants.end()) return found->second;
  fb::BlobT blob;
  blob.dataType = fb::DataType::INT32;
  blob.int32s = {value};
  return scope_.constants[name] = add({name, fb::OpType::Const, {}, {name}}, fb::CreateBlob(builder_, &blob));
}

TensorId NetBuilder::vector1(std::int32_t value) { return vector({value}); }

TensorId NetBuilder::vector(const std::vector<std::int32_t>& values) {
  const std::string name = fmt::format("/const/int{}/{}", values.size(), fmt::join(values, "_"));
  if (const auto found = scope_.constants.find(name); found != scope_.constants.end()) return found->second;
  fb::BlobT blob;
  blob.dims = {checked_cast<std::int32_t>(values.size())};
  blob.dataType = fb::DataType::INT32;
  blob.int32s = values;
  return scope_.constants[name] = add({name, fb::OpType::Const, {}, {name}}, fb::CreateBlob(builder_, &blob));
}

TensorId NetBuilder::scalar(float value) {
  const std::string name = fmt::format("/const/float/{:08x}", std::bit_cast<std::uint32_t>(value));
  if (const auto found = scope_.constants.find(name); found != scope_.constants.end()) return found->second;
  fb::BlobT blob;
  blob.dataType = fb::DataType::FLOAT;
  blob.float32s = {value};
  return scope_.constants[name] = add({name, fb::OpType::Const, {}, {name}}, fb::CreateBlob(builder_, &blob));
}

TensorId NetBuilder::external_table(std::string_view name, std::uint64_t offset, std::int64_t rows,
                                    std::int64_t cols) {
  fb::BlobT param;
  param.dims = {to_int(rows), to_int(cols)};
  param.dataType = fb::DataType::FLOAT;
  param.external = external_of({offset, sizeof(float) * checked_cast<std::uint64_t>(rows * cols)});
  return add({name, fb::OpType::Const, {}, {name}}, fb::CreateBlob(builder_, &param));
}

TensorId NetBuilder::external_vector(std::string_view name, const VectorBlob& blob,
                                     const std::vector<std::int64_t>& dims) {
  fb::BlobT param;
  param.dims = to_ints(dims);
  param.dataType = fb::DataType::FLOAT;
  param.external = external_of({blob.offset, blob.end() - blob.offset});
  return add({name, fb::OpType::Const, {}, {name}}, fb::CreateBlob(builder_, &param));
}

TensorId NetBuilder::reshape(std::string_view name, TensorId x, const std::vector<std::int64_t>& dims) {
  const std::vector<std::int32_t> dims32 = to_ints(dims);
  const auto param = fb::CreateReshapeDirect(builder_, &dims32, fb::DataFormat::NCHW);
  return add({name, fb::OpType::Reshape, {x}, {name}}, param);
}

TensorId NetBuilder::convert(std::string_view name, TensorId x, fb::DataFormat from, fb::DataFormat to) {
  return add({name, fb::OpType::ConvertTensor, {x}, {name}}, fb::CreateTensorConvertInfo(builder_, from, to));
}

TensorId NetBuilder::binary(std::string_view name, fb::BinaryKind kind, TensorId a, TensorId b,
                            fb::DataType dtype, fb::DataFormat format) {
  return add({name, fb::OpType::BinaryOp, {a, b}, {name}, format}, fb::CreateBinaryOp(builder_, kind, dtype));
}

TensorId NetBuilder::unary(std::string_view name, fb::UnaryKind kind, TensorId x, fb::DataFormat format) {
  return add({name, fb::OpType::UnaryOp, {x}, {name}, format},
             fb::CreateUnaryOp(builder_, kind, fb::DataType::FLOAT));
}

TensorId NetBuilder::clamp(std::string_view name, TensorId x, float min, float max, fb::DataFormat format) {
  return add({name, fb::OpType::ReLU6, {x}, {name}, format}, fb::CreateRelu6(builder_, min, max));
}

TensorId NetBuilder::relu(std::string_view name, TensorId x, fb::DataFormat format) {
  return add({name, fb::OpType::ReLU, {x}, {name}, format}, fb::CreateRelu(builder_, 0.0F));
}

TensorId NetBuilder::concat(std::string_view name, const std::vector<TensorId>& parts, std::int32_t axis) {
  return add({name, fb::OpType::Concat, parts, {name}}, fb::CreateAxis(builder_, axis));
}

TensorId NetBuilder::tile(std::string_view name, TensorId x, const std::vector<std::int32_t>& times) {
  const TensorId multiples = vector(times);
  return add_op({name, fb::OpType::Tile, {x, multiples}, {name}}, fb::OpParameter::NONE, 0);
}

TensorId NetBuilder::pad_channels(std::string_view name, TensorId x, std::int32_t count) {
  // Zeros before and behind each axis. Without a parameter the op pads with zeros.
  const TensorId pads = vector({0, 0, 0, 0, 0, 0, 0, count});
  return add_op({name, fb::OpType::Padding, {x, pads}, {name}}, fb::OpParameter::NONE, 0);
}

std::pair<TensorId, TensorId> NetBuilder::halves(std::string_view name, TensorId x, std::int32_t axis) {
  // No slice points and the TensorFlow source: an equal split over the outputs.
  const auto param = fb::CreateSlice(builder_, axis, 0, fb::NetSource::TENSORFLOW);
  const std::string first_name = fmt::format("{}/first", name);
  const std::string second_name = fmt::format("{}/second", name);
  const TensorId first = add({name, fb::OpType::Slice, {x}, {first_name, second_name}}, param);
  return {first, first + 1};
}

TensorId NetBuilder::gather_rows(std::string_view name, TensorId table, TensorId index) {
  const TensorId axis = scalar(std::int32_t{0});
  const auto param =
      fb::CreateGatherV2(builder_, fb::DataType::INT32, fb::DataType::INT32, fb::DataType::FLOAT);
  return add({name, fb::OpType::GatherV2, {table, index, axis}, {name}}, param);
}

TensorId NetBuilder::strided_slice(std::string_view name, TensorId x, TensorId begin, TensorId end,
                                   std::int32_t axis, fb::DataFormat format) {
  const TensorId axes = vector1(axis);
  const TensorId steps = vector1(1);
  const auto param = fb::CreateStridedSliceParam(builder_, fb::DataType::INT32, fb::DataType::FLOAT, 0, 0, 0,
                                                 0, 0, kOnnxSlice);
  return add({name, fb::OpType::StridedSlice, {x, begin, end, axes, steps}, {name}, format}, param);
}

flatbuffers::Offset<fb::LayerNorm> NetBuilder::layer_norm_table(const NormParam& param) {
  const std::vector<std::int32_t> axis{-1};
  std::vector<std::int64_t> external;
  if (param.blob != nullptr) {
    const std::uint64_t bytes = 4 * checked_cast<std::uint64_t>(param.blob->size);
    external = external_of({param.blob->offset, bytes, bytes});
  }
  return fb::CreateLayerNormDirect(builder_, &axis, static_cast<float>(param.eps),
                                   param.gamma.empty() ? nullptr : &param.gamma, nullptr, 1,
                                   external.empty() ? nullptr : &external, param.rms);
}

TensorId NetBuilder::layer_norm(std::string_view name, TensorId x, const NormParam& param,
                                fb::DataFormat format) {
  return add({name, fb::OpType::LayerNorm, {x}, {name}, format}, layer_norm_table(param));
}

std::pair<TensorId, TensorId> NetBuilder::add_layer_norm(std::string_view op_name, std::string_view sum_name,
                                                         std::string_view norm_name, TensorId a, TensorId b,
                                                         const NormParam& param) {
  const OpHead head{op_name, fb::OpType::LayerNorm, {a, b}, {sum_name, norm_name}, fb::DataFormat::NC4HW4};
  const TensorId sum = add(head, layer_norm_table(param));
  return {sum, sum + 1};
}

flatbuffers::Offset<fb::IDSTQuan> NetBuilder::quan_table(const LinearBlob& blob) {
  fb::IDSTQuanT quan;
  quan.quantScale = 1.0F;
  if (blob.scheme.bits == 16) {
    quan.type = kHalfBlob;
    return fb::CreateIDSTQuan(builder_, &quan);
  }
  quan.type = kQuantisedBlob;
  quan.aMaxOrBits = blob.scheme.bits;
  quan.shapeInt32 = blob.has_wide_sizes();
  quan.scaleStorage =
      blob.scheme.scale_type == ScaleType::kF16 ? fb::ScaleStorage::FP16 : fb::ScaleStorage::FP32;
  if (!blob.scheme.symmetric) {
    quan.aMin = 1;  // > 0: the stored offset is the weight of code 0
    quan.readType = to_int(blob.rows * num_groups(blob.scheme, blob.cols));
  }
  return fb::CreateIDSTQuan(builder_, &quan);
}

TensorId NetBuilder::linear(std::string_view name, TensorId x, const LinearBlob& blob) {
  fb::Convolution2DCommonT common;
  common.outputCount = to_int(blob.rows);
  common.inputCount = to_int(blob.cols);
  const auto common_offset = fb::CreateConvolution2DCommon(builder_, &common);
  const bool is_plain = blob.scheme.bits == 32;
  const auto quan_offset = is_plain ? 0 : quan_table(blob);
  const std::uint64_t weight_bytes = blob.header.size() + blob.codes_bytes;
  const std::vector<std::int64_t> external =
      is_plain ? external_of({blob.offset, weight_bytes, blob.bias_bytes})
               : external_of({blob.offset, weight_bytes, blob.alpha_bytes, blob.bias_bytes, 0});
  const auto external_offset = builder_.CreateVector(external);
  fb::Convolution2DBuilder conv(builder_);
  conv.add_common(common_offset);
  if (!is_plain) conv.add_quanParameter(quan_offset);
  conv.add_external(external_offset);
  const flatbuffers::Offset<fb::Convolution2D> param = conv.Finish();
  return add({name, fb::OpType::Convolution, {x}, {name}, fb::DataFormat::NC4HW4}, param);
}

std::pair<TensorId, TensorId> NetBuilder::rope(std::string_view op_name, std::string_view q_name,
                                               std::string_view k_name, TensorId q, TensorId k, TensorId cos,
                                               TensorId sin, const RopeParam& param) {
  const auto q_norm = param.q_norm != nullptr ? layer_norm_table(*param.q_norm) : 0;
  const auto k_norm = param.k_norm != nullptr ? layer_norm_table(*param.k_norm) : 0;
  const auto table =
      fb::CreateRoPEParam(builder_, to_int(param.rotary_dim), to_int(param.num_attention_heads),
                          to_int(param.num_key_value_heads), to_int(param.head_dim), q_norm, k_norm);
  const TensorId first =
      add({op_name, fb::OpType::RoPE, {q, k, cos, sin}, {q_name, k_name}, fb::DataFormat::NC4HW4}, table);
  return {first, first + 1};
}

TensorId NetBuilder::transpose(std::string_view name, TensorId x) {
  const std::vector<std::int32_t> dims{0, 2, 1};
  return add({name, fb::OpType::Permute, {x}, {name}}, fb::CreatePermuteDirect(builder_, &dims));
}

TensorId NetBuilder::linear_attention(std::string_view name, TensorId x, TensorId gate, TensorId beta,
                                      TensorId kernel, const LinearAttentionParam& param) {
  const auto kind = builder_.CreateString(param.kind.data(), param.kind.size());
  const auto table = fb::CreateLinearAttentionParam(builder_, kind, to_int(param.num_key_heads),
                                                    to_int(param.num_value_heads), to_int(param.key_dim),
                                                    to_int(param.value_dim), param.normalises_qk);
  return add({name, fb::OpType::LinearAttention, {x, gate, beta, kernel}, {name}}, table);
}

TensorId NetBuilder::attention(std::string_view name, TensorId q, TensorId k, TensorId v, TensorId mask,
                               const AttentionParam& param) {
  const auto table =
      fb::CreateAttentionParam(builder_, true, 0, to_int(param.layer_idx), -1, 0, param.packed_output, 0.0F);
  std::vector<TensorId> inputs{q, k, v, mask};
  if (param.sinks >= 0) inputs.push_back(param.sinks);
  return add({name, fb::OpType::Attention, std::move(inputs), {name}}, table);
}

TensorId NetBuilder::float_vector(std::string_view name, const std::vector<std::int32_t>& dims,
                                  const std::vector<float>& values) {
  fb::BlobT blob;
  blob.dims = dims;
  blob.dataType = fb::DataType::FLOAT;
  blob.float32s = values;
  return add({name, fb::OpType::Const, {}, {name}}, fb::CreateBlob(builder_, &blob));
}

TensorId NetBuilder::softmax(std::string_view name, TensorId x) {
  return add({name, fb::OpType::Softmax, {x}, {name}}, fb::CreateAxis(builder_, -1));
}

TensorId NetBuilder::reduce(std::string_view name, fb::ReductionKind kind, TensorId x, bool keep_axis) {
  const std::vector<std::int32_t> axis{-1};
  return add({name, fb::OpType::Reduction, {x}, {name}},
             fb::CreateReductionParamDirect(builder_, kind, &axis, 0.0F, keep_axis));
}

TensorId NetBuilder::mat_mul(std::string_view name, TensorId a, TensorId b) {
  return add({name, fb::OpType::BatchMatMul, {a, b}, {name}}, fb::CreateBatchMatMulParam(builder_));
}

std::pair<TensorId, TensorId> NetBuilder::top_k(std::string_view op_name, std::string_view values_name,
                                                std::string_view indices_name, TensorId x, std::int64_t k) {
  const TensorId count = vector1(to_int(k));
  const TensorId axis = scalar(std::int32_t{-1});
  const auto param = fb::CreateTopKV2(builder_, fb::DataType::FLOAT, true, true);
  const TensorId first =
      add({op_name, fb::OpType::TopKV2, {x, count, axis}, {values_name, indices_name}}, param);
  return {first, first + 1};
}

TensorId NetBuilder::gather_elements(std::string_view name, TensorId x, TensorId index) {
  const TensorId axis = scalar(std::int32_t{-1});
  return add_op({name, fb::OpType::GatherElements, {x, index, axis}, {name}}, fb::OpParameter::NONE, 0);
}

TensorId NetBuilder::int_to_float(std::string_view name, TensorId x) {
  return add({name, fb::OpType::Cast, {x}, {name}},
             fb::CreateCastParam(builder_, fb::DataType::INT32, fb::DataType::FLOAT));
}

std::string expert_graph_name(std::int64_t layer, std::int64_t expert) {
  return fmt::format("/expert/{}_{}", layer, expert);
}

TensorId NetBuilder::moe(std::string_view name, TensorId x, TensorId weights, TensorId indices,
                         std::int64_t layer, std::int64_t num_experts, std::int64_t top_k) {
  const auto attribute = [this](const char* key, std::int64_t value) {
    return fb::CreateAttributeDirect(builder_, nullptr, to_int(value), false, key);
  };
  const std::vector<flatbuffers::Offset<fb::Attribute>> attributes{
      attribute("layer_id", layer), attribute("num_experts", num_experts), attribute("top_k", top_k)};
  const auto param = fb::CreateExtraDirect(builder_, nullptr, nullptr, nullptr, &attributes);
  return add({name, fb::OpType::MoE, {x, weights, indices}, {name}}, param);
}

void NetBuilder::begin_subgraph() {
  LLM2MNN_CHECK(!outer_);
  outer_ = std::exchange(scope_, {});
}

void NetBuilder::end_subgraph(const std::string& name, TensorId input, TensorId output) {
  LLM2MNN_CHECK(outer_.has_value());
  const std::vector<std::int32_t> inputs{input};
  const std::vector<std::int32_t> outputs{output};
  const auto tensors = builder_.CreateVectorOfStrings(scope_.tensor_names);
  const auto nodes = builder_.CreateVector(scope_.ops);
  const auto inputs_offset = builder_.CreateVector(inputs);
  const auto outputs_offset = builder_.CreateVector(outputs);
  const auto name_offset = builder_.CreateString(name);
  subgraphs_.push_back(
      fb::CreateSubGraphProto(builder_, name_offset, inputs_offset, outputs_offset, tensors, nodes));
  scope_ = std::move(*outer_);
  outer_.reset();
}

std::vector<std::byte> NetBuilder::finish(const std::vector<std::string>& outputs) {
  const auto ops = builder_.CreateVector(scope_.ops);
  const auto output_names = builder_.CreateVectorOfStrings(outputs);
  const auto tensor_names = builder_.CreateVectorOfStrings(scope_.tensor_names);
  const auto biz_code = builder_.CreateString("llm2mnn");
  const auto subgraphs = subgraphs_.empty() ? 0 : builder_.CreateVector(subgraphs_);
  fb::NetBuilder net(builder_);
  net.add_bizCode(biz_code);
  net.add_oplists(ops);
  net.add_outputName(output_names);
  net.add_sourceType(fb::NetSource::ONNX);
  net.add_tensorName(tensor_names);
  net.add_tensorNumber(checked_cast<std::int32_t>(scope_.tensor_names.size()));
  if (!subgraphs_.empty()) net.add_subgraphs(subgraphs);
  builder_.Finish(net.Finish());
  const auto* data = reinterpret_cast<const std::byte*>(builder_.GetBufferPointer());
  return {data, data + builder_.GetSize()};
}

}  // namespace llm2mnn::mnn
