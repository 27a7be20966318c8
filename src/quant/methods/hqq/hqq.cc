// Half-quadratic quantisation; see README.md.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "kernels/convert.h"
#include "quant/method.h"

namespace llm2mnn {
namespace {

// The published defaults.
constexpr float kNorm = 0.7f;  // p
constexpr float kBeta = 10;
constexpr float kKappa = 1.01f;
constexpr std::size_t kIterations = 20;
/// 1.5 * 2^23: adding it rounds half to even and leaves an integer.
constexpr float kRoundMagic = 12582912.0f;

/// The proximal step of the p norm: sign(e) * max(|e| - |e|^(p - 1) / beta, 0). `least` is where it begins to
/// be positive, beta^(1 / (p - 2)).
float shrink(float e, float beta, float least) {
  const float size = std::abs(e);
  if (size <= least) return 0;
  return std::copysign(std::max(size - std::pow(size, kNorm - 1) / beta, 0.0f), e);
}

struct Step {
  float error = 0;  // mean |w - dequantised|
  float offset = 0;
};

/// The weight of an iteration, and the least error that its proximal step leaves in W_e.
struct Penalty {
  float beta, least;
};

std::array<Penalty, kIterations> penalties() {
  std::array<Penalty, kIterations> all;
  float beta = kBeta;
  for (Penalty& penalty : all) {
    penalty = {beta, std::pow(beta, 1 / (kNorm - 2))};
    beta *= kKappa;
  }
  return all;
}

/// One iteration from `offset`: its error, and the next offset.
Step step(std::span<const float> w, float scale, float offset, float half, const Penalty& penalty) {
  float error = 0;
  float rest = 0;  // of offset: w - W_e - code * scale - offset
  for (const float value : w) {
    const float t = std::clamp((value - offset) / scale, -half, half - 1);
    const float code = (t + kRoundMagic) - kRoundMagic;
    const float e = value - (code * scale + offset);
    error += std::abs(e);
    rest += e - shrink(e, penalty.beta, penalty.least);
  }
  const auto count = static_cast<float>(w.size());
  return {error / count, offset + rest / count};
}

/// The offset of least error on the way from `offset`.
float best_offset(std::span<const float> w, float scale, float offset, float half) {
  float best = offset;
  float least = std::numeric_limits<float>::infinity();
  static const std::array<Penalty, kIterations> kPenalties = penalties();
  for (const Penalty& penalty : kPenalties) {
    const Step next = step(w, scale, offset, half, penalty);
    if (!(next.error < least)) break;
    least = next.error;
    best = offset;
    offset = next.offset;
  }
  return best;
}

class Hqq final : public QuantMethod {
 public:
  std::string_view name() const override { return "hqq"; }
  std::string_view summary() const override { return "half-quadratic: the range's step, a better offset"; }
  bool is_symmetric_too() const override { return false; }
  std::size_t scratch_floats(std::size_t group_len) const override { return group_len; }

  bool choose_grids(const WeightGroups& groups, const GridRule& rule, std::span<float> scratch,
                    const StoredGrids& out) const override {
    LLM2MNN_CHECK(!rule.symmetric && scratch.size() >= groups.group_len);
    if (!group_grids(rule, groups.min, groups.max, groups.num_groups, out.scale, out.offset, out.alpha))
      return false;
    const auto half = static_cast<float>(1 << (rule.bits - 1));
    const std::span<float> w = scratch.first(groups.group_len);
    const std::size_t group_bytes = w.size() * static_cast<std::size_t>(dtype_bytes(groups.dtype));
    for (std::size_t g = 0; g < groups.num_groups; ++g) {
      if (groups.min[g] == groups.max[g]) continue;  // exact already
      if (!decode_to_f32(groups.data + g * group_bytes, groups.dtype, w.size(), w.data())) return false;
      const float offset = best_offset(w, out.scale[g], out.offset[g], half);
      if (!store_offset(rule, offset, out, g)) return false;
    }
    return true;
  }

 private:
  static bool store_offset(const GridRule& rule, float offset, const StoredGrids& out, std::size_t g) {
    out.offset[g] = rule.f16 ? f16_to_f32(f32_to_f16(offset)) : offset;
    store_grid(rule, out.scale[g], out.offset[g], out.alpha + g * grid_bytes(rule));
    return std::isfinite(out.offset[g]);
  }
};

}  // namespace

const QuantMethod& hqq_method() {
  static const Hqq method;
  return method;
}

}  // namespace llm2mnn
