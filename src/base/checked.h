#pragma once
// Arithmetic that cannot wrap and casts that cannot narrow in silence.

#include <concepts>
#include <cstdint>
#include <utility>

#include "base/error.h"

namespace llm2mnn {

/// `value` as `To`; throws kInternal when it does not fit.
template <std::integral To, std::integral From>
To checked_cast(From value) {
  LLM2MNN_CHECK(std::in_range<To>(value));
  return static_cast<To>(value);
}

/// a * b into `out`; false on overflow.
template <std::integral T>
[[nodiscard]] bool checked_mul(T a, T b, T& out) {
  return !__builtin_mul_overflow(a, b, &out);
}

/// a + b into `out`; false on overflow.
template <std::integral T>
[[nodiscard]] bool checked_add(T a, T b, T& out) {
  return !__builtin_add_overflow(a, b, &out);
}

/// ceil(a / b) for non-negative a and positive b.
template <std::integral T>
constexpr T ceil_div(T a, T b) {
  return a / b + (a % b != 0 ? 1 : 0);
}

}  // namespace llm2mnn
