#include "arch/name_pattern.h"

#include <charconv>

namespace llm2mnn {
namespace {

// Digits at the front of `name` that are a number below `bound`; 0 when there is none.
std::size_t number_length(std::string_view name, std::int64_t bound, std::int64_t least = 0) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || name.front() == '-' || number >= bound || number < least) return 0;
  return static_cast<std::size_t>(end - name.data());
}

// Digits of `name` that the mark at the front of `pattern` stands for.
std::size_t marked_length(std::string_view pattern, std::string_view name, std::int64_t num_layers,
                          std::int64_t num_further) {
  const std::string_view mark = pattern.substr(0, 3);
  if (mark == "{n}") return number_length(name, num_layers + num_further, num_layers);
  if (mark == "{i}") return number_length(name, num_layers);
  return mark == "{e}" ? number_length(name, kAnyLayer) : 0;
}

}  // namespace

std::string with_number(std::string pattern, std::string_view mark, std::int64_t value) {
  const std::string number = std::to_string(value);
  for (std::size_t at = pattern.find(mark); at != std::string::npos; at = pattern.find(mark, at))
    pattern.replace(at, mark.size(), number);
  return pattern;
}

bool matches_pattern(std::string_view pattern, std::string_view name, std::int64_t num_layers,
                     std::int64_t num_further) {
  std::string_view star_pattern, star_name;  // where the last `*` would take one more character
  bool has_star = false;
  while (!name.empty() || !pattern.empty()) {
    if (!pattern.empty() && pattern.front() == '*') {
      pattern.remove_prefix(1);
      star_pattern = pattern;
      star_name = name;
      has_star = true;
      continue;
    }
    const std::size_t digits = marked_length(pattern, name, num_layers, num_further);
    if (digits > 0) {
      pattern.remove_prefix(3);
      name.remove_prefix(digits);
    } else if (!pattern.empty() && !name.empty() && pattern.front() == name.front()) {
      pattern.remove_prefix(1);
      name.remove_prefix(1);
    } else if (has_star && !star_name.empty()) {
      star_name.remove_prefix(1);
      pattern = star_pattern;
      name = star_name;
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace llm2mnn
