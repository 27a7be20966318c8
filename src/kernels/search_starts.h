#pragma once
// Internal to kernels/: where the search for a grid begins and when it ends. One place for all levels. How
// the numbers were found: quant/methods/search/README.md.

#include <array>
#include <cstddef>

#include "kernels/groups.h"

namespace llm2mnn::search {

/// Alternations of the last grids at most; most stop earlier.
inline constexpr int kMaxAlternations = 12;
/// An alternation that gains less than this part of the error is the last one.
inline constexpr float kLeastGain = 1e-3f;
/// Partial sums are as long, so that a float32 sum over a long row stays exact enough.
inline constexpr std::size_t kSumRun = 256;
/// A range below this is taken for a constant: its step has no float32 reciprocal.
inline constexpr float kLeastRange = 1e-30f;

/// How far a grid's two ends lie inside the range, in steps of the range's own grid (negative: outside).
struct Inset {
  float low, high;
};

/// Long enough groups of few levels: the ends of the range are rare values, and the grid does without them.
inline constexpr std::array<Inset, 12> kInside = {{{0.5f, 0.5f},
                                                   {0.2f, 0.8f},
                                                   {0.7f, 0.2f},
                                                   {0.4f, 0.7f},
                                                   {0.8f, 0.5f},
                                                   {0.9f, 0.1f},
                                                   {0.2f, 0.0f},
                                                   {0.7f, 0.8f},
                                                   {-0.1f, 0.4f},
                                                   {0.4f, 1.1f},
                                                   {1.1f, 0.5f},
                                                   {0.4f, -0.2f}}};
/// Many levels for the values of a group: another step or shift fits them by chance.
inline constexpr std::array<Inset, 24> kAround = {
    {{0.0f, 0.0f},   {0.2f, -0.8f},  {-1.0f, -1.0f}, {-0.2f, 0.2f},  {0.2f, -0.2f},  {-1.4f, -0.6f},
     {-0.2f, -1.0f}, {-0.8f, -1.4f}, {-0.8f, -0.2f}, {0.2f, 0.6f},   {0.6f, 0.0f},   {-1.4f, -1.0f},
     {0.4f, 0.4f},   {-0.2f, 0.6f},  {-1.0f, -1.4f}, {-0.2f, -0.8f}, {-1.4f, -2.6f}, {-2.8f, -2.8f},
     {0.2f, -1.0f},  {-0.2f, -0.2f}, {-3.0f, 0.2f},  {0.2f, -0.4f},  {0.2f, 0.2f},   {-0.2f, -1.4f}}};
/// Of long groups each end goes from half a step outside the range to the range, and then in equal ratios to
/// some standard deviations from the mean.
inline constexpr std::size_t kRatioEnds = 6;
/// Symmetric: steps from a little above the range's own downwards.
inline constexpr std::size_t kSymmetricStarts = 13;

/// Grids that go on from the first fit to the second, and from there to the end, at most.
inline constexpr std::size_t kSecond = 8;
inline constexpr std::size_t kThird = 4;

enum class StartKind : std::uint8_t { kInsets, kWideInsets, kRatios };

struct Plan {
  StartKind kind = StartKind::kWideInsets;
  std::size_t starts = 16;  ///< of kWideInsets: so many of the list
  std::size_t second = 4, third = 2;
  float deviations = 0;  ///< of kRatios: where an end stops
};

inline Plan plan_of(const GridRule& rule, std::size_t group_len) {
  constexpr std::size_t kLong = 256;
  // With many levels even a long group has hardly anything to cut off.
  if (group_len > kLong && rule.bits <= 5)
    return {.kind = StartKind::kRatios,
            .deviations = rule.bits == 2   ? 0.9f
                          : rule.bits == 3 ? 1.5f
                          : rule.bits == 4 ? 2.0f
                                           : 2.4f};
  const bool is_long_enough = rule.bits <= 3 ? group_len >= 32 : rule.bits == 4 && group_len >= 64;
  if (is_long_enough) return {.kind = StartKind::kInsets, .second = 3, .third = 1};
  if (group_len < 32) return {.starts = kAround.size(), .second = kSecond, .third = kThird};
  return {};
}

}  // namespace llm2mnn::search
