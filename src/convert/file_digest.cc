#include "convert/file_digest.h"

#include <algorithm>

#include "base/cancel.h"

namespace llm2mnn {
namespace {

void update(Hasher128& hasher, const File& file, std::uint64_t bytes) {
  constexpr std::uint64_t kChunk = 1 << 20;  // stays in L2 between read and hash
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min(bytes, kChunk)));
  for (std::uint64_t offset = 0; offset < bytes; offset += kChunk) {
    throw_if_cancelled();
    const auto part = std::span(buffer).first(static_cast<std::size_t>(std::min(kChunk, bytes - offset)));
    file.read_exact(offset, part);
    hasher.update(part);
  }
}

}  // namespace

Digest128 digest_of_file(const File& file, std::uint64_t bytes) {
  Hasher128 hasher;
  update(hasher, file, bytes);
  return hasher.digest();
}

Digest128 digest_of_files(const std::filesystem::path& dir, const std::vector<std::string>& files) {
  Hasher128 hasher;
  for (std::size_t i = 1; i < files.size(); ++i) {
    const File file = File::open_regular(dir / files[i]);
    update(hasher, file, file.size());
  }
  return hasher.digest();
}

}  // namespace llm2mnn
