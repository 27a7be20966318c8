#include "checkpoint/torch_bin.h"

#include <algorithm>
#include <fmt/format.h>
#include <string>

#include "checkpoint/state_dict.h"
#include "checkpoint/zip_directory.h"

namespace llm2mnn {
namespace {

using namespace std::string_view_literals;

// 100,000 tensors take 20 MB.
constexpr std::uint64_t kMaxPickleBytes = 32'000'000;

std::string read_text(const ByteSource& source, std::uint64_t offset, std::uint64_t bytes) {
  std::string text(static_cast<std::size_t>(bytes), '\0');
  source.read(offset, std::as_writable_bytes(std::span(text)));
  return text;
}

// By the first bytes: what is no zip file, and what to do about it.
void check_magic(const ByteSource& source) {
  const std::string start = read_text(source, 0, std::min<std::uint64_t>(source.size(), 16));
  const auto starts_with = [&](std::string_view magic) { return std::string_view(start).starts_with(magic); };
  if (starts_with("PK\x03\x04"sv)) return;
  // The pickled magic number of the form before PyTorch 1.6.
  if (starts_with("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9"sv)) {
    fail(ErrorKind::kUnsupported, "saved in the form before PyTorch 1.6, which is not read; {}", kResave);
  }
  if (starts_with("\x80"sv)) {
    fail(ErrorKind::kUnsupported, "a bare pickle, not a file of torch.save; {}", kResave);
  }
  if (starts_with("version https://")) {
    fail(ErrorKind::kFormat,
         "a Git LFS pointer, not the weights; run 'git lfs pull' in the checkpoint directory");
  }
  fail(ErrorKind::kFormat, "not a PyTorch file (no zip header at its start); download it again");
}

// "NAME/" of the one folder with a data.pkl: torch.save calls it after the file.
std::string find_folder(const ZipDirectory& directory) {
  constexpr std::string_view kPickle = "/data.pkl";
  std::string folder;
  for (const ZipEntry& entry : directory.entries()) {
    if (!entry.name.ends_with(kPickle) || entry.name.find('/') != entry.name.size() - kPickle.size())
      continue;
    if (!folder.empty()) fail(ErrorKind::kFormat, "two entries 'data.pkl' in the archive");
    folder = entry.name.substr(0, entry.name.size() - kPickle.size() + 1);
  }
  if (folder.empty()) fail(ErrorKind::kFormat, "no 'data.pkl' in the archive: not a file of torch.save");
  return folder;
}

void check_byte_order(const ByteSource& source, const ZipEntry* entry) {
  if (entry == nullptr) return;  // before PyTorch 2.1 there was none, and it was little
  const std::string order = read_text(source, entry->offset, std::min<std::uint64_t>(entry->bytes, 16));
  if (order != "little") {
    fail(ErrorKind::kUnsupported, "byte order {}, only 'little' is read; {}", shown(order), kResave);
  }
}

}  // namespace

std::vector<TensorInfo> read_torch_bin(const ByteSource& source) {
  check_magic(source);
  const ZipDirectory directory = ZipDirectory::read(source);
  const std::string folder = find_folder(directory);
  if (directory.find(folder + "constants.pkl") != nullptr) {
    fail(ErrorKind::kUnsupported, "a TorchScript archive, not a dict of tensors; {}", kResave);
  }
  check_byte_order(source, directory.find(folder + "byteorder"));
  const ZipEntry* entry = directory.find(folder + "data.pkl");
  if (entry->bytes > kMaxPickleBytes) {
    fail(ErrorKind::kUnsupported, "'data.pkl' has {} bytes, more than the limit of {}", entry->bytes,
         kMaxPickleBytes);
  }
  const std::string pickle = read_text(source, entry->offset, entry->bytes);
  const FindStorage find_storage = [&](std::string_view key) -> std::optional<StorageSpan> {
    const ZipEntry* storage = directory.find(fmt::format("{}data/{}", folder, key));
    if (storage == nullptr) return std::nullopt;
    return StorageSpan{storage->offset, storage->bytes};
  };
  return read_state_dict(pickle, find_storage);
}

}  // namespace llm2mnn
