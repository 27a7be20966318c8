#include "checkpoint/torch_bin.h"

namespace llm2mnn {

std::vector<TensorInfo> read_torch_bin(const ByteSource&) {
  fail(ErrorKind::kUnsupported, "PyTorch files are not read by this version; {}", kResave);
}

}  // namespace llm2mnn
