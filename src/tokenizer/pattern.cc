#include "tokenizer/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <algorithm>
#include <chrono>
#include <pcre2.h>
#include <utility>

#include "base/error.h"

namespace llm2mnn {

namespace {

// Steps from one start: 20 times what the longest run of blanks of a real text needs, a tenth of a second.
// PCRE2 counts them anew at each start, and compiled code leaves out its inner loops, so time is looked at
// besides.
constexpr std::uint32_t kMatchLimit = 8'000'000;
// Starts that one call tries, doubled while nothing is found: a pattern that splits words matches within the
// first few, and pays nothing for the windows.
constexpr std::size_t kFirstWindow = 8;
constexpr std::size_t kMaxWindow = 256;
constexpr unsigned kSearchesPerLook = 8;
// A hundred times what 1 MB of prose takes.
constexpr std::chrono::seconds kMaxTime{5};
constexpr std::size_t kBytesPerSecond = std::size_t{1} << 20;
constexpr std::uint32_t kHeapLimitKib = 64 * 1024;
constexpr std::size_t kMaxPatternBytes = 64 * 1024;  // the longest public one has 3 KB
constexpr std::size_t kJitStackStart = 32 * 1024, kJitStackMax = 8 * 1024 * 1024;

std::string message_of(int error) {
  PCRE2_UCHAR buffer[256] = {};
  pcre2_get_error_message(error, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}

/// What the matchers of one thread share: a machine stack for compiled patterns, limits, room for a result.
struct MatchContext {
  MatchContext()
      : context(pcre2_match_context_create(nullptr)),
        data(pcre2_match_data_create(1, nullptr)),
        stack(pcre2_jit_stack_create(kJitStackStart, kJitStackMax, nullptr)) {
    LLM2MNN_CHECK(context != nullptr && data != nullptr);
    pcre2_set_match_limit(context, kMatchLimit);
    pcre2_set_heap_limit(context, kHeapLimitKib);
    if (stack != nullptr) pcre2_jit_stack_assign(context, nullptr, stack);
  }
  ~MatchContext() {
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
    if (stack != nullptr) pcre2_jit_stack_free(stack);
  }
  MatchContext(const MatchContext&) = delete;
  MatchContext& operator=(const MatchContext&) = delete;

  pcre2_match_context* context;
  pcre2_match_data* data;  // read out after each search
  pcre2_jit_stack* stack;
};

MatchContext& thread_context() {
  thread_local MatchContext instance;
  return instance;
}

}  // namespace

struct Pattern::Code {
  pcre2_code* code = nullptr;
  bool has_jit = false;
  ~Code() { pcre2_code_free(code); }
};

Pattern::Pattern(const TextPattern& pattern) {
  if (!pattern.is_regex) {
    literal_ = pattern.text;
    return;
  }
  if (pattern.text.size() > kMaxPatternBytes) {
    fail(ErrorKind::kUnsupported, "pattern {} has {} bytes, at most {} are taken", shown(pattern.text, 40),
         pattern.text.size(), kMaxPatternBytes);
  }
  const std::string translated = to_pcre2_pattern(pattern.text);
  const std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
      pcre2_compile_context_create(nullptr), &pcre2_compile_context_free);
  LLM2MNN_CHECK(context != nullptr);
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  pcre2_set_parens_nest_limit(context.get(), 100);
  int error = 0;
  PCRE2_SIZE offset = 0;
  code_ = std::make_unique<Code>();
  code_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                              PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_DUPNAMES |
                                  PCRE2_NEVER_BACKSLASH_C | PCRE2_USE_OFFSET_LIMIT,
                              &error, &offset, context.get());
  if (code_->code == nullptr) {
    fail(ErrorKind::kUnsupported, "pattern {}: {} at byte {} of {}", shown(pattern.text), message_of(error),
         offset, shown(translated, 400));
  }
  code_->has_jit = pcre2_jit_compile(code_->code, PCRE2_JIT_COMPLETE) == 0;
}

Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;

void Matcher::check_time() {
  const auto now = std::chrono::steady_clock::now();
  if (started_ == std::chrono::steady_clock::time_point{}) started_ = now;
  if (now - started_ < kMaxTime + std::chrono::seconds(text_.size() / kBytesPerSecond)) return;
  fail(ErrorKind::kFormat, "a pattern of the tokenizer takes too long on a text of {} bytes: it backtracks",
       text_.size());
}

bool Matcher::search_window(std::size_t from, std::size_t last) {
  MatchContext& shared = thread_context();
  pcre2_set_offset_limit(shared.context, last);
  const auto* const subject = reinterpret_cast<PCRE2_SPTR>(text_.data());
  const Pattern::Code& code = *pattern_.code_;
  int result = PCRE2_ERROR_JIT_STACKLIMIT;
  if (code.has_jit) {
    result = pcre2_jit_match(code.code, subject, text_.size(), from, PCRE2_NO_UTF_CHECK, shared.data,
                             shared.context);
  }
  if (result == PCRE2_ERROR_JIT_STACKLIMIT) {
    result = pcre2_match(code.code, subject, text_.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                         shared.data, shared.context);
  }
  if (result == PCRE2_ERROR_NOMATCH) return false;
  if (result < 0) {
    fail(ErrorKind::kFormat, "a pattern of the tokenizer gives up at byte {} of a text of {} bytes: {}", from,
         text_.size(), message_of(result));
  }
  const PCRE2_SIZE* const ends = pcre2_get_ovector_pointer(shared.data);
  begin_ = ends[0];
  end_ = ends[1];
  return true;
}

bool Matcher::search(std::size_t from) {
  if (pattern_.code_ == nullptr) {
    if (pattern_.literal_.empty()) return false;
    begin_ = text_.find(pattern_.literal_, from);
    end_ = begin_ + pattern_.literal_.size();
    return begin_ != std::string_view::npos;
  }
  if (num_searches_++ % kSearchesPerLook == 0) check_time();
  for (std::size_t window = kFirstWindow;; window = std::min(2 * window, kMaxWindow)) {
    const std::size_t last = std::min(from + window - 1, text_.size());
    if (search_window(from, last)) return true;
    if (last == text_.size()) return false;
    check_time();
    from = last + 1;
    while (from < text_.size() && continues_character(text_[from]))
      ++from;
  }
}

bool Matcher::next() {
  const std::size_t last_end = end_;
  std::size_t from = end_;
  while (from <= text_.size() && search(from)) {
    const bool counts = begin_ != end_ || !found_ || end_ != last_end;
    if (counts) {
      found_ = true;
      return true;
    }
    // Behind an empty match the search goes on one character later.
    if (from >= text_.size()) break;
    next_code_point(text_, from);
  }
  return false;
}

bool replace_matches(const Pattern& pattern, std::string_view content, std::string& text,
                     std::size_t max_bytes) {
  Matcher matcher(pattern, text);
  std::string out;
  std::size_t copied = 0;
  bool changed = false;
  while (matcher.next()) {
    if (!changed) out.reserve(text.size() + text.size() / 2);
    changed = true;
    out.append(text, copied, matcher.begin() - copied);
    out += content;
    copied = matcher.end();
    if (out.size() > max_bytes) {
      fail(ErrorKind::kUnsupported, "replacements make a text larger than {} bytes", max_bytes);
    }
  }
  if (!changed) return false;
  out.append(text, copied);
  text = std::move(out);
  return true;
}

}  // namespace llm2mnn
