#include "verify/runtime_regex_engine.h"

#include <optional>
#include <regex>

#include "verify/folded_pattern.h"
#include "verify/runtime_unicode.h"

namespace llm2mnn::verify {
namespace {

/// std::wregex recurses once per character; the runtime's stack ends somewhere above this.
constexpr std::size_t kMaxWideCharacters = 16384;
constexpr int kMaxWideDepth = 64;
constexpr std::size_t kMaxWideTerms = 1024;

bool is_wide_pattern(std::string_view pattern) {
  bool ascii = true;
  for (const char c : pattern)
    ascii = ascii && static_cast<unsigned char>(c) < 0x80;
  return !ascii && pattern.find("\\p{") == std::string_view::npos &&
         pattern.find("\\P{") == std::string_view::npos;
}

std::wstring widened(std::string_view text, std::vector<std::size_t>& starts) {
  std::wstring wide;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_char(text, at);
    starts.push_back(at);
    wide.push_back(static_cast<wchar_t>(c.code));
    at += c.length;
  }
  starts.push_back(text.size());
  return wide;
}

/// std::wregex recurses over brackets and over the terms of an alternative, and a repeated group has no bound
/// on its work: such patterns are refused before it sees them.
void check_wide_pattern(std::string_view pattern) {
  int depth = 0;
  std::size_t terms = 0;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    const char after = i + 1 < pattern.size() ? pattern[i + 1] : '\0';
    depth += c == '(' ? 1 : 0;
    depth -= c == ')' ? 1 : 0;
    terms = c == '(' || c == ')' || c == '|' ? 0 : terms + 1;
    if (depth > kMaxWideDepth || terms > kMaxWideTerms)
      fail(ErrorKind::kUnsupported, "pattern {} is too deep or too long for std::wregex", shown(pattern));
    if (c == ')' && (after == '*' || after == '+' || after == '{'))
      fail(ErrorKind::kUnsupported, "pattern {} repeats a group in std::wregex; write it without the group",
           shown(pattern));
  }
}

}  // namespace

std::string_view gpt2_pattern() {
  return R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
}

namespace {

/// A position in a text that counts how often the engine looks at a character or asks whether it is at an
/// end: it backtracks without a limit of its own.
struct CountedPosition {
  using iterator_category = std::bidirectional_iterator_tag;
  using value_type = wchar_t;
  using difference_type = std::ptrdiff_t;
  using pointer = const wchar_t*;
  using reference = const wchar_t&;

  static constexpr std::uint64_t kLookCost = 16;  // in steps of the budget, by time
  static constexpr std::uint64_t kCompareCost = 4;

  reference operator*() const {
    budget->spend(kLookCost);
    return *at;
  }
  CountedPosition& operator++() { return ++at, *this; }
  CountedPosition& operator--() { return --at, *this; }
  CountedPosition operator++(int) { return {at++, budget}; }
  CountedPosition operator--(int) { return {at--, budget}; }
  friend bool operator==(const CountedPosition& a, const CountedPosition& b) {
    if (a.budget != nullptr) a.budget->spend(kCompareCost);
    return a.at == b.at;
  }

  const wchar_t* at = nullptr;
  WorkBudget* budget = nullptr;
};

}  // namespace

struct RuntimeRegex::State {
  std::optional<FoldedPattern> folded;
  std::optional<std::wregex> wide;
};

RuntimeRegex::RuntimeRegex(std::string_view pattern) : state_(std::make_unique<State>()) {
  if (!is_wide_pattern(pattern)) {
    state_->folded.emplace(pattern);
    if (state_->folded->empty()) state_->folded.emplace(gpt2_pattern());
    return;
  }
  check_wide_pattern(pattern);
  try {
    std::vector<std::size_t> starts;
    state_->wide.emplace(widened(pattern, starts));
  } catch (const std::regex_error& error) {
    fail(ErrorKind::kFormat, "pattern {} is none for std::wregex ({})", shown(pattern), error.what());
  }
}

RuntimeRegex::~RuntimeRegex() = default;
RuntimeRegex::RuntimeRegex(RuntimeRegex&&) noexcept = default;

std::vector<std::pair<std::size_t, std::size_t>> RuntimeRegex::matches(std::string_view text,
                                                                       WorkBudget& budget) const {
  std::vector<std::pair<std::size_t, std::size_t>> found;
  if (state_->folded) {
    const FoldedText folded = fold(text);
    for (const auto& [begin, end] : state_->folded->matches(folded.bytes, budget))
      found.emplace_back(folded.starts[begin], folded.starts[end]);
    return found;
  }
  std::vector<std::size_t> starts;
  const std::wstring wide = widened(text, starts);
  if (wide.size() > kMaxWideCharacters)
    fail(ErrorKind::kUnsupported, "the runtime's std::wregex overflows its stack on long texts; shorten it");
  budget.spend(wide.size());
  try {
    const wchar_t* const begin = wide.data();
    std::regex_iterator<CountedPosition> it({begin, &budget}, {begin + wide.size(), &budget}, *state_->wide);
    for (const decltype(it) end; it != end; ++it) {
      const auto& match = (*it)[0];
      found.emplace_back(starts[static_cast<std::size_t>(match.first.at - begin)],
                         starts[static_cast<std::size_t>(match.second.at - begin)]);
    }
  } catch (const std::regex_error& error) {
    fail(ErrorKind::kUnsupported, "the runtime's std::wregex gives up on this text ({})", error.what());
  }
  return found;
}

}  // namespace llm2mnn::verify
