#pragma once
// For benchmarks only: the main of those that register themselves and run on the level of LLM2MNN_SIMD.

#include <benchmark/benchmark.h>
#include <exception>
#include <iostream>

#include "kernels/simd_level.h"

namespace llm2mnn {

inline int run_benchmarks(int argc, char** argv, void (*register_all)()) {
  try {
    select_simd_level();
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 2;
  }
  benchmark::Initialize(&argc, argv);
  benchmark::AddCustomContext("simd", active_simd_level());
  register_all();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace llm2mnn
