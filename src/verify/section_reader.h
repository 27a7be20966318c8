#pragma once
// Little-endian values from a file of hostile bytes. Every error names the section and the byte offset.

#include <cstddef>
#include <cstdint>
#include <fmt/format.h>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace llm2mnn::verify {

class SectionReader {
 public:
  explicit SectionReader(std::string_view file) : file_(file) {}

  /// What errors call the part that is read from here on.
  void enter(std::string_view section) { section_ = section; }
  std::size_t offset() const { return at_; }
  std::size_t remaining() const { return file_.size() - at_; }

  std::uint8_t u8(std::string_view what) { return static_cast<std::uint8_t>(number(1, what)); }
  std::uint16_t u16(std::string_view what) { return static_cast<std::uint16_t>(number(2, what)); }
  std::uint32_t u32(std::string_view what) { return static_cast<std::uint32_t>(number(4, what)); }
  double f64(std::string_view what);
  /// A byte that is 0 or 1.
  bool flag(std::string_view what);
  /// A count of things that take at least `least_bytes` each.
  std::uint32_t count(std::size_t least_bytes, std::string_view what);
  /// u16 length and UTF-8.
  std::string_view text(std::string_view what);
  std::string_view bytes(std::size_t size, std::string_view what);
  /// Up to a line feed, which is taken but not part of the line. A carriage return is an error.
  std::string_view line(std::string_view what);

  /// @throws Error kFormat: "section, byte N: ..." (at `offset` of the file).
  template <typename... Args>
  [[noreturn]] void refuse_at(std::size_t offset, fmt::format_string<Args...> format, Args&&... args) const {
    fail(ErrorKind::kFormat, "{}, byte {}: {}", section_, offset,
         fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  std::uint64_t number(std::size_t size, std::string_view what);

  std::string_view file_;
  std::string_view section_;
  std::size_t at_ = 0;
};

}  // namespace llm2mnn::verify
