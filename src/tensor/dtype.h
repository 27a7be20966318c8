#pragma once
// Element types and shapes. Row-major, PyTorch order, always.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace llm2mnn {

/// Element types a checkpoint can hold, spelt as safetensors spells them.
enum class DType : std::uint8_t {
  kF32,
  kF16,
  kBF16,
  kF64,
  kI64,
  kI32,
  kI16,
  kI8,
  kU8,
  kBool,
  kF8E4M3,
  kF8E5M2
};

/// Bytes of one element.
std::int64_t dtype_bytes(DType dtype);
/// "F32", "BF16", ...
std::string_view dtype_name(DType dtype);
/// The dtype of a safetensors name; false when unknown.
bool parse_dtype(std::string_view name, DType& out);
/// Whether weights can be read from it (F32, F16, BF16).
bool is_weight_dtype(DType dtype);

/// Sizes of a tensor, outermost first; empty for a scalar.
using Shape = std::vector<std::int64_t>;

/// "[2048, 576]".
std::string shape_text(const Shape& shape);
/// Number of elements; false on overflow or a negative size.
[[nodiscard]] bool shape_elements(const Shape& shape, std::int64_t& out);

}  // namespace llm2mnn
