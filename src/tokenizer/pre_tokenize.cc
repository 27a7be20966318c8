#include "tokenizer/pre_tokenize.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "tokenizer/unicode_scripts.h"
#include "tokenizer/unicode_sets.h"

namespace llm2mnn {

namespace {

using Kind = PreTokenizerStep::Kind;

constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// Turns the stretches of one word, told match or not, into words as SplitBehavior says.
class Splitter {
 public:
  Splitter(std::uint32_t base, SplitBehavior behavior, bool invert, std::vector<Span>& out)
      : base_(base), behavior_(behavior), invert_(invert), first_(out.size()), out_(out) {}

  void add(std::size_t begin, std::size_t end, bool is_match) {
    is_match = is_match != invert_;
    const Span span{base_ + static_cast<std::uint32_t>(begin), base_ + static_cast<std::uint32_t>(end)};
    switch (behavior_) {
      case SplitBehavior::kIsolated:
        push(span);
        break;
      case SplitBehavior::kRemoved:
        if (!is_match) push(span);
        break;
      case SplitBehavior::kContiguous:
        join_or_push(span, is_match == previous_);
        break;
      case SplitBehavior::kMergedWithPrevious:
        join_or_push(span, is_match && !previous_);
        break;
      case SplitBehavior::kMergedWithNext:
        // A match waits for what follows; of several matches in a row the last one is merged.
        if (pending_) {
          if (is_match) {
            push(waiting_);
          } else {
            push({waiting_.begin, span.end});
          }
        } else if (!is_match) {
          push(span);
        }
        pending_ = is_match;
        waiting_ = span;
        break;
    }
    previous_ = is_match;
  }
  /// An empty stretch is a word to merge with, but it is none of the words in the end.
  void finish() {
    if (pending_) push(waiting_);
    if (!has_empty_) return;
    const auto is_empty = [](const Span& span) { return span.begin == span.end; };
    out_.erase(std::remove_if(out_.begin() + static_cast<std::ptrdiff_t>(first_), out_.end(), is_empty),
               out_.end());
  }

 private:
  void push(Span span) {
    has_empty_ = has_empty_ || span.begin == span.end;
    out_.push_back(span);
  }
  void join_or_push(Span span, bool join) {
    if (join && out_.size() > first_) {
      out_.back().end = span.end;
    } else {
      push(span);
    }
  }

  std::uint32_t base_;
  SplitBehavior behavior_;
  bool invert_;
  std::size_t first_;
  std::vector<Span>& out_;
  bool has_empty_ = false;
  bool previous_ = false;
  bool pending_ = false;
  Span waiting_;
};

void split_by_pattern(const Pattern& pattern, SplitBehavior behavior, bool invert, Words& words) {
  std::vector<Span> out;
  out.reserve(words.spans.size() + words.text.size() / 4);
  for (std::size_t i = 0; i < words.spans.size(); ++i) {
    const std::string_view word = words.word(i);
    Splitter splitter(words.spans[i].begin, behavior, invert, out);
    Matcher matcher(pattern, word);
    std::size_t done = 0;
    while (matcher.next()) {
      if (done != matcher.begin()) splitter.add(done, matcher.begin(), false);
      splitter.add(matcher.begin(), matcher.end(), true);
      done = matcher.end();
    }
    if (done != word.size()) splitter.add(done, word.size(), false);
    splitter.finish();
  }
  words.spans = std::move(out);
}

/// Splits by single characters: each one that `is_match` accepts is a match of its own.
template <typename IsMatch>
void split_by_character(IsMatch is_match, SplitBehavior behavior, Words& words) {
  std::vector<Span> out;
  for (std::size_t i = 0; i < words.spans.size(); ++i) {
    const std::string_view word = words.word(i);
    Splitter splitter(words.spans[i].begin, behavior, false, out);
    std::size_t done = 0;
    for (std::size_t pos = 0; pos < word.size();) {
      const std::size_t begin = pos;
      if (!is_match(next_code_point(word, pos))) continue;
      if (done != begin) splitter.add(done, begin, false);
      splitter.add(begin, pos, true);
      done = pos;
    }
    if (done != word.size()) splitter.add(done, word.size(), false);
    splitter.finish();
  }
  words.spans = std::move(out);
}

/// Runs of word characters and runs of others that are no white space.
void split_whitespace(Words& words) {
  std::vector<Span> out;
  for (const Span& span : words.spans) {
    const std::string_view text = std::string_view(words.text).substr(0, span.end);
    int kind = 0;  // of the run that ends at `pos`: 0 blanks, 1 word, 2 other
    std::size_t begin = span.begin;
    const auto close = [&](std::size_t end) {
      if (kind != 0) out.push_back({static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)});
    };
    for (std::size_t pos = span.begin; pos < span.end;) {
      const std::size_t start = pos;
      const char32_t c = next_code_point(text, pos);
      const int own = is_word(c) ? 1 : is_whitespace(c) ? 0 : 2;
      if (own == kind) continue;
      close(start);
      kind = own;
      begin = start;
    }
    close(span.end);
  }
  words.spans = std::move(out);
}

void split_fixed_length(std::uint32_t length, Words& words) {
  if (length == 0) return;
  std::vector<Span> out;
  for (const Span& span : words.spans) {
    std::uint32_t count = 0;
    std::size_t begin = span.begin;
    for (std::size_t pos = span.begin; pos < span.end;) {
      next_code_point(words.text, pos);
      if (++count < length && pos < span.end) continue;
      out.push_back({static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(pos)});
      begin = pos;
      count = 0;
    }
  }
  words.spans = std::move(out);
}

/// A new word begins where the script changes; blanks and characters of no script belong to what is in front
/// of them, those at the start of a word get lost.
void split_scripts(Words& words) {
  std::vector<Span> out;
  for (std::size_t i = 0; i < words.spans.size(); ++i) {
    const std::string_view word = words.word(i);
    const std::uint32_t base = words.spans[i].begin;
    int last = -1;
    std::size_t begin = std::string_view::npos;
    for (std::size_t pos = 0; pos < word.size();) {
      const std::size_t start = pos;
      const int script = splitting_script(next_code_point(word, pos));
      if (script == kAnyScript) continue;
      if (script != last) {
        if (begin != std::string_view::npos) {
          out.push_back({base + static_cast<std::uint32_t>(begin), base + static_cast<std::uint32_t>(start)});
        }
        begin = start;
      }
      last = script;
    }
    if (begin != std::string_view::npos) {
      out.push_back({base + static_cast<std::uint32_t>(begin), words.spans[i].end});
    }
  }
  words.spans = std::move(out);
}

/// Builds the text anew from its words: `rewrite(i, out)` appends word `i`.
template <typename Rewrite>
void rebuild(Words& words, Rewrite rewrite) {
  std::string text;
  text.reserve(words.text.size() + words.text.size() / 2 + 16);
  const bool starts_first = !words.spans.empty() && words.spans[0].begin == 0 && words.first_keeps_start;
  std::vector<Span> spans;
  spans.reserve(words.spans.size());
  for (std::size_t i = 0; i < words.spans.size(); ++i) {
    const auto begin = static_cast<std::uint32_t>(text.size());
    rewrite(i, text);
    spans.push_back({begin, static_cast<std::uint32_t>(text.size())});
  }
  words.text = std::move(text);
  words.spans = std::move(spans);
  words.first_keeps_start = starts_first;
}

void byte_level(const PreTokenizerStep& step, const Pattern* pattern, bool spells_bytes, Words& words) {
  if (step.add_prefix_space) {
    rebuild(words, [&](std::size_t i, std::string& out) {
      if (!words.word(i).starts_with(' ')) out += ' ';
      out += words.word(i);
    });
  }
  if (pattern != nullptr) split_by_pattern(*pattern, SplitBehavior::kIsolated, false, words);
  if (!spells_bytes) return;
  rebuild(words, [&](std::size_t i, std::string& out) { out += to_byte_alphabet(words.word(i)); });
}

void metaspace(const PreTokenizerStep& step, Words& words) {
  const bool may_be_first = !words.spans.empty() && words.spans[0].begin == 0 && words.first_keeps_start;
  rebuild(words, [&](std::size_t i, std::string& out) {
    const std::size_t begin = out.size();
    for (const char c : words.word(i)) {
      if (c == ' ') {
        out += step.content;
      } else {
        out += c;
      }
    }
    const bool wants_prefix = step.prepend_scheme == PrependScheme::kAlways ||
                              (step.prepend_scheme == PrependScheme::kFirst && i == 0 && may_be_first);
    if (wants_prefix && std::string_view(out).substr(begin, step.content.size()) != step.content) {
      out.insert(begin, step.content);
    }
  });
  if (!step.split) return;
  std::size_t pos = 0;
  const char32_t mark = next_code_point(step.content, pos);
  split_by_character([mark](char32_t c) { return c == mark; }, SplitBehavior::kMergedWithNext, words);
}

}  // namespace

