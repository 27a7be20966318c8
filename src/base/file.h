#pragma once
// Files by descriptor: pread and pwrite only (never mmap: a page-cache fault would count as our memory, and a
// truncated file would be a SIGBUS).

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "base/error.h"

namespace llm2mnn {

/// An open file descriptor. Move-only; closes itself.
class File {
 public:
  File() = default;
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File();

  /// Opens a regular file for reading. Symlinks are followed (the Hugging Face cache is made of them); a
  /// FIFO, device, directory or loop is kIo without blocking.
  static File open_regular(const std::filesystem::path& path);
  /// Creates a new file for reading and writing; kIo when it exists.
  static File create(const std::filesystem::path& path);

  bool is_open() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  std::uint64_t size() const { return size_; }
  const std::string& name() const { return name_; }

  /// Fills `out` from `offset`; kIo when the file ends early (it was truncated after it was opened).
  void read_exact(std::uint64_t offset, std::span<std::byte> out) const;
  /// Writes all of `data` at `offset`; kNoSpace on a full disk or quota.
  void write_all(std::uint64_t offset, std::span<const std::byte> data) const;
  /// Reserves `bytes` of disk space where the file system can; kNoSpace when it is full.
  void reserve(std::uint64_t bytes) const;
  void sync() const;
  void close();

 private:
  int fd_ = -1;
  std::uint64_t size_ = 0;
  std::string name_;  // as shown in messages: the last component of the path
};

/// Whole content of a regular file; kFormat naming `max_bytes` when it is larger.
std::string read_text_file(const std::filesystem::path& path, std::uint64_t max_bytes);

/// Whether `path` exists as anything but a dangling link.
bool path_exists(const std::filesystem::path& path);
/// Also true for what is there but cannot be opened (a dangling link, a loop, no permission): opening it
/// gives the reason, passing it over would take something else in silence.
bool entry_exists(const std::filesystem::path& path);

}  // namespace llm2mnn
