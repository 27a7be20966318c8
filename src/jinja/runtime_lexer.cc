#include "jinja/runtime_lexer.h"

#include <algorithm>

namespace llm2mnn::jinja::runtime {
namespace {

constexpr std::string_view kBlanks = " \n\r\t";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_name_begin(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  std::vector<Token> run() {
    while (place_ < source_.size())
      read_text();
    add(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  void add(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text)}); }
  bool at(std::string_view text) const { return source_.substr(place_).starts_with(text); }

  // The next `{{`, `{%` or `{#`.
  std::size_t find_opening() const {
    for (auto found = source_.find('{', place_); found != std::string_view::npos;
         found = source_.find('{', found + 1))
      if (found + 1 < source_.size() &&
          std::string_view("{%#").find(source_[found + 1]) != std::string_view::npos)
        return found;
    return source_.size();
  }

  // Text up to the next opening, and the tag that follows.
  void read_text() {
    const auto opening = find_opening();
    auto text = source_.substr(place_, opening - place_);
    if (trims_) text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
    trims_ = false;
    place_ = opening;
    if (opening == source_.size()) {
      if (!text.empty()) add(TokenKind::kText, std::string(text));
      return;
    }
    const char sort = source_[opening + 1];
    const bool dashed = opening + 2 < source_.size() && source_[opening + 2] == '-';
    if (dashed)
      text = text.substr(0, text.find_last_not_of(kBlanks) + 1);
    else if (sort == '%')
      strip_indent(text);
    if (!text.empty()) add(TokenKind::kText, std::string(text));
    place_ += dashed ? 3 : 2;
    if (sort == '#') {
      skip_comment();
    } else {
      add(sort == '{' ? TokenKind::kPrintBegin : TokenKind::kTagBegin, std::string(1, sort));
      read_tag(sort == '{');
    }
  }

  // Blanks of a line before a tag go, also where the line begins with the end of another tag.
  static void strip_indent(std::string_view& text) {
    const auto line = text.rfind('\n') + 1;  // 0 without one
    if (text.find_first_not_of(" \t", line) == std::string_view::npos) text = text.substr(0, line);
  }

  void skip_comment() {
    const auto end = source_.find("#}", place_);
    if (end == std::string_view::npos) {
      place_ = source_.size();
      return;
    }
    trims_ = end > place_ && source_[end - 1] == '-';
    place_ = end + 2;
  }

  void read_tag(bool prints) {
    const std::string_view end = prints ? "}}" : "%}", dashed = prints ? "-}}" : "-%}";
    while (true) {
      place_ = std::min(source_.find_first_not_of(" \t\n\r\v\f", place_), source_.size());
      if (place_ == source_.size()) return;
      if (!at(end) && !at(dashed)) {
        read_token();
        continue;
      }
      trims_ = at(dashed);
      place_ += trims_ ? 3 : 2;
      add(prints ? TokenKind::kPrintEnd : TokenKind::kTagEnd, std::string(end));
      if (!prints && !trims_ && at("\n")) ++place_;
      return;
    }
  }

  void read_token() {
    const char c = source_[place_];
    if (is_name_begin(c)) {
      add_while(TokenKind::kName, [](char next) { return is_name_begin(next) || is_digit(next); });
    } else if (is_digit(c)) {
      add_while(TokenKind::kNumber, is_digit);
    } else if (c == '\'' || c == '"') {
      read_string(c);
    } else if (std::string_view("[](){}:.,").find(c) != std::string_view::npos || c == '\0') {
      add(TokenKind::kMark, std::string(1, c));
      ++place_;
    } else {
      const bool is_pair = std::string_view("=!<>").find(c) != std::string_view::npos &&
                           place_ + 1 < source_.size() && source_[place_ + 1] == '=';
      add(TokenKind::kSymbol, std::string(source_.substr(place_, is_pair ? 2 : 1)));
      place_ += is_pair ? 2 : 1;
    }
  }

  template <typename Test>
  void add_while(TokenKind kind, Test test) {
    const auto begin = source_.begin() + static_cast<std::ptrdiff_t>(place_);
    const auto end = std::find_if_not(begin, source_.end(), test);
    add(kind, std::string(begin, end));
    place_ += static_cast<std::size_t>(end - begin);
  }

  void read_string(char quote) {
    constexpr std::string_view kLetters = "nrtbf", kMeanings = "\n\r\t\b\f";
    std::string text;
    for (++place_; place_ < source_.size() && source_[place_] != quote; ++place_) {
      char c = source_[place_];
      if (c == '\\' && place_ + 1 < source_.size()) {
        c = source_[++place_];
        if (const auto letter = kLetters.find(c); letter != std::string_view::npos) c = kMeanings[letter];
      }
      text += c;
    }
    place_ = std::min(place_ + 1, source_.size());
    add(TokenKind::kString, std::move(text));
  }

  std::string_view source_;
  std::size_t place_ = 0;
  bool trims_ = false;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> read_tokens(std::string_view source) { return Lexer(source).run(); }

}  // namespace llm2mnn::jinja::runtime
