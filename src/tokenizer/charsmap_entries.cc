#include "tokenizer/charsmap_entries.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "tokenizer/charsmap.h"

namespace llm2mnn {

namespace {

[[noreturn]] void fail_charsmap(std::string_view what) {
  fail(ErrorKind::kFormat, "normalizer Precompiled: precompiled_charsmap {}", what);
}

/// Walks every path of the double array.
class Trie {
 public:
  explicit Trie(CharsmapParts parts) : units_(std::move(parts.units)), replacements_(parts.replacements) {}

  std::vector<CharsmapEntry> entries() {
    walk(0, 0);
    return std::move(out_);
  }

 private:
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
    const std::size_t base = node ^ units_[node].offset();
    if (units_[node].has_value()) {
      if (base >= units_.size()) fail_charsmap("has a trie that leads out of itself");
      add_entry(units_[base].value());
    }
    for (std::uint32_t label = 1; label < 256; ++label) {
      const std::size_t child = base ^ label;
      if (child >= units_.size() || units_[child].label() != label) continue;
      key_ += static_cast<char>(static_cast<unsigned char>(label));
      walk(child, depth + 1);
      key_.pop_back();
    }
  }

  std::vector<CharsmapUnit> units_;
  std::string_view replacements_;
  std::string key_;
  std::size_t num_visits_ = 0;
  std::vector<CharsmapEntry> out_;
};

}  // namespace

std::vector<CharsmapEntry> read_charsmap(std::string_view bytes) {
  std::vector<CharsmapEntry> entries = Trie(split_charsmap(bytes)).entries();
  for (const CharsmapEntry& entry : entries) {
    if (!is_utf8(entry.from) || !is_utf8(entry.to)) fail_charsmap("holds text that is no UTF-8");
  }
  return entries;
}

}  // namespace llm2mnn
