#include "kernels/pack.h"

#include "base/error.h"
#include "kernels/kernel_table.h"

namespace llm2mnn {

void pack_codes(const std::uint8_t* codes, std::size_t n, int bits, std::byte* out) {
  LLM2MNN_CHECK(bits >= 2 && bits <= 8);
  active_kernels().pack_codes(codes, n, bits, out);
}

}  // namespace llm2mnn
