#pragma once
// Which implementation of the kernels runs: the widest that the CPU has, or the one that the environment
// names.

#include <string>
#include <string_view>
#include <vector>

namespace llm2mnn {

/// The environment variable that forces a level (`select_simd_level`).
inline constexpr const char* kSimdLevelVariable = "LLM2MNN_SIMD";

/// Levels that this CPU can run, best first; the last is "scalar", the plain C++ reference. The others are
/// Highway's target names in lower case ("avx3", "avx2", "sse4", "ssse3", "neon").
std::vector<std::string> available_simd_levels();
/// The level in use.
std::string active_simd_level();
/// Uses the level `name` from here on, in every thread. Call it while no kernel runs.
/// @throws Error(kInvalidArgument) for an unknown name and for a level that the CPU lacks.
void force_simd_level(std::string_view name);
/// Obeys LLM2MNN_SIMD: absent or empty means the best level. Errors as `force_simd_level`.
void select_simd_level();

}  // namespace llm2mnn
