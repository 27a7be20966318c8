#include "formats/onnx/llmexport_rotary.h"

#include <cmath>
#include <numbers>
#include <optional>

#include "base/error.h"

namespace llm2mnn::onnx {
namespace {

// A stored value is rounded (2^-25), and so is the frequency: where the angle of the last row is below 1, an
// ulp of it moves the angle by up to 2^-24. Several times that.
constexpr double kTolerance = 0x1p-21;

double angle_of(const AngleTable& table, std::int64_t row, std::int64_t half, std::int64_t column) {
  const auto at = static_cast<std::size_t>(row * half + column);
  return std::atan2(static_cast<double>(table.sin[at]), static_cast<double>(table.cos[at]));
}

// `frequency`, which is good to a fraction of a turn at twice the row before, from the angle of this row.
double refined(double frequency, const AngleTable& table, std::int64_t row, std::int64_t half,
               std::int64_t column) {
  const double multiple = static_cast<double>(row * table.step);
  const double turn = 2 * std::numbers::pi;
  const double difference = std::remainder(angle_of(table, row, half, column) - multiple * frequency, turn);
  return frequency + difference / multiple;
}

struct Fit {
  double squares = 0;    ///< of all differences
  bool is_close = true;  ///< each is below the tolerance
};

void add_fit(Fit& fit, const AngleTable& table, std::int64_t half, std::int64_t column, float frequency) {
  for (std::int64_t row = 0; row < table.rows; ++row) {
    const double angle = static_cast<double>(row * table.step) * static_cast<double>(frequency);
    const auto at = static_cast<std::size_t>(row * half + column);
    const double cos_off = std::cos(angle) - static_cast<double>(table.cos[at]);
    const double sin_off = std::sin(angle) - static_cast<double>(table.sin[at]);
    fit.squares += cos_off * cos_off + sin_off * sin_off;
    // Not the other way round: a NaN is not close.
    fit.is_close = fit.is_close && std::abs(cos_off) <= kTolerance && std::abs(sin_off) <= kTolerance;
  }
}

// Frequencies are floats where they come from: the float near `frequency` that fits best.
float best_float(double frequency, const AngleTable& low, const AngleTable& high, std::int64_t half,
                 std::int64_t column) {
  float candidate = static_cast<float>(frequency);
  constexpr int kUlps = 2;  // the error of `frequency` where all angles are small
  for (int i = 0; i < kUlps; ++i)
    candidate = std::nextafter(candidate, -INFINITY);
  std::optional<float> best;
  double least = 0;
  for (int i = -kUlps; i <= kUlps; ++i, candidate = std::nextafter(candidate, INFINITY)) {
    Fit fit;
    add_fit(fit, low, half, column, candidate);
    add_fit(fit, high, half, column, candidate);
    if (!fit.is_close || (best && fit.squares >= least)) continue;
    best = candidate;
    least = fit.squares;
  }
  if (!best)
    fail(ErrorKind::kUnsupported,
         "its rotary tables are no cosines and sines of multiples of one frequency: column {}", column);
  return *best;
}

}  // namespace

std::vector<float> recover_inv_freq(const AngleTable& low, const AngleTable& high, std::int64_t half) {
  std::vector<float> frequencies;
  for (std::int64_t column = 0; column < half; ++column) {
    double frequency = 0;
    for (std::int64_t row = 1; row < low.rows; row *= 2)
      frequency = refined(frequency, low, row, half, column);
    for (std::int64_t row = 1; row < high.rows; row *= 2)
      frequency = refined(frequency, high, row, half, column);
    frequencies.push_back(best_float(frequency, low, high, half, column));
  }
  return frequencies;
}

}  // namespace llm2mnn::onnx
