#include "kernels/kernel_table.h"

namespace llm2mnn {

std::size_t num_simd_levels() { return 0; }
SimdLevel simd_level(std::size_t) { return {}; }

}  // namespace llm2mnn
