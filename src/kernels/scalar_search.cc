// The search with one lane: the same source as the other levels, compiled for no instruction set.
#define HWY_COMPILE_ONLY_SCALAR
#include <hwy/highway.h>

#include "kernels/search-inl.h"

namespace llm2mnn::scalar {

void search_batch(const SearchInput& in, float* scale, float* offset) {
  HWY_NAMESPACE::improve_grids<hwy::HWY_NAMESPACE::CappedTag<float, 1>>(in, scale, offset);
}

std::size_t search_lanes() { return 1; }

}  // namespace llm2mnn::scalar
