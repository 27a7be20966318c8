#include "ir/rotary.h"

#include <cmath>
#include <cstring>

#include "base/checked.h"

namespace llm2mnn::ir {
namespace {

/// trig(row * step * inv_freq[j]) * factor for `rows` rows, angles in double.
std::vector<std::byte> table_bytes(const std::vector<float>& inv_freq, std::int64_t rows, std::int64_t step,
                                   double factor, double (*trig)(double)) {
  std::vector<std::byte> bytes(checked_cast<std::size_t>(rows) * inv_freq.size() * sizeof(float));
  std::byte* out = bytes.data();
  for (std::int64_t row = 0; row < rows; ++row) {
    for (const float frequency : inv_freq) {
      const double angle = static_cast<double>(row * step) * static_cast<double>(frequency);
      const auto value = static_cast<float>(factor * trig(angle));
      std::memcpy(out, &value, sizeof value);
      out += sizeof value;
    }
  }
  return bytes;
}

double cosine(double angle) { return std::cos(angle); }
double sine(double angle) { return std::sin(angle); }

}  // namespace

std::int64_t rotary_high_rows(const RopeTable& table) { return ceil_div(table.num_positions, kRotarySplit); }

std::array<std::vector<std::byte>, 4> rotary_tables(const RopeTable& table) {
  const std::int64_t rows = rotary_high_rows(table);
  // cos and sin are linear in the high tables, so the attention factor goes there, once.
  return {table_bytes(table.inv_freq, rows, kRotarySplit, table.attention_factor, cosine),
          table_bytes(table.inv_freq, rows, kRotarySplit, table.attention_factor, sine),
          table_bytes(table.inv_freq, kRotarySplit, 1, 1.0, cosine),
          table_bytes(table.inv_freq, kRotarySplit, 1, 1.0, sine)};
}

void rotary_cache(const RopeTable& table, Trig trig, std::int64_t begin, std::span<float> out) {
  const auto half = checked_cast<std::int64_t>(table.inv_freq.size());
  std::int64_t position = begin / half;
  auto column = static_cast<std::size_t>(begin % half);
  for (float& value : out) {
    const double angle = static_cast<double>(position) * static_cast<double>(table.inv_freq[column]);
    value =
        static_cast<float>(table.attention_factor * (trig == Trig::kCos ? std::cos(angle) : std::sin(angle)));
    if (++column < table.inv_freq.size()) continue;
    column = 0;
    ++position;
  }
}

}  // namespace llm2mnn::ir
