#include "convert/publish.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <limits>
#include <set>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/json.h"

namespace llm2mnn {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kStagingPrefix = ".llm2mnn-";
constexpr std::string_view kStagingSuffix = ".partial";
constexpr std::uint64_t kMaxManifestBytes = 16u
                                            << 20;  // ours are a few KB; hostile ones must not fill memory

fs::path parent_of(const fs::path& path) {
  const fs::path parent = path.parent_path();
  return parent.empty() ? fs::path(".") : parent;
}

bool is_mount_point(const fs::path& dir) {
  struct stat own = {};
  struct stat above = {};
  if (stat(dir.c_str(), &own) != 0 || stat((dir / "..").c_str(), &above) != 0) return false;
  return own.st_dev != above.st_dev || own.st_ino == above.st_ino;
}

// Names that the manifest of a package lists, itself included; kInvalidArgument when this is no manifest of
// ours.
std::set<std::string> manifest_files(const fs::path& dir) {
  std::set<std::string> names = {kManifestName};
  try {
    const JsonValue manifest = load_json(dir / kManifestName, {.max_bytes = kMaxManifestBytes});
    const JsonValue* tool = manifest.find("tool");
    const JsonValue* files = manifest.find("files");
    if (tool == nullptr || files == nullptr || tool->as_string() != "llm2mnn") {
      fail(ErrorKind::kFormat, "no manifest of llm2mnn");
    }
    for (const JsonValue& file : files->as_array()) {
      const JsonValue* name = file.find("name");
      if (name == nullptr) fail(ErrorKind::kFormat, "a file without a name");
      names.emplace(name->as_string());
    }
  } catch (const Error& error) {
    fail(ErrorKind::kInvalidArgument,
         "--dst_path {}: its {} is not a manifest of ours ({}), so --overwrite does not touch it; choose "
         "another --dst_path",
         shown(dir.string()), kManifestName, error.message());
  }
  return names;
}

// The first entry of `dir` that is not a regular file named in `expected`; empty when there is none.
std::string foreign_entry(const fs::path& dir, const std::set<std::string>& expected) {
  for (const fs::directory_entry& entry : fs::directory_iterator(dir)) {
    const std::string name = entry.path().filename().string();
    if (!expected.contains(name) || !fs::is_regular_file(entry.symlink_status())) return name;
  }
  return {};
}

void check_replaceable(const fs::path& dir, bool overwrite) {
  if (fs::is_empty(dir)) return;
  if (!overwrite) {
    fail(ErrorKind::kInvalidArgument,
         "--dst_path {}: the directory is not empty; choose another, or replace a package of ours with "
         "--overwrite",
         shown(dir.string()));
  }
  if (!path_exists(dir / kManifestName)) {
    fail(ErrorKind::kInvalidArgument,
         "--dst_path {}: --overwrite replaces only a package of ours, and there is no {} in it; choose "
         "another --dst_path",
         shown(dir.string()), kManifestName);
  }
  const std::string foreign = foreign_entry(dir, manifest_files(dir));
  if (!foreign.empty()) {
    fail(ErrorKind::kInvalidArgument,
         "--dst_path {}: {} is not part of the package in it, so --overwrite does not touch the directory; "
         "move it away or choose another --dst_path",
         shown(dir.string()), shown(foreign));
  }
}

std::string random_name() {
  std::array<unsigned char, 8> bytes{};
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    fail(ErrorKind::kIo, "cannot read random bytes: {}", system_message(errno));
  }
  std::string hex;
  for (const unsigned char byte : bytes)
    hex += fmt::format("{:02x}", byte);
  return fmt::format("{}{}{}", kStagingPrefix, hex, kStagingSuffix);
}

bool is_staging_name(const std::string& name) {
  return name.size() == kStagingPrefix.size() + 16 + kStagingSuffix.size() &&
         name.starts_with(kStagingPrefix) && name.ends_with(kStagingSuffix);
}

// Opens a directory and takes its lock; -1 when another process holds it or it is gone.
int lock_directory(const fs::path& dir) {
  const int fd = open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return -1;
  struct stat locked = {};
  struct stat named = {};
  // Between open and flock the directory may have been removed or replaced: then the lock is worthless.
  if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &locked) == 0 && lstat(dir.c_str(), &named) == 0 &&
      locked.st_ino == named.st_ino && locked.st_dev == named.st_dev) {
    return fd;
  }
  ::close(fd);
  return -1;
}

