#include "arch/stored_tensors.h"

#include <algorithm>

#include "base/checked.h"

namespace llm2mnn {
namespace {

constexpr std::string_view kMxfp4Codes = "_blocks";  // behind the name of a weight

}  // namespace

std::optional<TensorId> StoredTensors::find_name(std::string_view name) const {
  const auto found =
      std::lower_bound(tensors_.begin(), tensors_.end(), name,
                       [](const TensorInfo& info, std::string_view key) { return info.name < key; });
  if (found == tensors_.end() || found->name != name) return std::nullopt;
  return static_cast<TensorId>(found - tensors_.begin());
}

TensorId StoredTensors::scales_of(TensorId id) const {
  const std::string& name = tensors_[id].name;
  std::optional<TensorId> found;
  for (const std::string_view suffix : {"_scale_inv", "_scale"}) {
    const std::optional<TensorId> scales = find_name(name + std::string(suffix));
    if (scales.has_value() && found.has_value())
      fail(ErrorKind::kUnsupported, "tensor {} has two tensors of scales, {} and {}", shown(name),
           shown(tensors_[*found].name), shown(tensors_[*scales].name));
    if (scales.has_value()) found = scales;
  }
  if (!found.has_value())
    fail(ErrorKind::kFormat, "tensor {} is {}, but its scales are missing: neither {} nor {} is there",
         shown(name), dtype_name(tensors_[id].dtype), shown(name + "_scale_inv"), shown(name + "_scale"));
  return *found;
}

std::optional<TensorId> StoredTensors::find(const std::string& name) const {
  const std::optional<TensorId> id = find_name(name);
  return id.has_value() || !quant_.is_mxfp4() ? id : find_name(name + std::string(kMxfp4Codes));
}

// MXFP4's codes [..., groups, 16] hold [..., groups * 32] values, ternary codes [rows / 4, cols] hold [rows,
// cols].
Shape StoredTensors::shape_of(TensorId id) const {
  Shape shape = tensors_[id].shape;
  if (is_ternary(id) && !checked_mul(shape.front(), kTernaryPerByte, shape.front()))
    return tensors_[id].shape;
  if (!is_mxfp4(id)) return shape;
  shape.pop_back();
  if (!checked_mul<std::int64_t>(shape.back(), 32, shape.back())) return tensors_[id].shape;
  return shape;
}

bool StoredTensors::is_mxfp4(TensorId id) const {
  const TensorInfo& info = tensors_[id];
  return quant_.is_mxfp4() && info.dtype == DType::kU8 && info.name.ends_with(kMxfp4Codes) &&
         info.shape.size() >= 3 && info.shape.back() == 16;
}

bool StoredTensors::is_ternary(TensorId id) const {
  const TensorInfo& info = tensors_[id];
  return quant_.is_ternary() && info.dtype == DType::kU8 && info.shape.size() == 2;
}

Binding StoredTensors::read_ternary(TensorId id, const Shape& shape) {
  const TensorInfo& info = tensors_[id];
  const TensorId scale = scales_of(id);
  std::int64_t count = 0;
  if (!is_weight_dtype(tensors_[scale].dtype) || !shape_elements(tensors_[scale].shape, count) || count != 1)
    fail(ErrorKind::kUnsupported, "tensor {} is {}; the ternary codes beside it need one F32, F16 or BF16",
         shown(tensors_[scale].name), type_text(tensors_[scale].dtype, tensors_[scale].shape));
  if (shape != shape_of(id))
    fail(ErrorKind::kUnsupported, "tensor {} holds ternary codes of more than one matrix", shown(info.name));
  scales_.emplace(id, scale);
  return Binding::dequantised(Binding::TernaryCodes{id, scale, quant_.divides, shape.front(), shape.back()});
}

Binding StoredTensors::read_mxfp4(TensorId id, const Shape& shape) {
  const TensorInfo& info = tensors_[id];
  std::string name = info.name;
  name.replace(name.size() - kMxfp4Codes.size(), kMxfp4Codes.size(), "_scales");
  const std::optional<TensorId> scales = find_name(name);
  if (!scales.has_value())
    fail(ErrorKind::kFormat, "tensor {} holds codes, but its scales {} are missing", shown(info.name),
         shown(name));
  const Shape expected(info.shape.begin(), info.shape.end() - 1);
  if (tensors_[*scales].dtype != DType::kU8 || tensors_[*scales].shape != expected)
    fail(ErrorKind::kFormat, "tensor {} is {}, the codes beside it need U8 {}", shown(name),
         type_text(tensors_[*scales].dtype, tensors_[*scales].shape), shape_text(expected));
  scales_.emplace(id, *scales);
  return Binding::dequantised(Binding::Mxfp4Groups{id, *scales, shape.front(), shape.back()});
}

Binding StoredTensors::read(TensorId id, const Shape& shape, bool transposed) {
  const TensorInfo& info = tensors_[id];
  // Codes lie along the rows, also of matrices that are transposed as floats.
  if (is_mxfp4(id)) return read_mxfp4(id, shape);
  if (is_ternary(id) && !transposed) return read_ternary(id, shape);
  if (is_weight_dtype(info.dtype))
    return transposed ? Binding::transposed_source(id, info.shape) : Binding::source(id, shape);
  const bool is_stacked = info.shape.size() == 3 && shape.size() == 2;
  if (transposed && !is_stacked)
    fail(ErrorKind::kUnsupported, "tensor {} is {}; a transposed matrix is read from F32, F16 and BF16",
         shown(info.name), dtype_name(info.dtype));
  const bool is_fp8 = info.dtype == DType::kF8E4M3 || info.dtype == DType::kF8E5M2;
  if (!is_fp8 || !quant_.is_fp8() || (shape != info.shape && !is_stacked))
    fail(ErrorKind::kUnsupported, "tensor {} is {}; weights are read from F32, F16 and BF16{}",
         shown(info.name), dtype_name(info.dtype),
         is_fp8 ? ", and from 8 bit floats only where 'quantization_config' says how they are scaled" : "");
  return read_fp8(id, shape, transposed);
}

Binding StoredTensors::read_fp8(TensorId id, const Shape& shape, bool transposed) {
  const TensorInfo& info = tensors_[id];
  const auto known = scales_.find(id);
  const TensorId scales = known != scales_.end() ? known->second : scales_of(id);
  const TensorInfo& scale_info = tensors_[scales];
  const bool is_stacked = shape != info.shape;
  const std::optional<BlockShape> block =
      is_stacked ? block_of_stacked_scales(quant_, info.shape, scale_info.shape, transposed)
                 : block_of_scales(quant_, info.shape, scale_info.shape);
  if (!block.has_value() || !is_weight_dtype(scale_info.dtype))
    fail(ErrorKind::kUnsupported,
         "tensor {}: {} scales of a {} tensor; supported are one for {}, one for a row, and one for each "
         "block of {}, as F32, F16 or BF16",
         shown(scale_info.name), type_text(scale_info.dtype, scale_info.shape), shape_text(info.shape),
         is_stacked ? "a matrix" : "all",
         quant_.block.has_value() ? shape_text({quant_.block->rows, quant_.block->cols})
                                  : "'weight_block_size'");
  scales_.emplace(id, scales);
  const Binding whole = Binding::source(id, shape);
  return Binding::dequantised(Binding::ScaledBlocks{.values = id,
                                                    .scales = scales,
                                                    .rows = whole.rows(),
                                                    .cols = whole.cols(),
                                                    .block_rows = block->rows,
                                                    .block_cols = block->cols,
                                                    .matrices = is_stacked ? info.shape[0] : 1,
                                                    .transposed = transposed});
}

}  // namespace llm2mnn
