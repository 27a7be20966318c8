#pragma once
// For tests only: groups of weights of known distributions, and what a method makes of them.

#include <cmath>
#include <random>
#include <vector>

#include "quant/method.h"

namespace llm2mnn::testing {

enum class Distribution { kGaussian, kLaplace, kStudentT };

/// `num_groups` groups with a standard deviation near 0.02, from a fixed seed.
inline std::vector<float> random_weights(Distribution distribution, std::size_t count, unsigned seed = 7) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::exponential_distribution<float> exponential;
  std::student_t_distribution<float> student(5);
  std::vector<float> weights(count);
  for (float& weight : weights) {
    if (distribution == Distribution::kGaussian)
      weight = 0.02f * normal(random);
    else if (distribution == Distribution::kStudentT)
      weight = 0.016f * student(random);
    else
      weight = ((random() & 1u) != 0 ? 0.014f : -0.014f) * exponential(random);
  }
  return weights;
}

struct Quantised {
  std::vector<float> scale, offset;
  std::vector<std::byte> alpha;
  std::vector<std::uint8_t> codes;
  std::vector<float> values;  ///< dequantised
  bool is_stored = false;     ///< what choose_grids said
};

/// Groups of float32 weights through a method.
inline Quantised quantise(const QuantMethod& method, const std::vector<float>& w, std::size_t group_len,
                          const GridRule& rule) {
  const std::size_t num_groups = w.size() / group_len;
  Quantised result;
  result.scale.resize(num_groups);
  result.offset.resize(num_groups);
  result.alpha.resize(num_groups * grid_bytes(rule));
  result.codes.resize(w.size());
  std::vector<float> min(num_groups), max(num_groups), scratch(method.scratch_floats(group_len));
  const auto* data = reinterpret_cast<const std::byte*>(w.data());
  if (!group_min_max(data, DType::kF32, group_len, num_groups, min.data(), max.data())) return result;
  result.is_stored =
      method.choose_grids({data, DType::kF32, group_len, num_groups, min.data(), max.data()}, rule, scratch,
                          {result.scale.data(), result.offset.data(), result.alpha.data()});
  if (!result.is_stored) return result;
  group_codes(data, DType::kF32, group_len, num_groups, result.scale.data(), result.offset.data(), rule.bits,
              result.codes.data());
  const int half = 1 << (rule.bits - 1);
  for (std::size_t i = 0; i < w.size(); ++i)
    result.values.push_back(static_cast<float>(result.codes[i] - half) * result.scale[i / group_len] +
                            result.offset[i / group_len]);
  return result;
}

/// Sum of squared errors of weights [begin, end).
inline double squared_error(const std::vector<float>& w, const std::vector<float>& values, std::size_t begin,
                            std::size_t end) {
  double sum = 0;
  for (std::size_t i = begin; i < end; ++i)
    sum += (static_cast<double>(w[i]) - values[i]) * (static_cast<double>(w[i]) - values[i]);
  return sum;
}

/// Signal to noise in dB.
inline double snr(const std::vector<float>& w, const std::vector<float>& values) {
  double signal = 0;
  for (const float weight : w)
    signal += static_cast<double>(weight) * weight;
  return 10 * std::log10(signal / squared_error(w, values, 0, w.size()));
}

}  // namespace llm2mnn::testing
