#pragma once
// Where parsers of files read from: a file, or memory in tests and fuzz targets.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/file.h"

namespace llm2mnn {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual std::uint64_t size() const = 0;
  /// Fills `out`. Precondition: [offset, offset + out.size()) lies inside size().
  virtual void read(std::uint64_t offset, std::span<std::byte> out) const = 0;
};

class FileSource : public ByteSource {
 public:
  /// `file` must outlive this.
  explicit FileSource(const File& file) : file_(file) {}
  std::uint64_t size() const override { return file_.size(); }
  void read(std::uint64_t offset, std::span<std::byte> out) const override { file_.read_exact(offset, out); }

 private:
  const File& file_;
};

class MemorySource : public ByteSource {
 public:
  explicit MemorySource(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::uint64_t size() const override { return bytes_.size(); }
  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    LLM2MNN_CHECK(offset <= bytes_.size() && out.size() <= bytes_.size() - offset);
    std::ranges::copy(bytes_.subspan(static_cast<std::size_t>(offset), out.size()), out.begin());
  }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace llm2mnn
