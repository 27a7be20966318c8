#include "checkpoint/zip_directory.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>

#include "base/checked.h"
#include "checkpoint/tensor_info.h"

namespace llm2mnn {
namespace {

constexpr std::uint32_t kEndSignature = 0x06054b50;
constexpr std::uint32_t kEnd64Signature = 0x06064b50;
constexpr std::uint32_t kLocator64Signature = 0x07064b50;
constexpr std::uint32_t kCentralSignature = 0x02014b50;
constexpr std::uint32_t kLocalSignature = 0x04034b50;
constexpr std::uint64_t kEndBytes = 22;
constexpr std::uint64_t kEnd64Bytes = 56;
constexpr std::uint64_t kLocator64Bytes = 20;
constexpr std::uint64_t kCentralBytes = 46;
constexpr std::uint64_t kLocalBytes = 30;
constexpr std::uint64_t kMaxCommentBytes = 0xFFFF;
constexpr std::uint32_t kIn64 = 0xFFFFFFFF;  // "the value is in the zip64 field"
// torch.save adds seven entries of its own.
constexpr std::uint64_t kMaxEntries = kMaxTensors + 16;
// kMaxEntries of 46 bytes, a name such as "pytorch_model-00001-of-00002/data/123456" and a zip64 field.
constexpr std::uint64_t kMaxDirectoryBytes = 40'000'000;

// Little-endian numbers from a checked run of bytes.
class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::size_t left() const { return bytes_.size(); }
  /// The next `count` bytes. @throws Error(kFormat) when there are fewer.
  std::span<const std::byte> take(std::size_t count) {
    if (count > bytes_.size()) fail(ErrorKind::kFormat, "broken zip directory: a record is cut off");
    const std::span<const std::byte> out = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return out;
  }
  template <typename T>
  T number() {
    T value = 0;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }
  std::uint16_t u16() { return number<std::uint16_t>(); }
  std::uint32_t u32() { return number<std::uint32_t>(); }
  std::uint64_t u64() { return number<std::uint64_t>(); }

 private:
  std::span<const std::byte> bytes_;
};

std::vector<std::byte> read_bytes(const ByteSource& source, std::uint64_t offset, std::uint64_t count) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(count));
  source.read(offset, bytes);
  return bytes;
}

[[noreturn]] void fail_parts() {
  fail(ErrorKind::kUnsupported, "a zip archive in several parts; {}", kResave);
}

struct DirectorySpan {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t num_entries = 0;
  std::uint64_t limit = 0;  // where the directory must end: at the records behind it
};

// The record at the very end of the file, behind which only its own comment may stand.
std::uint64_t find_end(const ByteSource& source) {
  const std::uint64_t tail_bytes = std::min(source.size(), kEndBytes + kMaxCommentBytes);
  const std::vector<std::byte> tail = read_bytes(source, source.size() - tail_bytes, tail_bytes);
  for (std::uint64_t back = kEndBytes; back <= tail_bytes; ++back) {
    Cursor cursor(std::span<const std::byte>(tail).last(static_cast<std::size_t>(back)));
    if (cursor.u32() != kEndSignature) continue;
    cursor.take(16);
    if (cursor.u16() == back - kEndBytes) return source.size() - back;
  }
  fail(ErrorKind::kFormat, "no zip directory at its end; it is cut off, download it again");
}

std::optional<DirectorySpan> read_end64(const ByteSource& source, std::uint64_t end) {
  if (end < kLocator64Bytes + kEnd64Bytes) return std::nullopt;
  const std::vector<std::byte> locator = read_bytes(source, end - kLocator64Bytes, kLocator64Bytes);
  Cursor where(locator);
  if (where.u32() != kLocator64Signature) return std::nullopt;
  const std::uint32_t part = where.u32();
  const std::uint64_t offset = where.u64();
  if (part != 0 || where.u32() > 1) fail_parts();
  if (offset != end - kLocator64Bytes - kEnd64Bytes) {
    fail(ErrorKind::kFormat, "broken zip directory: the zip64 record is said to be at byte {}, expected {}",
         offset, end - kLocator64Bytes - kEnd64Bytes);
  }
  const std::vector<std::byte> record = read_bytes(source, offset, kEnd64Bytes);
  Cursor cursor(record);
  if (cursor.u32() != kEnd64Signature || cursor.u64() != kEnd64Bytes - 12) {
    fail(ErrorKind::kFormat, "broken zip directory: no zip64 record at byte {}", offset);
  }
  cursor.take(4);
  if (cursor.u32() != 0 || cursor.u32() != 0) fail_parts();
  DirectorySpan span;
  const std::uint64_t num_here = cursor.u64();
  span.num_entries = cursor.u64();
  span.bytes = cursor.u64();
  span.offset = cursor.u64();
  span.limit = offset;
  if (num_here != span.num_entries) fail_parts();
  return span;
}

