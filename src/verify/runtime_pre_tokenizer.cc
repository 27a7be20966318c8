#include "verify/runtime_pre_tokenizer.h"

#include "verify/runtime_unicode.h"

namespace llm2mnn::verify {
namespace {

using Kind = MtokPreTokenizer::Kind;
using Behavior = MtokPreTokenizer::Behavior;
using Pieces = std::vector<std::string>;

/// Matches as they are; what lies between them as single characters.
void scan(const RuntimeRegex& pattern, const std::string& text, Pieces& out, WorkBudget& budget) {
  std::size_t at = 0;
  const auto single_characters = [&](std::size_t end) {
    while (at < end) {
      const std::size_t length = utf8_char(text, at).length;
      out.push_back(text.substr(at, length));
      at += length;
    }
  };
  for (const auto& [begin, end] : pattern.matches(text, budget)) {
    single_characters(begin);
    out.push_back(text.substr(begin, end - begin));
    at = end;
  }
  single_characters(text.size());
}

void split_text(const MtokPreTokenizer& step, const RuntimeRegex& pattern, const std::string& text,
                Pieces& out, WorkBudget& budget) {
  const std::size_t first = out.size();
  const auto segment = [&](std::size_t begin, std::size_t end, bool match) {
    if (begin == end) return;
    match = match != step.invert;
    if (match && step.behavior == Behavior::kRemoved) return;
    if (match && step.behavior == Behavior::kMergedWithPrevious && out.size() > first) {
      out.back().append(text, begin, end - begin);
    } else {
      out.push_back(text.substr(begin, end - begin));
    }
  };
  std::size_t at = 0;
  for (const auto& [begin, end] : pattern.matches(text, budget)) {
    segment(at, begin, false);
    segment(begin, end, true);
    at = end;
  }
  segment(at, text.size(), false);
}

void split_bert(const std::string& text, Pieces& out) {
  std::string word;
  const auto finish = [&] {
    if (!word.empty()) out.push_back(std::move(word));
    word.clear();
  };
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_char(text, at);
    const bool ascii_symbol = c.code > 0x20 && c.code < 0x7F && !(c.code >= '0' && c.code <= '9') &&
                              !((c.code | 0x20U) >= 'a' && (c.code | 0x20U) <= 'z');
    if (is_runtime_space(c.code)) {
      finish();
    } else if (ascii_symbol || is_runtime_punctuation(c.code)) {
      finish();
      out.push_back(text.substr(at, c.length));
    } else {
      word.append(text, at, c.length);
    }
    at += c.length;
  }
  finish();
}

void split_digits(const MtokPreTokenizer& step, const std::string& text, Pieces& out) {
  std::string word;
  for (const char c : text) {
    if (!step.flag || c < '0' || c > '9') {
      word.push_back(c);
      continue;
    }
    if (!word.empty()) out.push_back(std::move(word));
    word.clear();
    out.emplace_back(1, c);
  }
  if (!word.empty()) out.push_back(std::move(word));
}

std::string with_metaspace(const MtokPreTokenizer& step, const std::string& text, WorkBudget& budget) {
  std::string out;
  if (step.flag && !text.empty() && text.front() != ' ') out += step.text;
  for (const char c : text) {
    if (c != ' ') {
      out.push_back(c);
      continue;
    }
    budget.spend(1 + step.text.size());
    out += step.text;
  }
  return out;
}

std::string with_byte_alphabet(const std::string& text) {
  std::string out;
  for (const char c : text)
    out += byte_alphabet()[static_cast<unsigned char>(c)];
  return out;
}

}  // namespace

RuntimePreTokenizer::RuntimePreTokenizer(const MtokPreTokenizer& description) { add(description); }

void RuntimePreTokenizer::add(const MtokPreTokenizer& description) {
  if (description.kind == Kind::kNone) return;
  for (const MtokPreTokenizer& child : description.steps)
    add(child);
  if (description.kind == Kind::kSequence) return;
  Step step = {description, nullptr};
  if (description.kind == Kind::kSplit) step.pattern = std::make_shared<RuntimeRegex>(description.text);
  if (description.kind == Kind::kByteLevel && description.flag)
    step.pattern = std::make_shared<RuntimeRegex>(gpt2_pattern());
  steps_.push_back(std::move(step));
}

std::vector<std::string> RuntimePreTokenizer::split(std::string text, WorkBudget& budget) const {
  Pieces pieces;
  pieces.push_back(std::move(text));
  for (const Step& step : steps_) {
    Pieces next;
    for (std::string& piece : pieces) {
      budget.spend(1 + piece.size());
      switch (step.description.kind) {
        case Kind::kSplit:
          split_text(step.description, *step.pattern, piece, next, budget);
          break;
        case Kind::kBert:
          split_bert(piece, next);
          break;
        case Kind::kDigits:
          split_digits(step.description, piece, next);
          break;
        case Kind::kMetaspace:
          next.push_back(with_metaspace(step.description, piece, budget));
          break;
        default:
          if (step.pattern) {
            scan(*step.pattern, piece, next, budget);
          } else {
            next.push_back(std::move(piece));
          }
      }
    }
    if (step.description.kind == Kind::kByteLevel)
      for (std::string& piece : next)
        piece = with_byte_alphabet(piece);
    pieces = std::move(next);
  }
  return pieces;
}

}  // namespace llm2mnn::verify
