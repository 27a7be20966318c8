#include "checkpoint/file_pool.h"

#include <cerrno>
#include <sys/stat.h>

#include "base/checked.h"

namespace llm2mnn {
namespace {

[[noreturn]] void fail_changed(const File& file) {
  fail(ErrorKind::kIo, "{}: it changed while it was read; run again", shown(file.name()));
}

}  // namespace

FilePool::Identity FilePool::identify(const File& file) {
  struct stat status = {};
  if (fstat(file.fd(), &status) != 0) {
    fail(ErrorKind::kIo, "{}: cannot read its size: {}", shown(file.name()), system_message(errno));
  }
  return {status.st_dev, status.st_ino, status.st_size, status.st_mtim};
}

bool FilePool::is_same(const Identity& a, const Identity& b) {
  return a.device == b.device && a.inode == b.inode && a.bytes == b.bytes &&
         a.modified.tv_sec == b.modified.tv_sec && a.modified.tv_nsec == b.modified.tv_nsec;
}

std::uint32_t FilePool::add(const std::filesystem::path& path) {
  auto file = std::make_shared<const File>(File::open_regular(path));
  const std::lock_guard lock(mutex_);
  const auto file_idx = checked_cast<std::uint32_t>(entries_.size());
  entries_.push_back({path, identify(*file), nullptr, {}});
  keep(file_idx, std::move(file));
  return file_idx;
}

std::shared_ptr<const File> FilePool::get(std::uint32_t file_idx) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_.at(file_idx);
  if (entry.file != nullptr) {
    recent_.splice(recent_.begin(), recent_, entry.position);
    return entry.file;
  }
  auto file = std::make_shared<const File>(File::open_regular(entry.path));
  if (!is_same(identify(*file), entry.identity)) fail_changed(*file);
  keep(file_idx, file);
  return file;
}

void FilePool::check_unchanged() {
  const std::lock_guard lock(mutex_);
  for (const Entry& entry : entries_) {
    // An open file is asked itself: its name may stand for another file by now, which nobody has read.
    const auto file =
        entry.file != nullptr ? entry.file : std::make_shared<const File>(File::open_regular(entry.path));
    if (!is_same(identify(*file), entry.identity)) fail_changed(*file);
  }
}

void FilePool::keep(std::uint32_t file_idx, std::shared_ptr<const File> file) {
  if (recent_.size() == kMaxOpen) {
    entries_[recent_.back()].file.reset();
    recent_.pop_back();
  }
  recent_.push_front(file_idx);
  entries_[file_idx].file = std::move(file);
  entries_[file_idx].position = recent_.begin();
}

}  // namespace llm2mnn
