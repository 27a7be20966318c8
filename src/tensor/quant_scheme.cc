#include "tensor/quant_scheme.h"

#include <fmt/format.h>

#include "base/checked.h"

namespace llm2mnn {

std::int64_t num_groups(const QuantScheme& scheme, std::int64_t cols) {
  if (scheme.group_size == 0) return 1;
  LLM2MNN_CHECK(cols % scheme.group_size == 0);
  return cols / scheme.group_size;
}

std::int64_t codes_bytes(const QuantScheme& scheme, std::int64_t rows, std::int64_t cols) {
  return ceil_div<std::int64_t>(rows * cols * scheme.bits, 8);
}

std::int64_t alpha_bytes(const QuantScheme& scheme, std::int64_t rows, std::int64_t cols) {
  if (scheme.is_float()) return 0;
  return rows * num_groups(scheme, cols) * (scheme.symmetric ? 1 : 2) *
         (scheme.scale_type == ScaleType::kF16 ? 2 : 4);
}

std::string scheme_text(const QuantScheme& scheme) {
  if (scheme.is_float()) return fmt::format("{} bit float", scheme.bits);
  const std::string block =
      scheme.group_size == 0 ? "whole rows" : fmt::format("block {}", scheme.group_size);
  return fmt::format("{} bit, {}, {}, fp{} scales", scheme.bits, block,
                     scheme.symmetric ? "symmetric" : "asymmetric",
                     scheme.scale_type == ScaleType::kF16 ? 16 : 32);
}

}  // namespace llm2mnn