// Removes a directory of plain files (never follows a link, never descends).
void remove_flat(const fs::path& dir) {
  // Step by step: the loop of the language throws where a read fails, and destructors come here.
  std::error_code error;
  for (auto entry = fs::directory_iterator(dir, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    unlink(entry->path().c_str());
  }
  rmdir(dir.c_str());
}

void sync_directory(const fs::path& dir) {
  const int fd = open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);  // some file systems cannot sync a directory; the rename has happened all the same
  ::close(fd);
}

[[noreturn]] void fail_mkdir(const fs::path& dir, int error_number) {
  const ErrorKind kind =
      error_number == ENOSPC || error_number == EDQUOT ? ErrorKind::kNoSpace : ErrorKind::kIo;
  fail(kind, "--dst_path: cannot create directory {}: {}", shown(dir.string()), system_message(error_number));
}

[[noreturn]] void fail_destination(const fs::path& dst, int error_number) {
  const bool name_at_fault = error_number == ENAMETOOLONG || error_number == ENOTDIR || error_number == ELOOP;
  fail(name_at_fault ? ErrorKind::kInvalidArgument : ErrorKind::kIo, "--dst_path {}: {}; choose another name",
       shown(dst.string()), system_message(error_number));
}

// The absolute path with the links and `..` of its existing part resolved as the system would.
fs::path resolved(const fs::path& dst) {
  std::error_code error;
  fs::path absolute = fs::absolute(dst, error);
  if (error) {
    fail(ErrorKind::kIo, "--dst_path {}: the working directory cannot be read: {}", shown(dst.string()),
         system_message(error.value()));
  }
  while (!absolute.has_filename() && absolute.has_relative_path())
    absolute = absolute.parent_path();  // a trailing slash
  constexpr int kAttempts = 10;  // a failing export beside us may remove its parents while they are looked at
  fs::path target;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    target = fs::weakly_canonical(absolute, error);
    if (error != std::errc::no_such_file_or_directory) break;
  }
  if (error) fail_destination(dst, error.value());
  return target;
}

}  // namespace

fs::path check_destination(const fs::path& dst, bool overwrite) {
  if (dst.empty()) fail(ErrorKind::kInvalidArgument, "--dst_path: the name is empty");
  const fs::path target = resolved(dst);
  if (is_staging_name(target.filename().string())) {
    fail(ErrorKind::kInvalidArgument,
         "--dst_path {}: a later run would take this name for one of its own leftovers; choose another",
         shown(dst.string()));
  }
  struct stat status = {};
  if (lstat(target.c_str(), &status) != 0) {
    if (errno == ENOENT) return target;
    fail_destination(dst, errno);
  }
  if (S_ISLNK(status.st_mode)) {
    fail(ErrorKind::kInvalidArgument, "--dst_path {}: a link to nothing; remove it or choose another name",
         shown(dst.string()));
  }
  if (!S_ISDIR(status.st_mode)) {
    fail(ErrorKind::kInvalidArgument, "--dst_path {}: exists and is not a directory; choose another name",
         shown(dst.string()));
  }
  if (is_mount_point(target)) {
    fail(ErrorKind::kInvalidArgument,
         "--dst_path {}: a mount point cannot be replaced in one step; give a folder inside it",
         shown(dst.string()));
  }
  try {
    check_replaceable(target, overwrite);
  } catch (const fs::filesystem_error& fault) {
    fail(ErrorKind::kIo, "--dst_path {}: cannot read the directory: {}", shown(dst.string()),
         fault.code().message());
  }
  return target;
}

