// Filters of numbers, with Python's reading of numbers in texts.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "jinja/filters.h"
#include "jinja/text.h"

namespace llm2mnn::jinja {

namespace {

using Kind = Value::Kind;

bool is_digit_char(char c) { return c >= '0' && c <= '9'; }

/// The text without blanks around it and without the underscores between digits; none where one is elsewhere.
/// Digits beyond ASCII, which Python reads too, are `beyond`.
std::optional<std::string> plain_number(const std::string& input, bool is_real) {
  const std::string text = stripped(input, true, true, nullptr);
  std::string out;
  for (std::size_t pos = 0; pos < text.size();) {
    const std::size_t begin = pos;
    const char32_t c = next_code_point(text, pos);
    if (c >= 0x80 && is_decimal(c)) beyond("a number in digits beyond ASCII");
    if (c != '_') {
      out += text.substr(begin, pos - begin);
      continue;
    }
    const auto fits = [&](std::size_t i) {
      return i < text.size() &&
             (is_digit_char(text[i]) ||
              (!is_real && ((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z'))));
    };
    if (begin == 0 || !fits(begin - 1) || !fits(pos)) return std::nullopt;
  }
  return out;
}

/// Python's `int(text, base)`; none where it raises.
std::optional<std::int64_t> parse_whole(const std::string& input, std::int64_t base) {
  if (base != 0 && (base < 2 || base > 36)) return std::nullopt;
  const auto plain = plain_number(input, false);
  if (!plain) return std::nullopt;
  std::string_view text = *plain;
  const bool is_negative = text.starts_with('-');
  if (is_negative || text.starts_with('+')) text.remove_prefix(1);
  const std::string prefix = lower(text.substr(0, 2));
  const std::int64_t by_prefix = prefix == "0x" ? 16 : prefix == "0o" ? 8 : prefix == "0b" ? 2 : 0;
  if (by_prefix != 0 && (base == by_prefix || base == 0)) {
    base = by_prefix;
    text.remove_prefix(2);
  } else if (base == 0) {
    if (text.starts_with('0') && text.find_first_not_of('0') != std::string_view::npos) return std::nullopt;
    base = 10;
  }
  if (text.empty() || text[0] == '-') return std::nullopt;
  const std::string signed_text = (is_negative ? "-" : "") + std::string(text);
  std::int64_t number = 0;
  const char* const end = signed_text.data() + signed_text.size();
  const auto [stop, error] = std::from_chars(signed_text.data(), end, number, static_cast<int>(base));
  if (stop != end) return std::nullopt;
  if (error != std::errc{}) beyond("an integer of more than 64 bits");
  return number;
}

/// Python's `float(text)`; none where it raises.
std::optional<double> parse_real(const std::string& input) {
  const auto plain = plain_number(input, true);
  if (!plain) return std::nullopt;
  std::string_view text = *plain;
  const bool is_negative = text.starts_with('-');
  if (is_negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty() || text[0] == '-' || text.find('(') != std::string_view::npos) return std::nullopt;
  double number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (stop != text.data() + text.size() || error == std::errc::invalid_argument) return std::nullopt;
  if (error == std::errc::result_out_of_range) beyond("a number beyond the range of floats");
  return is_negative ? -number : number;
}

std::optional<std::int64_t> truncated(double number) {
  if (!std::isfinite(number)) return std::nullopt;
  constexpr double kLimit = 9.2e18;
  if (!(std::fabs(number) < kLimit)) beyond("an integer of more than 64 bits");
  return static_cast<std::int64_t>(number);
}

Value integer_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("int", arguments, {"default", "base"});
  const Value fallback = taken[0].is_undefined() ? Value::integer(0) : taken[0];
  input.check_defined();
  if (input.is(Kind::kFloat)) {
    if (std::isinf(input.as_real())) raise("cannot convert float infinity to integer");
    const auto whole = truncated(input.as_real());
    return whole ? Value::integer(*whole) : fallback;
  }
  if (input.is_number()) return Value::integer(input.as_integer());
  if (!input.is_string()) return fallback;
  if (taken[1].is_undefined() || is_whole(taken[1])) {
    const auto number = parse_whole(input.text(), taken[1].is_undefined() ? 10 : taken[1].as_integer());
    if (number) return Value::integer(*number);
  }
  const auto real = parse_real(input.text());
  const auto whole = real ? truncated(*real) : std::nullopt;
  return whole ? Value::integer(*whole) : fallback;
}

Value float_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("float", arguments, {"default"});
  input.check_defined();
  if (input.is_number()) return Value::real(input.as_real());
  const auto real = input.is_string() ? parse_real(input.text()) : std::nullopt;
  if (real) return Value::real(*real);
  return taken[0].is_undefined() ? Value::real(0) : taken[0];
}

/// Python's `round(value, precision)`: to the decimal that is nearest to the exact value.
double rounded(double value, std::int64_t precision) {
  constexpr std::int64_t kMost = 300;
  if (precision < 0) beyond("round with a negative precision");
  if (!std::isfinite(value) || precision > kMost) return value;
  const std::string text = fmt::format("{:.{}f}", value, precision);
  double result = 0;
  std::from_chars(text.data(), text.data() + text.size(), result);
  return result;
}

Value round_filter(const Value& input, Arguments& arguments) {
  const auto taken = take_arguments("round", arguments, {"precision", "method"});
  const std::string method = taken[1].is_undefined() ? "common" : to_text(taken[1]);
  if (method != "common" && method != "ceil" && method != "floor")
    raise("method must be common, ceil or floor");
  input.check_defined();
  if (!input.is_number()) raise(fmt::format("type {} doesn't define __round__ method", input.type_name()));
  if (!taken[0].is_undefined() && !is_whole(taken[0])) beyond("round with such a precision");
  const std::int64_t precision = taken[0].is_undefined() ? 0 : taken[0].as_integer();
  if (method == "common") {
    if (input.is(Kind::kFloat)) return Value::real(rounded(input.as_real(), precision));
    if (precision < 0) beyond("round with a negative precision");
    return Value::integer(input.as_integer());
  }
  constexpr std::int64_t kMost = 15;
  if (precision < 0 || precision > kMost) beyond("round with such a precision");
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = binary_operation("*", input, Value::real(scale)).as_real();
  if (!std::isfinite(scaled)) raise("cannot convert float infinity or NaN to integer");
  return Value::real((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

Value abs_filter(const Value& input, Arguments&) {
  if (!input.is_number()) raise(fmt::format("bad operand type for abs(): '{}'", input.type_name()));
  if (input.is(Kind::kFloat)) return Value::real(std::fabs(input.as_real()));
  return input.as_integer() < 0 ? negative(input) : Value::integer(input.as_integer());
}

}  // namespace

void add_number_filters(FilterTable& table) {
  table.insert({
      {"abs", abs_filter},
      {"float", float_filter},
      {"int", integer_filter},
      {"round", round_filter},
  });
}

}  // namespace llm2mnn::jinja
