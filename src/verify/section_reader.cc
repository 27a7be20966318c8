#include "verify/section_reader.h"

#include <bit>

#include "base/json.h"

namespace llm2mnn::verify {

std::uint64_t SectionReader::number(std::size_t size, std::string_view what) {
  const std::string_view raw = bytes(size, what);
  std::uint64_t value = 0;
  for (std::size_t i = size; i-- > 0;)
    value = value << 8 | static_cast<unsigned char>(raw[i]);
  return value;
}

double SectionReader::f64(std::string_view what) { return std::bit_cast<double>(number(8, what)); }

bool SectionReader::flag(std::string_view what) {
  const std::size_t begin = at_;
  const std::uint8_t value = u8(what);
  if (value > 1) refuse_at(begin, "{} is {}, expected 0 or 1", what, value);
  return value == 1;
}

std::uint32_t SectionReader::count(std::size_t least_bytes, std::string_view what) {
  const std::size_t begin = at_;
  const std::uint32_t value = u32(what);
  if (value > remaining() / least_bytes)
    refuse_at(begin, "{} {} do not fit into the {} bytes that follow", value, what, remaining());
  return value;
}

std::string_view SectionReader::text(std::string_view what) {
  const std::size_t begin = at_;
  const std::string_view value = bytes(u16(what), what);
  if (!is_utf8(value)) refuse_at(begin, "{} {} is not UTF-8", what, shown(value));
  return value;
}

std::string_view SectionReader::bytes(std::size_t size, std::string_view what) {
  if (size > remaining())
    refuse_at(at_, "{} needs {} bytes, {} are left in the file", what, size, remaining());
  at_ += size;
  return file_.substr(at_ - size, size);
}

std::string_view SectionReader::line(std::string_view what) {
  const std::size_t end = file_.find('\n', at_);
  if (end == std::string_view::npos) refuse_at(at_, "{} has no line feed at its end", what);
  const std::string_view value = file_.substr(at_, end - at_);
  if (value.ends_with('\r'))
    refuse_at(end, "{} ends in a carriage return; lines end in a line feed only", what);
  at_ = end + 1;
  return value;
}

}  // namespace llm2mnn::verify
