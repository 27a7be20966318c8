#include "checkpoint/tensor_info.h"

#include <algorithm>
#include <fmt/format.h>

#include "base/checked.h"

namespace llm2mnn {

bool tensor_num_bytes(DType dtype, const Shape& shape, std::uint64_t& out) {
  std::int64_t elements = 0;
  std::int64_t bytes = 0;
  if (!shape_elements(shape, elements) || !checked_mul(elements, dtype_bytes(dtype), bytes)) return false;
  out = static_cast<std::uint64_t>(bytes);
  return true;
}

std::string type_text(DType dtype, const Shape& shape) {
  constexpr std::size_t kMaxShown = 6;  // dimensions: 32 of 19 digits would fill the line
  const Shape head(shape.begin(),
                   shape.begin() + static_cast<std::ptrdiff_t>(std::min(shape.size(), kMaxShown)));
  std::string text = shape_text(head);
  if (head.size() < shape.size()) text.insert(text.size() - 1, ", ...");
  return fmt::format("{} {}", dtype_name(dtype), text);
}

void TensorLimits::add(std::string_view name) {
  names_bytes_ += name.size();
  if (++num_tensors_ > kMaxTensors || names_bytes_ > kMaxNamesBytes) {
    fail(ErrorKind::kUnsupported, "more than {} tensors or {} bytes of names, the limits of this version",
         kMaxTensors, kMaxNamesBytes);
  }
}

void sort_by_name(std::vector<TensorInfo>& tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  const auto twice = std::adjacent_find(tensors.begin(), tensors.end(),
                                        [](const auto& a, const auto& b) { return a.name == b.name; });
  if (twice != tensors.end()) fail(ErrorKind::kFormat, "tensor {} appears twice", shown(twice->name));
}

}  // namespace llm2mnn
