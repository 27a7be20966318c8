#include "base/error.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <vector>

#include "base/utf8.h"

namespace llm2mnn {
namespace {

// Length of the valid UTF-8 sequence at the front of `text`, or 0.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xC0u) == 0x80u; };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead < 0xE0) return continues(1) ? 2 : 0;
  if (lead >= 0xE0 && lead < 0xF0) {
    if (!continues(1) || !continues(2)) return 0;
    if (lead == 0xE0 && byte(1) < 0xA0) return 0;
    return lead == 0xED && byte(1) >= 0xA0 ? 0 : 3;
  }
  if (lead >= 0xF0 && lead < 0xF5) {
    if (!continues(1) || !continues(2) || !continues(3)) return 0;
    if (lead == 0xF0 && byte(1) < 0x90) return 0;
    return lead == 0xF4 && byte(1) >= 0x90 ? 0 : 4;
  }
  return 0;
}

// Whether a terminal could take the sequence as a command: C0, DEL, C1, and the bidirectional controls.
bool is_unsafe(std::string_view sequence) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(sequence[i]); };
  if (sequence.size() == 1) return byte(0) < 0x20 || byte(0) == 0x7F;
  if (sequence.size() == 2) return byte(0) == 0xC2 && byte(1) < 0xA0;
  if (sequence.size() == 3 && byte(0) == 0xE2) {
    if (byte(1) == 0x80) return (byte(2) >= 0x8B && byte(2) <= 0x8F) || (byte(2) >= 0xA8 && byte(2) <= 0xAE);
    return byte(1) == 0x81 && byte(2) >= 0xA0 && byte(2) <= 0xAF;
  }
  return false;
}

// Length of the sequence at the front of a non-empty `text`: an invalid byte counts alone.
std::size_t sequence_bytes(std::string_view text) { return std::max<std::size_t>(1, utf8_length(text)); }

// One sequence as it stands in a message.
std::string escaped(std::string_view sequence) {
  if (utf8_length(sequence) == 0 || is_unsafe(sequence)) {
    std::string out;
    for (const char c : sequence)
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    return out;
  }
  if (sequence == "'" || sequence == "\\") return fmt::format("\\{}", sequence);
  return std::string(sequence);
}

}  // namespace

int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalidArgument:
      return 2;
    case ErrorKind::kFormat:
      return 3;
    case ErrorKind::kUnsupported:
      return 4;
    case ErrorKind::kIo:
      return 5;
    case ErrorKind::kNoSpace:
      return 6;
    case ErrorKind::kCancelled:
      return 130;
    case ErrorKind::kInternal:
      return 70;
  }
  return 70;
}

std::string shown(std::string_view name, std::size_t max_bytes) {
  const std::size_t head_bytes = max_bytes * 2 / 3;
  std::string all;
  std::string head;
  std::size_t head_end = 0;
  std::size_t i = 0;
  for (; i < name.size() && all.size() <= max_bytes; i += sequence_bytes(name.substr(i))) {
    all += escaped(name.substr(i, sequence_bytes(name.substr(i))));
    if (all.size() <= head_bytes) {
      head = all;
      head_end = i + sequence_bytes(name.substr(i));
    }
  }
  if (all.size() <= max_bytes) return "'" + all + "'";
  // The tail may take what the head leaves; escapes make it longer than its source, so it is filled
  // backwards.
  const std::size_t tail_bytes = max_bytes - head_bytes;
  std::size_t start = std::max(head_end, name.size() - std::min(name.size(), tail_bytes));
  while (start < name.size() && continues_character(name[start]))
    ++start;
  std::vector<std::string> pieces;
  std::size_t total = 0;
  for (i = start; i < name.size(); i += sequence_bytes(name.substr(i))) {
    pieces.push_back(escaped(name.substr(i, sequence_bytes(name.substr(i)))));
    total += pieces.back().size();
  }
  std::string tail;
  for (const std::string& piece : pieces) {
    if (total <= tail_bytes) tail += piece;
    total -= total <= tail_bytes ? 0 : piece.size();
  }
  return "'" + head + "..." + tail + "'";
}

std::string system_message(int error_number) {
  std::array<char, 256> buffer{};
  const char* text = strerror_r(error_number, buffer.data(), buffer.size());  // the GNU form
  std::string message = text;
  if (!message.empty()) message[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(message[0])));
  return message;
}

void check_failed(const char* expression, const char* file, int line) {
  const char* slash = std::strrchr(file, '/');
  fail(ErrorKind::kInternal, "internal error, please report: rule '{}' broken at {}:{}", expression,
       slash != nullptr ? slash + 1 : file, line);
}

}  // namespace llm2mnn
