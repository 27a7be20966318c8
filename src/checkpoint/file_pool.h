#pragma once
// Many files behind few descriptors: a checkpoint of 300 shards works under `ulimit -n 64`.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <sys/types.h>
#include <vector>

#include "base/file.h"

namespace llm2mnn {

/// Regular files by index. At most `kMaxOpen` of them are open at a time (plus those being read); the others
/// are opened again when needed, and refused if they are no longer what they were. Thread-safe.
class FilePool {
 public:
  /// Half of the smallest limit in use (64): the rest is for the output and the libraries.
  static constexpr std::size_t kMaxOpen = 32;

  /// Adds a file, opens it, remembers what it is. Not to be mixed with reads from other threads.
  std::uint32_t add(const std::filesystem::path& path);
  std::size_t size() const { return entries_.size(); }
  /// The open file. Holding it keeps it open.
  std::shared_ptr<const File> get(std::uint32_t file_idx);
  /// @throws Error(kIo) naming a file that is no longer what it was when it was added: what was read from it
  /// may be of two versions.
  void check_unchanged();

 private:
  // What must not change between two openings.
  struct Identity {
    dev_t device = 0;
    ino_t inode = 0;
    off_t bytes = 0;
    timespec modified = {};
  };
  struct Entry {
    std::filesystem::path path;
    Identity identity;
    std::shared_ptr<const File> file;             // null when closed
    std::list<std::uint32_t>::iterator position;  // in recent_, when open
  };

  static Identity identify(const File& file);
  static bool is_same(const Identity& a, const Identity& b);
  void keep(std::uint32_t file_idx, std::shared_ptr<const File> file);

  std::mutex mutex_;
  std::vector<Entry> entries_;
  std::list<std::uint32_t> recent_;  // open files, the latest used first
};

}  // namespace llm2mnn
