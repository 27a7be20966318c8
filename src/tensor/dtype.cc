#include "tensor/dtype.h"

#include <array>
#include <fmt/ranges.h>

#include "base/checked.h"

namespace llm2mnn {
namespace {

struct Row {
  DType dtype;
  std::string_view name;
  std::int64_t bytes;
};

// In the order of the enum. Names: safetensors' Dtype.
constexpr std::array<Row, 12> kDTypes = {{{DType::kF32, "F32", 4},
                                          {DType::kF16, "F16", 2},
                                          {DType::kBF16, "BF16", 2},
                                          {DType::kF64, "F64", 8},
                                          {DType::kI64, "I64", 8},
                                          {DType::kI32, "I32", 4},
                                          {DType::kI16, "I16", 2},
                                          {DType::kI8, "I8", 1},
                                          {DType::kU8, "U8", 1},
                                          {DType::kBool, "BOOL", 1},
                                          {DType::kF8E4M3, "F8_E4M3", 1},
                                          {DType::kF8E5M2, "F8_E5M2", 1}}};

const Row& row(DType dtype) { return kDTypes.at(static_cast<std::size_t>(dtype)); }

}  // namespace

std::int64_t dtype_bytes(DType dtype) { return row(dtype).bytes; }
std::string_view dtype_name(DType dtype) { return row(dtype).name; }

bool parse_dtype(std::string_view name, DType& out) {
  for (const Row& candidate : kDTypes) {
    if (candidate.name == name) {
      out = candidate.dtype;
      return true;
    }
  }
  return false;
}

bool is_weight_dtype(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
}

std::string shape_text(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

bool shape_elements(const Shape& shape, std::int64_t& out) {
  std::int64_t product = 1;
  for (const std::int64_t size : shape) {
    if (size < 0 || !checked_mul(product, size, product)) return false;
  }
  out = product;
  return true;
}

}  // namespace llm2mnn
