#include "verify/tokenizer_header.h"

#include <charconv>

namespace llm2mnn::verify {
namespace {

constexpr std::string_view kMagic = "430 ";

}  // namespace

std::vector<std::int64_t> read_numbers(const SectionReader& reader, std::string_view line,
                                       std::size_t line_begin) {
  std::vector<std::int64_t> numbers;
  if (line.ends_with(' ')) line.remove_suffix(1);
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t end = std::min(line.find(' ', at), line.size());
    std::int32_t number = 0;
    const auto read = std::from_chars(line.data() + at, line.data() + end, number);
    if (read.ec != std::errc{} || read.ptr != line.data() + end || number < 0)
      reader.refuse_at(line_begin + at, "{} is no number that the runtime reads",
                       shown(line.substr(at, end - at)));
    numbers.push_back(number);
    at = end + 1;
  }
  return numbers;
}

TokenizerHeader read_tokenizer_header(SectionReader& reader) {
  reader.enter("header");
  const std::string_view first = reader.line("the first line");
  if (first.size() != kMagic.size() + 1 || !first.starts_with(kMagic) || first.back() < '0' ||
      first.back() > '4')
    reader.refuse_at(0, "the first line is {}, expected '430 ' and a type from 0 to 4", shown(first));
  TokenizerHeader header;
  header.type = first.back() - '0';

  std::size_t begin = reader.offset();
  const auto counts = read_numbers(reader, reader.line("the line of counts"), begin);
  if (counts.size() != 3)
    reader.refuse_at(begin, "{} counts, expected 3 (special, stop, prefix)", counts.size());
  begin = reader.offset();
  const auto ids = read_numbers(reader, reader.line("the line of ids"), begin);
  if (const auto total = counts[0] + counts[1] + counts[2]; total != static_cast<std::int64_t>(ids.size()))
    reader.refuse_at(begin, "{} ids, but the counts say {}", ids.size(), total);
  auto at = ids.begin();
  header.special_ids.assign(at, at + counts[0]);
  at += counts[0];
  header.stop_ids.assign(at, at + counts[1]);
  at += counts[1];
  header.prefix_ids.assign(at, at + counts[2]);
  return header;
}

}  // namespace llm2mnn::verify