DirectorySpan find_directory(const ByteSource& source) {
  const std::uint64_t end = find_end(source);
  const std::vector<std::byte> record = read_bytes(source, end, kEndBytes);
  Cursor cursor(record);
  cursor.take(4);
  const std::uint16_t part = cursor.u16();
  const std::uint16_t start_part = cursor.u16();
  const std::uint16_t num_here = cursor.u16();
  const std::uint16_t num_entries = cursor.u16();
  DirectorySpan span;
  span.num_entries = num_entries;
  span.bytes = cursor.u32();
  span.offset = cursor.u32();
  span.limit = end;
  if (const std::optional<DirectorySpan> large = read_end64(source, end)) {
    span = *large;
  } else if (part != 0 || start_part != 0 || num_here != num_entries) {
    fail_parts();
  }
  if (span.bytes > span.limit || span.offset != span.limit - span.bytes) {
    fail(ErrorKind::kFormat, "broken zip directory: {} bytes at byte {} do not end at byte {}", span.bytes,
         span.offset, span.limit);
  }
  if (span.num_entries > kMaxEntries || span.bytes > kMaxDirectoryBytes) {
    fail(ErrorKind::kUnsupported,
         "a zip directory of {} entries and {} bytes, more than the limits {} and {}", span.num_entries,
         span.bytes, kMaxEntries, kMaxDirectoryBytes);
  }
  return span;
}

// Replaces sizes and offset that say "see zip64" by the values of the extra field.
void apply_zip64(Cursor extra, std::uint64_t& stored, std::uint64_t& compressed, std::uint64_t& local_offset,
                 std::string_view name) {
  if (stored != kIn64 && compressed != kIn64 && local_offset != kIn64) return;
  while (extra.left() >= 4) {
    const std::uint16_t id = extra.u16();
    Cursor field(extra.take(extra.u16()));
    if (id != 1) continue;
    if (stored == kIn64) stored = field.u64();
    if (compressed == kIn64) compressed = field.u64();
    if (local_offset == kIn64) local_offset = field.u64();
    return;
  }
  fail(ErrorKind::kFormat, "zip entry {}: its zip64 field is missing", shown(name));
}

void check_kind(std::string_view name, std::uint16_t flags, std::uint16_t method) {
  constexpr unsigned kEncrypted = 0x2041;  // bits 0, 6 and 13: encryption, strong encryption, hidden headers
  if ((flags & kEncrypted) != 0)
    fail(ErrorKind::kUnsupported, "zip entry {} is encrypted; {}", shown(name), kResave);
  if (method != 0) {
    fail(ErrorKind::kUnsupported, "zip entry {} is compressed (method {}), torch.save stores; {}",
         shown(name), method, kResave);
  }
}

struct CentralRecord {
  ZipEntry entry;
  std::uint64_t local_offset = 0;
  std::uint16_t flags = 0;
};

CentralRecord parse_central(Cursor& cursor) {
  if (cursor.left() < kCentralBytes || cursor.u32() != kCentralSignature) {
    fail(ErrorKind::kFormat, "broken zip directory: an entry is missing");
  }
  CentralRecord record;
  cursor.take(4);  // versions
  record.flags = cursor.u16();
  const std::uint16_t method = cursor.u16();
  cursor.take(8);  // time and CRC: torch.save can leave the CRC wrong (set_crc32_options)
  std::uint64_t compressed = cursor.u32();
  std::uint64_t stored = cursor.u32();
  const std::uint16_t name_bytes = cursor.u16();
  const std::uint16_t extra_bytes = cursor.u16();
  const std::uint16_t comment_bytes = cursor.u16();
  const std::uint16_t part = cursor.u16();
  cursor.take(6);  // attributes
  record.local_offset = cursor.u32();
  const std::span<const std::byte> name = cursor.take(name_bytes);
  record.entry.name.assign(reinterpret_cast<const char*>(name.data()), name.size());
  const Cursor extra(cursor.take(extra_bytes));
  cursor.take(comment_bytes);
  if (part != 0) fail_parts();
  apply_zip64(extra, stored, compressed, record.local_offset, record.entry.name);
  check_kind(record.entry.name, record.flags, method);
  if (stored != compressed) {
    fail(ErrorKind::kFormat, "zip entry {}: {} bytes stored as {}", shown(record.entry.name), stored,
         compressed);
  }
  record.entry.bytes = stored;
  return record;
}

