// Any bytes as a safetensors file: tensors that tile the data, or one Error.
// An input that starts with '{' is a header alone: text up to the first NUL, then two bytes with the number
// of data bytes; the length in front is made here, so that mutations reach the rules behind it.

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "checkpoint/safetensors.h"

namespace {

using namespace llm2mnn;

void require(bool condition) {
  if (!condition) std::abort();
}

std::vector<std::byte> file_of(std::span<const std::byte> input) {
  if (input.empty() || input[0] != std::byte{'{'}) return {input.begin(), input.end()};
  const auto end = std::find(input.begin(), input.end(), std::byte{0});
  const auto header_bytes = static_cast<std::size_t>(end - input.begin());
  std::uint16_t data_bytes = 0;
  if (input.size() >= header_bytes + 3) std::memcpy(&data_bytes, input.data() + header_bytes + 1, 2);
  std::vector<std::byte> file(8 + header_bytes + data_bytes);
  const auto length = static_cast<std::uint64_t>(header_bytes);
  std::memcpy(file.data(), &length, 8);
  std::memcpy(file.data() + 8, input.data(), header_bytes);
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<std::byte> file = file_of(std::as_bytes(std::span(data, size)));
  try {
    const std::vector<TensorInfo> tensors = read_safetensors_header(MemorySource(file));
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const TensorInfo& tensor = tensors[i];
      std::uint64_t bytes = 0;
      require(tensor_num_bytes(tensor.dtype, tensor.shape, bytes) && bytes == tensor.bytes);
      require(tensor.offset >= 8 && tensor.offset + tensor.bytes <= file.size());
      require(i == 0 || tensors[i - 1].name < tensor.name);
      total += tensor.bytes;
    }
    std::uint64_t length = 0;
    std::memcpy(&length, file.data(), 8);
    require(total == file.size() - 8 - length);
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::kFormat || error.kind() == ErrorKind::kUnsupported);
    require(error.message().size() <= 400);  // the file's name comes in front
  }
  return 0;
}
