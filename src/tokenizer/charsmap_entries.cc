#include "tokenizer/charsmap_entries.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "base/json.h"

namespace llm2mnn {

namespace {

[[noreturn]] void fail_charsmap(std::string_view what) {
  fail(ErrorKind::kFormat, "normalizer Precompiled: precompiled_charsmap {}", what);
}

/// Walks every path of the double array. Units as in Darts-clone: bit 8 says that a value stands at the
/// node's label 0, bits 10 to 30 are the offset of the children, shifted by 8 more when bit 9 is set.
class Trie {
 public:
  explicit Trie(std::string_view bytes) : bytes_(bytes) {}

  std::vector<CharsmapEntry> entries(std::string_view replacements) {
    replacements_ = replacements;
    if (size() != 0) walk(0, 0);
    return std::move(out_);
  }

 private:
  std::size_t size() const { return bytes_.size() / 4; }
  std::uint32_t unit(std::size_t i) const {
    std::uint32_t value = 0;
    for (std::size_t b = 0; b < 4; ++b)
      value |= std::uint32_t{static_cast<unsigned char>(bytes_[4 * i + b])} << (8 * b);
    return value;
  }
  static std::uint32_t offset_of(std::uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }

  void add_entry(std::uint32_t begin) {
    if (begin > replacements_.size()) fail_charsmap("has a replacement behind its end");
    constexpr std::size_t kMaxReplacementBytes = 255;  // the longest real one has 33
    const std::string_view rest = replacements_.substr(begin, kMaxReplacementBytes + 1);
    const std::string_view to = rest.substr(0, rest.find('\0'));
    if (to.size() > kMaxReplacementBytes) fail_charsmap("has a replacement that does not end");
    out_.push_back({key_, std::string(to)});
  }

  void walk(std::size_t node, int depth) {
    constexpr int kMaxKeyBytes = 64;               // the longest real key has 12
    constexpr std::size_t kMaxVisits = 1'000'000;  // real maps: 265,000, as keys share their ends
    if (depth > kMaxKeyBytes || ++num_visits_ > kMaxVisits) fail_charsmap("has a trie that does not end");
    const std::uint32_t here = unit(node);
    const std::size_t base = node ^ offset_of(here);
    if ((here & (1u << 8)) != 0) {
      if (base >= size()) fail_charsmap("has a trie that leads out of itself");
      add_entry(unit(base) & 0x7FFFFFFFu);
    }
    for (std::uint32_t label = 1; label < 256; ++label) {
      const std::size_t child = base ^ label;
      if (child >= size() || (unit(child) & 0x800000FFu) != label) continue;
      key_ += static_cast<char>(static_cast<unsigned char>(label));
      walk(child, depth + 1);
      key_.pop_back();
    }
  }

  std::string_view bytes_;
  std::string_view replacements_;
  std::string key_;
  std::size_t num_visits_ = 0;
  std::vector<CharsmapEntry> out_;
};

}  // namespace

std::vector<CharsmapEntry> read_charsmap(std::string_view bytes) {
  if (bytes.size() < 4) fail_charsmap("is shorter than its header");
  std::uint32_t trie_bytes = 0;
  for (std::size_t b = 0; b < 4; ++b)
    trie_bytes |= std::uint32_t{static_cast<unsigned char>(bytes[b])} << (8 * b);
  if (trie_bytes > bytes.size() - 4 || trie_bytes % 4 != 0) fail_charsmap("is cut off");
  std::vector<CharsmapEntry> entries =
      Trie(bytes.substr(4, trie_bytes)).entries(bytes.substr(4 + trie_bytes));
  for (const CharsmapEntry& entry : entries) {
    if (!is_utf8(entry.from) || !is_utf8(entry.to)) fail_charsmap("holds text that is no UTF-8");
  }
  return entries;
}

}  // namespace llm2mnn
