#pragma once
// All or nothing: a package is written in a hidden staging directory beside its destination and renamed into
// place.
//
// The staging directory has a random name and carries a lock (flock on the directory itself) for as long as
// its writer lives; a later run removes staging directories whose lock is free, so that `kill -9` leaves
// nothing behind for long.

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "convert/package_names.h"

namespace llm2mnn {

/// Checks `dst` without touching anything: absent or an empty directory, or, with `overwrite`, a directory
/// that holds nothing but a package of ours.
/// @return the destination with symlinks resolved.
/// @throws Error(kInvalidArgument) naming what stands in the way and the remedy.
std::filesystem::path check_destination(const std::filesystem::path& dst, bool overwrite);

/// Bytes that an unprivileged writer can still put on the file system that will hold `dst`.
std::uint64_t free_bytes_for(const std::filesystem::path& dst);

class StagingDirectory {
 public:
  /// Removes abandoned staging directories beside `destination` (a result of check_destination), creates
  /// missing parents, then a fresh staging directory.
  explicit StagingDirectory(std::filesystem::path destination);
  /// Unless published: removes the staging directory and every parent that it created.
  ~StagingDirectory();
  StagingDirectory(const StagingDirectory&) = delete;
  StagingDirectory& operator=(const StagingDirectory&) = delete;

  /// Creates a file of the package. `name` is a plain file name.
  File create_file(const std::string& name);
  /// Creates a small file with its whole content; the caller syncs it.
  File write_file(const std::string& name, std::span<const std::byte> content);
  /// Renames the staging directory to the destination (exchanging it with a package to be replaced, which is
  /// then removed). From its return on the export has succeeded, whatever happens. Signals are ignored from
  /// the rename on.
  void publish(bool overwrite);

 private:
  void create_parents();
  void create_staging();
  void remove_abandoned() const;

  std::filesystem::path destination_;
  std::filesystem::path staging_;
  std::vector<std::filesystem::path> created_parents_;  // outermost first
  int lock_fd_ = -1;
  bool published_ = false;
};

}  // namespace llm2mnn
