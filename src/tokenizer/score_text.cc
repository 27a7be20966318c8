#include "tokenizer/score_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <fmt/format.h>
#include <limits>

#include "base/error.h"

namespace llm2mnn {

namespace {

constexpr int kMaxPower = 308;  // of ten, in a double
// Where an exponent stands for any beyond it: far above the digits of any document and below an overflow.
constexpr std::int64_t kMaxExponent = std::int64_t{1} << 40;

const std::array<double, kMaxPower + 1>& powers_of_ten() {
  static const auto powers = [] {
    std::array<double, kMaxPower + 1> values{};
    for (int power = 0; power <= kMaxPower; ++power) {
      const std::string text = fmt::format("1e{}", power);
      std::from_chars(text.data(), text.data() + text.size(), values[static_cast<std::size_t>(power)]);
    }
    return values;
  }();
  return powers;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

struct Digits {
  std::uint64_t value = 0;
  std::int64_t exponent = 0;
  bool is_full = false;  // the digits that follow are dropped, though they would fit

  void add(char digit, bool is_fraction) {
    const auto unit = static_cast<std::uint64_t>(digit - '0');
    constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
    is_full = is_full || value > kMax / 10 || (value == kMax / 10 && unit > kMax % 10);
    if (!is_full) value = value * 10 + unit;
    exponent += (is_fraction ? 0 : 1) - (is_full ? 0 : 1);
  }
};

std::optional<double> scale(double value, std::int64_t exponent) {
  const auto& powers = powers_of_ten();
  for (; value != 0 && exponent < -kMaxPower; exponent += kMaxPower)
    value /= powers[kMaxPower];
  if (value == 0) return value;
  if (exponent > kMaxPower) return std::nullopt;
  const double power = powers[static_cast<std::size_t>(std::abs(exponent))];
  value = exponent < 0 ? value / power : value * power;
  return std::isinf(value) ? std::nullopt : std::optional(value);
}

}  // namespace

std::optional<double> parse_score(std::string_view number) {
  std::size_t pos = number.substr(0, 1) == "-" ? 1 : 0;
  const double sign = pos == 1 ? -1.0 : 1.0;
  Digits digits;
  for (; pos < number.size() && is_digit(number[pos]); ++pos)
    digits.add(number[pos], false);
  if (pos < number.size() && number[pos] == '.') {
    // Digits behind the point are tried anew: a small one may still fit.
    digits.is_full = false;
    for (++pos; pos < number.size() && is_digit(number[pos]); ++pos)
      digits.add(number[pos], true);
  }
  if (pos < number.size()) {
    LLM2MNN_CHECK(number[pos] == 'e' || number[pos] == 'E');
    const bool is_negative = number[++pos] == '-';
    if (!is_digit(number[pos])) ++pos;
    std::int64_t exponent = 0;
    for (; pos < number.size(); ++pos)
      exponent = std::min(exponent * 10 + (number[pos] - '0'), kMaxExponent);
    digits.exponent += is_negative ? -exponent : exponent;
  }
  const std::optional<double> value = scale(static_cast<double>(digits.value), digits.exponent);
  return value ? std::optional(sign * *value) : value;
}

}  // namespace llm2mnn
