// Any bytes as pytorch_model.bin: tensors inside the file, or one Error.
// An input that starts with the pickle magic 0x80 is a state dict alone, with storages "0" to "9" of 8 bytes
// more than the one before, so that mutations reach the machine without the zip file around it.

#include <cstdlib>

#include "checkpoint/state_dict.h"
#include "checkpoint/torch_bin.h"

namespace {

using namespace llm2mnn;

constexpr std::uint64_t kStoragesBytes = 1000;

void require(bool condition) {
  if (!condition) std::abort();
}

void check(const std::vector<TensorInfo>& tensors, std::uint64_t file_bytes) {
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TensorInfo& tensor = tensors[i];
    std::uint64_t bytes = 0;
    require(tensor_num_bytes(tensor.dtype, tensor.shape, bytes) && bytes == tensor.bytes);
    require(tensor.bytes <= file_bytes && tensor.offset <= file_bytes - tensor.bytes);
    require(i == 0 || tensors[i - 1].name < tensor.name);
  }
}

std::optional<StorageSpan> find_storage(std::string_view key) {
  if (key.size() != 1 || key[0] < '0' || key[0] > '9') return std::nullopt;
  return StorageSpan{0, static_cast<std::uint64_t>(key[0] - '0' + 1) * 8};
}

template <typename Read>
void refuses_at_most(Read&& read) {
  try {
    read();
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::kFormat || error.kind() == ErrorKind::kUnsupported);
    require(error.message().size() <= 400);  // the file's name comes in front
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  refuses_at_most([&] { check(read_torch_bin(MemorySource(std::as_bytes(std::span(data, size)))), size); });
  if (size == 0 || data[0] != 0x80) return 0;
  refuses_at_most([&] {
    check(read_state_dict({reinterpret_cast<const char*>(data), size}, find_storage), kStoragesBytes);
  });
  return 0;
}
