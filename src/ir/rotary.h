#pragma once
// Rotary tables that stay exact in any float width of the runtime (docs/adr/0004-rotary-tables.md).

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ir/graph.h"

namespace llm2mnn::ir {

/// Positions of one low table: a position is `high * kRotarySplit + low`. 2048 is the last power of two up to
/// which half floats hold every integer.
inline constexpr std::int64_t kRotarySplit = 2048;

/// Rows of the high tables: ceil(num_positions / kRotarySplit).
std::int64_t rotary_high_rows(const RopeTable& table);

/// The four tables as little-endian float32: cos and sin high [rotary_high_rows, D/2] at angles high *
/// kRotarySplit * inv_freq, times the attention factor; cos and sin low [kRotarySplit, D/2] at low *
/// inv_freq. With them cos(p) = cosH * cosL - sinH * sinL and sin(p) = sinH * cosL + cosH * sinL.
std::array<std::vector<std::byte>, 4> rotary_tables(const RopeTable& table);

enum class Trig : std::uint8_t { kCos, kSin };

/// Values [begin, begin + out.size()) of cos or sin [positions, D/2] of the positions themselves, row by row,
/// times the attention factor.
void rotary_cache(const RopeTable& table, Trig trig, std::int64_t begin, std::span<float> out);

}  // namespace llm2mnn::ir
