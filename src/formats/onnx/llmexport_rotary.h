#pragma once
// The frequencies behind a pair of rotary tables. Private to this folder.

#include <cstdint>
#include <vector>

namespace llm2mnn::onnx {

/// cos and sin [rows, half] at the angles row * step * inv_freq.
struct AngleTable {
  std::vector<float> cos, sin;
  std::int64_t rows = 0;
  std::int64_t step = 1;
};

/// The inv_freq [half] whose tables these are: found from the first column on in steps of doubled rows, then
/// checked against every value.
/// @throws Error(kUnsupported) when a value is off by more than float32 explains.
std::vector<float> recover_inv_freq(const AngleTable& low, const AngleTable& high, std::int64_t half);

}  // namespace llm2mnn::onnx
