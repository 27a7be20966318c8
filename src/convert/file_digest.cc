#include "convert/file_digest.h"

#include <algorithm>
#include <system_error>

#include "base/cancel.h"

namespace llm2mnn {
namespace {

constexpr std::uint64_t kChunk = 1 << 20;  // stays in L2 between read and hash

void update(Hasher128& hasher, const File& file, std::uint64_t bytes) {
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

PrefixDigest::PrefixDigest(const File& file, std::uint64_t bytes)
    : file_(file), bytes_(bytes), buffer_(static_cast<std::size_t>(std::min(bytes, kChunk))) {
  try {
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  } catch (const std::system_error&) {
    // No thread to be had (ulimit): `finish` does it all.
  }
}

PrefixDigest::~PrefixDigest() = default;

void PrefixDigest::advance(std::uint64_t end) {
  const std::scoped_lock lock(mutex_);
  end_ = std::max(end_, end);
  wake_.notify_one();
}

Digest128 PrefixDigest::finish() {
  if (thread_.joinable()) {
    advance(bytes_);
    thread_.join();
    if (error_) std::rethrow_exception(error_);
  }
  hash_to(bytes_);
  return hasher_.digest();
}

void PrefixDigest::run(const std::stop_token& stop) {
  try {
    while (hashed_ < bytes_) {
      std::uint64_t end = 0;
      {
        std::unique_lock lock(mutex_);
        if (!wake_.wait(lock, stop, [this] { return end_ > hashed_; })) return;
        end = std::min(end_, hashed_ + kChunk);
      }
      if (stop.stop_requested()) return;
      hash_to(end);
    }
  } catch (...) {
    error_ = std::current_exception();
  }
}

void PrefixDigest::hash_to(std::uint64_t end) {
  while (hashed_ < end) {
    throw_if_cancelled();
    const auto part = std::span(buffer_).first(static_cast<std::size_t>(std::min(kChunk, end - hashed_)));
    file_.read_exact(hashed_, part);
    hasher_.update(part);
    hashed_ += part.size();
  }
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
