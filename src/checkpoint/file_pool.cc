#include "checkpoint/file_pool.h"

#include <cerrno>
#include <sys/stat.h>

#include "base/checked.h"

namespace llm2mnn {

FilePool::Identity FilePool::identify(const File& file) {
  struct stat status = {};
  if (fstat(file.fd(), &status) != 0) {
    fail(ErrorKind::kIo, "{}: cannot read its size: {}", shown(file.name()), system_message(errno));
  }
  return {status.st_dev, status.st_ino, status.st_size, status.st_mtim};
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
  const Identity now = identify(*file);
  const Identity& then = entry.identity;
  if (now.device != then.device || now.inode != then.inode || now.bytes != then.bytes ||
      now.modified.tv_sec != then.modified.tv_sec || now.modified.tv_nsec != then.modified.tv_nsec) {
    fail(ErrorKind::kIo, "{}: it changed while it was read; run again", shown(file->name()));
  }
  keep(file_idx, file);
  return file;
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
