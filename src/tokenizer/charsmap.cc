#include "tokenizer/charsmap.h"

#include <utf8proc.h>
#include <utility>

#include "base/error.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

namespace {

std::uint32_t read_u32(std::string_view bytes, std::size_t pos) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;)
    value = (value << 8) | static_cast<unsigned char>(bytes[pos + i]);
  return value;
}

constexpr std::size_t kMaxClusterBytes = 5;

}  // namespace

CharsmapParts split_charsmap(std::string_view bytes) {
  if (bytes.size() < 4) {
    fail(ErrorKind::kFormat, "normalizer Precompiled: precompiled_charsmap: {} bytes are too short",
         bytes.size());
  }
  const std::size_t trie_bytes = read_u32(bytes, 0);
  if (trie_bytes % 4 != 0 || trie_bytes < 4 || trie_bytes > bytes.size() - 4) {
    fail(ErrorKind::kFormat,
         "normalizer Precompiled: precompiled_charsmap: a trie of {} bytes does not fit into {}", trie_bytes,
         bytes.size());
  }
  CharsmapParts parts;
  parts.units.reserve(trie_bytes / 4);
  for (std::size_t pos = 4; pos < 4 + trie_bytes; pos += 4)
    parts.units.emplace_back(read_u32(bytes, pos));
  parts.replacements = bytes.substr(4 + trie_bytes);
  return parts;
}

Charsmap::Charsmap(std::string_view bytes) {
  CharsmapParts parts = split_charsmap(bytes);
  units_ = std::move(parts.units);
  replacements_ = parts.replacements;
}

std::optional<std::string_view> Charsmap::find(std::string_view text) const {
  std::uint32_t node = units_[0].offset();
  for (const char c : text) {
    const std::uint32_t byte = static_cast<unsigned char>(c);
    if (byte == 0) return std::nullopt;
    node ^= byte;
    if (node >= units_.size()) return std::nullopt;
    const CharsmapUnit unit = units_[node];
    if (unit.label() != byte) return std::nullopt;
    node ^= unit.offset();
    if (!unit.has_value()) continue;
    if (node >= units_.size()) return std::nullopt;
    const std::size_t begin = units_[node].value();
    if (begin > replacements_.size()) return std::nullopt;
    const std::string_view rest = std::string_view(replacements_).substr(begin);
    return rest.substr(0, rest.find('\0'));
  }
  return std::nullopt;
}

std::string Charsmap::apply(std::string_view text) const {
  std::string out;
  out.reserve(text.size());
  for (std::size_t pos = 0; pos < text.size();) {
    std::size_t end = pos;
    utf8proc_int32_t state = 0;
    char32_t left = next_code_point(text, end);
    while (end < text.size()) {
      std::size_t next = end;
      const char32_t right = next_code_point(text, next);
      if (utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(left),
                                           static_cast<utf8proc_int32_t>(right), &state)) {
        break;
      }
      left = right;
      end = next;
    }
    const std::string_view cluster = text.substr(pos, end - pos);
    pos = end;
    if (cluster.size() <= kMaxClusterBytes) {
      if (const auto found = find(cluster)) {
        out += *found;
        continue;
      }
    }
    for (std::size_t i = 0; i < cluster.size();) {
      const std::size_t begin = i;
      next_code_point(cluster, i);
      const std::string_view part = cluster.substr(begin, i - begin);
      const auto found = find(part);
      out += found ? *found : part;
    }
  }
  return out;
}

}  // namespace llm2mnn