PreTokenizer::PreTokenizer(const std::vector<PreTokenizerStep>& steps, bool keep_bytes) {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    Step step;
    step.description = &steps[i];
    if (steps[i].kind == Kind::kSplit) step.pattern = std::make_unique<Pattern>(steps[i].pattern);
    if (steps[i].kind == Kind::kByteLevel) {
      if (steps[i].use_regex) {
        step.pattern = std::make_unique<Pattern>(TextPattern{std::string(kGpt2Pattern), true});
      }
      step.spells_bytes = !keep_bytes || i + 1 != steps.size();
    }
    steps_.push_back(std::move(step));
  }
}

void PreTokenizer::run_step(const Step& step, Words& words) {
  const PreTokenizerStep& description = *step.description;
  switch (description.kind) {
    case Kind::kByteLevel:
      byte_level(description, step.pattern.get(), step.spells_bytes, words);
      break;
    case Kind::kSplit:
      split_by_pattern(*step.pattern, description.behavior, description.invert, words);
      break;
    case Kind::kDigits:
      split_by_character(
          is_numeric, description.individual_digits ? SplitBehavior::kIsolated : SplitBehavior::kContiguous,
          words);
      break;
    case Kind::kMetaspace:
      metaspace(description, words);
      break;
    case Kind::kBert:
      split_by_character(is_whitespace, SplitBehavior::kRemoved, words);
      split_by_character(is_punctuation, SplitBehavior::kIsolated, words);
      break;
    case Kind::kWhitespace:
      split_whitespace(words);
      break;
    case Kind::kWhitespaceSplit:
      split_by_character(is_whitespace, SplitBehavior::kRemoved, words);
      break;
    case Kind::kPunctuation:
      split_by_character(is_punctuation, description.behavior, words);
      break;
    case Kind::kCharDelimiterSplit: {
      std::size_t pos = 0;
      const char32_t delimiter = next_code_point(description.content, pos);
      split_by_character([delimiter](char32_t c) { return c == delimiter; }, SplitBehavior::kRemoved, words);
      break;
    }
    case Kind::kUnicodeScripts:
      split_scripts(words);
      break;
    case Kind::kFixedLength:
      split_fixed_length(description.length, words);
      break;
  }
}

void PreTokenizer::run(Words& words) const {
  for (const Step& step : steps_)
    run_step(step, words);
}

}  // namespace llm2mnn