// Finds where the data start, and that the local header tells the same as the directory.
void read_local(const ByteSource& source, std::uint64_t limit, CentralRecord& record) {
  ZipEntry& entry = record.entry;
  const std::uint64_t header_bytes = kLocalBytes + entry.name.size();
  if (record.local_offset > limit || header_bytes > limit - record.local_offset) {
    fail(ErrorKind::kFormat, "zip entry {}: its header at byte {} is outside of the file", shown(entry.name),
         record.local_offset);
  }
  const std::vector<std::byte> bytes = read_bytes(source, record.local_offset, header_bytes);
  Cursor cursor(bytes);
  const std::uint32_t signature = cursor.u32();
  cursor.take(2);
  const std::uint16_t flags = cursor.u16();
  const std::uint16_t method = cursor.u16();
  cursor.take(16);  // time, CRC; sizes, which may follow the data instead
  const std::uint16_t name_bytes = cursor.u16();
  const std::uint16_t extra_bytes = cursor.u16();
  const bool same_name = name_bytes == entry.name.size() &&
                         std::memcmp(cursor.take(name_bytes).data(), entry.name.data(), name_bytes) == 0;
  if (signature != kLocalSignature || !same_name || flags != record.flags || method != 0) {
    fail(ErrorKind::kFormat, "zip entry {}: its header at byte {} does not agree with the directory",
         shown(entry.name), record.local_offset);
  }
  entry.offset = record.local_offset + header_bytes + extra_bytes;
  if (entry.offset > limit || entry.bytes > limit - entry.offset) {
    fail(ErrorKind::kFormat, "zip entry {}: {} bytes at byte {} do not fit into the file; download it again",
         shown(entry.name), entry.bytes, entry.offset);
  }
}

void check_overlaps(std::vector<CentralRecord>& records) {
  std::sort(records.begin(), records.end(),
            [](const auto& a, const auto& b) { return a.local_offset < b.local_offset; });
  for (std::size_t i = 1; i < records.size(); ++i) {
    const ZipEntry& before = records[i - 1].entry;
    if (records[i].local_offset < before.offset + before.bytes) {
      fail(ErrorKind::kFormat, "zip entries {} and {} overlap", shown(before.name),
           shown(records[i].entry.name));
    }
  }
}

}  // namespace

ZipDirectory ZipDirectory::read(const ByteSource& source) {
  const DirectorySpan span = find_directory(source);
  std::vector<CentralRecord> records;
  {
    const std::vector<std::byte> bytes = read_bytes(source, span.offset, span.bytes);
    Cursor cursor(bytes);
    for (std::uint64_t i = 0; i < span.num_entries; ++i)
      records.push_back(parse_central(cursor));
    if (cursor.left() != 0) {
      fail(ErrorKind::kFormat, "broken zip directory: {} bytes behind its last entry", cursor.left());
    }
  }
  for (CentralRecord& record : records)
    read_local(source, span.offset, record);
  check_overlaps(records);
  ZipDirectory out;
  for (CentralRecord& record : records)
    out.entries_.push_back(std::move(record.entry));
  std::sort(out.entries_.begin(), out.entries_.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  const auto twice = std::adjacent_find(out.entries_.begin(), out.entries_.end(),
                                        [](const auto& a, const auto& b) { return a.name == b.name; });
  if (twice != out.entries_.end()) fail(ErrorKind::kFormat, "zip entry {} appears twice", shown(twice->name));
  return out;
}

const ZipEntry* ZipDirectory::find(std::string_view name) const {
  const auto found =
      std::lower_bound(entries_.begin(), entries_.end(), name,
                       [](const ZipEntry& entry, std::string_view key) { return entry.name < key; });
  return found != entries_.end() && found->name == name ? &*found : nullptr;
}

}  // namespace llm2mnn
