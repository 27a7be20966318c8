// Any bytes as an index: plain shard names and sorted, unique tensors, or one Error.

#include <algorithm>
#include <cstdlib>

#include "checkpoint/weight_index.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace llm2mnn;
  JsonBuffer text(size);
  std::ranges::copy(std::as_bytes(std::span(data, size)), text.bytes().begin());
  try {
    const WeightIndex index = parse_weight_index(text);
    require(!index.tensors.empty());
    for (const std::string& shard : index.shards) {
      require(!shard.empty() && shard.find('/') == std::string::npos &&
              shard.find('\0') == std::string::npos);
      require(shard != "." && shard != "..");
    }
    std::vector<bool> used(index.shards.size());
    for (std::size_t i = 0; i < index.tensors.size(); ++i) {
      require(i == 0 || index.tensors[i - 1].first < index.tensors[i].first);
      used.at(index.tensors[i].second) = true;
    }
    require(std::find(used.begin(), used.end(), false) == used.end());
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::kFormat || error.kind() == ErrorKind::kUnsupported);
    require(error.message().size() <= 400);  // the file's name comes in front
  }
  return 0;
}