std::uint64_t free_bytes_for(const fs::path& dst) {
  fs::path existing = parent_of(dst);
  struct statvfs status = {};
  while (statvfs(existing.c_str(), &status) != 0) {
    if ((errno == ENOENT || errno == EACCES) && existing.has_relative_path()) {
      existing = parent_of(existing);
      continue;
    }
    fail(ErrorKind::kIo, "--dst_path {}: cannot read the free space: {}", shown(dst.string()),
         system_message(errno));
  }
  // Some network and pseudo file systems do not count; the write itself will tell.
  if (status.f_blocks == 0) return std::numeric_limits<std::uint64_t>::max();
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

StagingDirectory::StagingDirectory(fs::path destination) : destination_(std::move(destination)) {
  try {
    create_parents();
    remove_abandoned();
    create_staging();
  } catch (...) {
    for (auto parent = created_parents_.rbegin(); parent != created_parents_.rend(); ++parent)
      rmdir(parent->c_str());
    throw;
  }
}

void StagingDirectory::create_parents() {
  std::vector<fs::path> missing;  // innermost first
  for (fs::path dir = parent_of(destination_); !path_exists(dir); dir = parent_of(dir))
    missing.push_back(dir);
  for (auto dir = missing.rbegin(); dir != missing.rend(); ++dir) {
    if (mkdir(dir->c_str(), 0777) == 0) {
      created_parents_.push_back(*dir);
    } else if (errno != EEXIST && errno != ENOENT) {  // create_staging tries again when one has vanished
      fail_mkdir(*dir, errno);
    }
  }
}

void StagingDirectory::remove_abandoned() const {
  std::error_code ignored;
  std::vector<fs::path> candidates;
  for (auto entry = fs::directory_iterator(parent_of(destination_), ignored);
       !ignored && entry != fs::directory_iterator(); entry.increment(ignored)) {
    if (is_staging_name(entry->path().filename().string())) candidates.push_back(entry->path());
  }
  for (const fs::path& dir : candidates) {
    const int fd = lock_directory(dir);
    if (fd < 0) continue;  // its writer is alive
    remove_flat(dir);
    ::close(fd);
  }
}

void StagingDirectory::create_staging() {
  // A cleaner may take the directory between mkdir and flock, and a failing export beside us may take the
  // parents that it made; they cannot do so for ever.
  constexpr int kAttempts = 100;
  int mkdir_error = 0;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const fs::path candidate = parent_of(destination_) / random_name();
    mkdir_error = mkdir(candidate.c_str(), 0777) == 0 ? 0 : errno;
    if (mkdir_error == EEXIST) continue;
    if (mkdir_error == ENOENT) {
      create_parents();
      continue;
    }
    if (mkdir_error != 0) break;
    lock_fd_ = lock_directory(candidate);
    if (lock_fd_ >= 0) {
      staging_ = candidate;
      return;
    }
    rmdir(candidate.c_str());
  }
  if (mkdir_error != 0) fail_mkdir(destination_, mkdir_error);
  fail(ErrorKind::kIo,
       "--dst_path: cannot lock a temporary directory beside {}; does the file system support flock?",
       shown(destination_.string()));
}

StagingDirectory::~StagingDirectory() {
  if (!published_) {
    remove_flat(staging_);
    for (auto parent = created_parents_.rbegin(); parent != created_parents_.rend(); ++parent)
      rmdir(parent->c_str());
  }
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

File StagingDirectory::create_file(const std::string& name) { return File::create(staging_ / name); }

File StagingDirectory::write_file(const std::string& name, std::span<const std::byte> content) {
  File file = create_file(name);
  file.write_all(0, content);
  return file;
}

void StagingDirectory::publish(bool overwrite) {
  sync_directory(staging_);
  throw_if_cancelled();
  // A plain rename takes the place of nothing or of an empty directory, atomically.
  if (::rename(staging_.c_str(), destination_.c_str()) == 0) {
    published_ = true;
    ignore_cancel_signals();
    sync_directory(parent_of(destination_));
    for (const fs::path& created : created_parents_)
      sync_directory(parent_of(created));
    return;
  }
  const int rename_error = errno;
  if (!overwrite || (rename_error != ENOTEMPTY && rename_error != EEXIST)) {
    if (rename_error == ENOTEMPTY || rename_error == EEXIST) {
      fail(ErrorKind::kInvalidArgument,
           "--dst_path {}: something else was put there in the meantime; nothing was replaced",
           shown(destination_.string()));
    }
    fail(ErrorKind::kIo, "--dst_path {}: cannot rename the finished package into place: {}",
         shown(destination_.string()), system_message(rename_error));
  }
  check_replaceable(destination_, overwrite);  // once more: the export took a while
  if (renameat2(AT_FDCWD, staging_.c_str(), AT_FDCWD, destination_.c_str(), RENAME_EXCHANGE) != 0) {
    fail(ErrorKind::kIo,
         "--dst_path {}: this file system cannot exchange two directories in one step ({}); remove the old "
         "package and run again",
         shown(destination_.string()), system_message(errno));
  }
  published_ = true;
  ignore_cancel_signals();
  sync_directory(parent_of(destination_));
  remove_flat(staging_);  // now the old package
}

}  // namespace llm2mnn
