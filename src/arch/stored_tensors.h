#pragma once
// The tensors of a checkpoint as plain matrices, whatever they are stored as: scaled 8 bit floats, MXFP4
// and ternary codes are found with their scales. Private to this folder.

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "arch/binding.h"
#include "arch/source_quant.h"

namespace llm2mnn {

class StoredTensors {
 public:
  /// `tensors` sorted by name. References are kept.
  StoredTensors(std::span<const TensorInfo> tensors, const SourceQuant& quant)
      : tensors_(tensors), quant_(quant) {}

  std::optional<TensorId> find_name(std::string_view name) const;
  /// The tensor of a name, or of its codes.
  std::optional<TensorId> find(const std::string& name) const;
  bool is_mxfp4(TensorId id) const;
  /// The shape of the values that a tensor holds.
  Shape shape_of(TensorId id) const;
  /// The tensor as [O, I], times its scales where it has some; `shape` is its own, one of as many elements,
  /// or the [E * O, I] of matrices of all experts. `transposed`: it is stored as [I, O] or [E, I, O], unless
  /// it holds codes of MXFP4.
  /// @throws Error: kFormat for scales that are missing or do not fit; kUnsupported for a dtype that holds no
  /// weights.
  Binding read(TensorId id, const Shape& shape, bool transposed);
  /// Tensors read so far that have scales, and those.
  const std::map<TensorId, TensorId>& scales() const { return scales_; }

 private:
  TensorId scales_of(TensorId id) const;
  bool is_ternary(TensorId id) const;
  Binding read_ternary(TensorId id, const Shape& shape);
  Binding read_mxfp4(TensorId id, const Shape& shape);
  Binding read_fp8(TensorId id, const Shape& shape, bool transposed);

  std::span<const TensorInfo> tensors_;
  const SourceQuant& quant_;
  std::map<TensorId, TensorId> scales_;
};

}  // namespace llm2mnn
