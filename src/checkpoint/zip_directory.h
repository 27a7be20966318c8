#pragma once
// The directory of a zip file whose entries are stored without compression, zip64 included.
// Source: PKWARE APPNOTE.TXT 6.3, sections 4.3 and 4.5.3.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_source.h"

namespace llm2mnn {

struct ZipEntry {
  std::string name;
  std::uint64_t offset = 0;  ///< of the first data byte, in the file
  std::uint64_t bytes = 0;
};

/// Entries sorted by name, names unique; every span lies before the directory and none overlaps another.
class ZipDirectory {
 public:
  /// Reads and checks the central directory and every local header.
  /// @throws Error(kFormat) for a broken file, Error(kUnsupported) for compressed or encrypted entries and
  /// for archives in several parts, by name and without the file's name.
  static ZipDirectory read(const ByteSource& source);
  const std::vector<ZipEntry>& entries() const { return entries_; }
  /// Null when there is none.
  const ZipEntry* find(std::string_view name) const;

 private:
  std::vector<ZipEntry> entries_;
};

}  // namespace llm2mnn
