#include "base/file.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace llm2mnn {
namespace {

std::string shown_name(const std::filesystem::path& path) {
  const std::string last = path.filename().string();
  return last.empty() ? path.string() : last;
}

[[noreturn]] void fail_write(const std::string& name, int error_number) {
  if (error_number == ENOSPC || error_number == EDQUOT) {
    fail(ErrorKind::kNoSpace, "{}: the disk is full; free some space and run again", shown(name));
  }
  fail(ErrorKind::kIo, "{}: cannot write: {}", shown(name), system_message(error_number));
}

}  // namespace

File::File(File&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), size_(other.size_), name_(std::move(other.name_)) {}

File& File::operator=(File&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = std::exchange(other.fd_, -1);
    size_ = other.size_;
    name_ = std::move(other.name_);
  }
  return *this;
}

File::~File() { close(); }

void File::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

File File::open_regular(const std::filesystem::path& path) {
  File file;
  file.name_ = shown_name(path);
  // O_NONBLOCK: opening a FIFO without a writer would hang.
  file.fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (file.fd_ < 0) {
    const int open_error = errno;
    struct stat link = {};
    if (open_error == ENOENT && lstat(path.c_str(), &link) == 0) {
      fail(ErrorKind::kIo, "{}: a link to a file that is not there; download it again", shown(file.name_));
    }
    fail(ErrorKind::kIo, "{}: cannot open: {}", shown(file.name_), system_message(open_error));
  }
  struct stat status = {};
  if (fstat(file.fd_, &status) != 0) {
    fail(ErrorKind::kIo, "{}: cannot read its size: {}", shown(file.name_), system_message(errno));
  }
  if (!S_ISREG(status.st_mode)) {
    fail(ErrorKind::kIo, "{}: not a regular file (a directory, pipe or device is not read)",
         shown(file.name_));
  }
  file.size_ = static_cast<std::uint64_t>(status.st_size);
  return file;
}

File File::create(const std::filesystem::path& path) {
  File file;
  file.name_ = shown_name(path);
  file.fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file.fd_ < 0) {
    if (errno == ENOSPC || errno == EDQUOT) fail_write(file.name_, errno);
    fail(ErrorKind::kIo, "{}: cannot create: {}", shown(file.name_), system_message(errno));
  }
  return file;
}

void File::read_exact(std::uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t got = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0) {
      if (errno == EINTR) continue;
      fail(ErrorKind::kIo, "{}: cannot read: {}", shown(name_), system_message(errno));
    }
    if (got == 0) {
      fail(ErrorKind::kIo, "{}: ends at byte {}, {} more were expected; it changed while it was read",
           shown(name_), offset, out.size());
    }
    out = out.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
}

void File::write_all(std::uint64_t offset, std::span<const std::byte> data) const {
  while (!data.empty()) {
    const ssize_t put = ::pwrite(fd_, data.data(), data.size(), static_cast<off_t>(offset));
    if (put < 0) {
      if (errno == EINTR) continue;
      fail_write(name_, errno);
    }
    data = data.subspan(static_cast<std::size_t>(put));
    offset += static_cast<std::uint64_t>(put);
  }
}

void File::reserve(std::uint64_t bytes) const {
  if (bytes == 0) return;
  while (::fallocate(fd_, 0, 0, static_cast<off_t>(bytes)) != 0) {
    if (errno == EINTR) continue;
    if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL) return;  // the file system cannot reserve
    fail_write(name_, errno);
  }
}

void File::sync() const {
  while (::fsync(fd_) != 0) {
    if (errno == EINTR) continue;
    fail_write(name_, errno);
  }
}

std::string read_text_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
  const File file = File::open_regular(path);
  if (file.size() > max_bytes) {
    fail(ErrorKind::kFormat, "{}: {} bytes, more than the limit of {} bytes for this file",
         shown(file.name()), file.size(), max_bytes);
  }
  std::string text(file.size(), '\0');
  file.read_exact(0, std::as_writable_bytes(std::span(text)));
  return text;
}

bool path_exists(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error) && !error;
}

bool entry_exists(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::symlink_status(path, error).type() != std::filesystem::file_type::not_found;
}

}  // namespace llm2mnn
