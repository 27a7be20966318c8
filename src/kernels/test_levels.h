#pragma once
// For tests only: the same body on every SIMD level of this machine.

#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "kernels/simd_level.h"

namespace llm2mnn {

/// Calls body(level name) on every level, best first, the scalar reference last; goes back to the best one.
template <typename Body>
void for_each_level(Body body) {
  const std::vector<std::string> levels = available_simd_levels();
  for (const std::string& level : levels) {
    SCOPED_TRACE("SIMD level " + level);
    force_simd_level(level);
    body(level);
  }
  force_simd_level(levels.front());
}

}  // namespace llm2mnn
