#pragma once
// Digests of whole files.

#include <condition_variable>
#include <exception>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/hash.h"

namespace llm2mnn {

/// XXH3-128 of the first `bytes` bytes. @throws kCancelled when a signal came.
Digest128 digest_of_file(const File& file, std::uint64_t bytes);

/// The same of a file that is being written from its begin to its end, on a thread of its own: little is left
/// to read when the last byte is there.
class PrefixDigest {
 public:
  /// `file` must outlive this.
  PrefixDigest(const File& file, std::uint64_t bytes);
  /// Gives up, unless finished.
  ~PrefixDigest();
  PrefixDigest(const PrefixDigest&) = delete;
  PrefixDigest& operator=(const PrefixDigest&) = delete;

  /// The bytes below `end` change no more.
  void advance(std::uint64_t end);
  /// All bytes are there: waits for the digest. Once. @throws as digest_of_file.
  Digest128 finish();

 private:
  void run(const std::stop_token& stop);
  void hash_to(std::uint64_t end);

  const File& file_;
  const std::uint64_t bytes_;
  Hasher128 hasher_;
  std::vector<std::byte> buffer_;
  std::uint64_t hashed_ = 0;  // the thread's own until it ends
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::uint64_t end_ = 0;
  std::exception_ptr error_;
  std::jthread thread_;
};

/// Of the data files of an ONNX file: all of `files` but the first, one after the other.
Digest128 digest_of_files(const std::filesystem::path& dir, const std::vector<std::string>& files);

}  // namespace llm2mnn
