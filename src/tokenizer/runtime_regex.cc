#include "tokenizer/runtime_regex.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <optional>

#include "base/error.h"
#include "tokenizer/tokenizer_model.h"

namespace llm2mnn {

namespace {

// Folded text: the byte that stands for every character beyond ASCII of a category.
constexpr std::string_view kFoldedLetter = "\\x01";

bool is_ascii_punctuation(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

class Rewriter {
 public:
  Rewriter(std::string_view pattern, std::vector<std::string>& notes) : pattern_(pattern), notes_(notes) {}

  std::string run() {
    has_categories_ =
        pattern_.find("\\p{") != std::string_view::npos || pattern_.find("\\P{") != std::string_view::npos;
    is_wide_ = std::any_of(pattern_.begin(), pattern_.end(), [](char c) { return (c & 0x80) != 0; }) ||
               pattern_.find("\\u") != std::string_view::npos ||
               pattern_.find("\\x{") != std::string_view::npos;
    if (is_wide_ && has_categories_) refuse("a character beyond ASCII together with \\p{...}");
    const bool whole_ignores_case = pattern_.substr(0, 4) == "(?i)";
    if (whole_ignores_case) {
      if (is_wide_) refuse("a character beyond ASCII together with (?i)");
      out_ = "(?i:";
      pos_ = 4;
    }
    while (pos_ < pattern_.size())
      rewrite_atom();
    if (whole_ignores_case) out_ += ')';
    if (depth_ != 0) refuse("an unclosed group");
    if (ascii_only_) {
      notes_.emplace_back(
          "tokenizer: the runtime does not tell upper from lower case beyond ASCII when it splits text into "
          "words");
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    fail(ErrorKind::kUnsupported,
         "pre_tokenizer Split: the runtime's regex engine cannot do {} (at byte {} of {})", what, pos_,
         shown(pattern_));
  }
  char peek(std::size_t ahead = 0) const {
    return pos_ + ahead < pattern_.size() ? pattern_[pos_ + ahead] : '\0';
  }
  bool starts_with(std::string_view text) const { return pattern_.substr(pos_, text.size()) == text; }
  void copy(std::size_t count) {
    out_ += pattern_.substr(pos_, count);
    pos_ += count;
  }

  void rewrite_atom() {
    switch (peek()) {
      case '(':
        rewrite_group();
        return;
      case ')':
        if (--depth_ < 0) refuse("an unopened group");
        copy(1);
        break;
      case '|':
        copy(1);
        return;
      case '[':
        rewrite_class();
        break;
      case '\\':
        rewrite_escape(false);
        break;
      case '^':
      case '$':
        refuse("anchors");
      case '.':
        refuse("'.'");
      case '*':
      case '+':
      case '?':
        refuse("a quantifier without an operand");
      default:
        rewrite_literal(false);
    }
    rewrite_quantifiers();
  }

  void rewrite_group() {
    constexpr std::array<std::string_view, 3> kGroups = {"(?:", "(?!", "(?i:"};
    ++depth_;
    if (is_wide_ && starts_with("(?i")) refuse("a character beyond ASCII together with (?i:...)");
    for (const std::string_view group : kGroups) {
      if (starts_with(group)) {
        copy(group.size());
        return;
      }
    }
    if (starts_with("(?")) refuse(fmt::format("{}", shown(pattern_.substr(pos_, 4))));
    copy(1);
  }

  /// One quantifier, if there is one; a possessive mark behind it is dropped.
  void rewrite_quantifiers() {
    const char c = peek();
    if (is_wide_ && (c == '*' || c == '+')) {
      out_ += c == '*' ? "{0,512}" : "{1,512}";
      ++pos_;
    } else if (c == '*' || c == '+' || c == '?') {
      copy(1);
    } else if (c == '{') {
      const std::size_t end = pattern_.find('}', pos_);
      const std::string_view body =
          pattern_.substr(pos_ + 1, end == std::string_view::npos ? 0 : end - pos_ - 1);
      const bool is_count = !body.empty() && body.front() != ',' &&
                            body.find_first_not_of("0123456789,") == std::string_view::npos &&
                            std::count(body.begin(), body.end(), ',') <= 1;
      if (!is_count) refuse("a '{' that starts no count");
      copy(body.size() + 2);
      // Oniguruma reads {n}+ as a repeated repetition: there is no mark to drop here.
      if (peek() == '?' || peek() == '+') refuse("a quantifier behind a count");
    } else {
      return;
    }
    if (peek() == '?') refuse("lazy quantifiers");
    if (peek() == '+') ++pos_;
    if (peek() == '*' || peek() == '+' || peek() == '?' || peek() == '{')
      refuse("a quantifier behind a quantifier");
  }

  void rewrite_literal(bool in_class) {
    const auto byte = static_cast<unsigned char>(peek());
    if (byte < 0x80) {
      if (!in_class && (byte == '{' || byte == '}' || byte == ']')) out_ += '\\';
      copy(1);
      return;
    }
    std::size_t end = pos_;
    next_code_point(pattern_, end);
    copy(end - pos_);
  }

  /// \p{..}, \P{..}: the category with `negated` for \P and ^.
  void rewrite_category(bool in_class, bool class_negated) {
    const std::size_t end = pattern_.find('}', pos_);
    if (end == std::string_view::npos || peek(2) != '{') refuse("\\p without {...}");
    std::string_view name = pattern_.substr(pos_ + 3, end - pos_ - 3);
    bool negated = peek(1) == 'P';
    if (!name.empty() && name.front() == '^') {
      negated = !negated;
      name.remove_prefix(1);
    }
    constexpr std::array<std::string_view, 6> kPlain = {"L", "N", "M", "P", "S", "Z"};
    if (std::find(kPlain.begin(), kPlain.end(), name) != kPlain.end()) {
      out_ += fmt::format("\\{}{{{}}}", negated ? 'P' : 'p', name);
    } else {
      rewrite_letter_case(name, negated || class_negated, in_class);
    }
    pos_ = end + 1;
  }

  void rewrite_letter_case(std::string_view name, bool negated, bool in_class) {
    std::string items;
    if (name == "Lu") {
      items = fmt::format("A-Z{}", kFoldedLetter);
    } else if (name == "Ll") {
      items = fmt::format("a-z{}", kFoldedLetter);
    } else if (name == "Lt" || name == "Lm" || name == "Lo") {
      items = kFoldedLetter;
    }
    if (items.empty() || negated) refuse(fmt::format("the category {}", shown(name, 40)));
    ascii_only_ = true;
    // Lt, Lm and Lo stand beside Lu or Ll in every known pattern: the folded byte is then there already.
    out_ += in_class ? items : '[' + items + ']';
  }

  void rewrite_escape(bool in_class, bool class_negated = false) {
    const char c = peek(1);
    const auto is_one_of = [c](std::string_view letters) {
      return c != '\0' && letters.find(c) != std::string_view::npos;
    };
    if (c == 'p' || c == 'P') {
      rewrite_category(in_class, class_negated);
    } else if (is_one_of("sSdDwW")) {
      if (is_wide_) refuse("a character beyond ASCII together with \\s, \\d or \\w");
      copy(2);
    } else if (in_class && is_ascii_punctuation(c) && peek(2) == '-' && peek(3) != ']') {
      out_ += fmt::format("\\x{:02X}", static_cast<unsigned>(c));  // an escape cannot start a range there
      pos_ += 2;
    } else if (is_ascii_punctuation(c) || is_one_of("rntfv ")) {
      copy(2);
    } else if (c == 'x' || c == 'u') {
      rewrite_code_point();
    } else {
      refuse(fmt::format("the escape {}", shown(pattern_.substr(pos_, 2))));
    }
  }

  /// \xHH, \x{H..} and \uHHHH: ASCII stays \xHH, the rest is written as the character itself.
  void rewrite_code_point() {
    const bool braces = peek(2) == '{';
    const std::size_t begin = pos_ + (braces ? 3 : 2);
    const std::size_t max_digits = braces ? 6 : peek(1) == 'x' ? 2 : 4;
    char32_t value = 0;
    std::size_t end = begin;
    while (end < pattern_.size() && end < begin + max_digits &&
           std::isxdigit(static_cast<unsigned char>(pattern_[end]))) {
      const char digit = pattern_[end++];
      value = 16 * value + static_cast<char32_t>(digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
    }
    if (end == begin || (braces && (end == pattern_.size() || pattern_[end] != '}')) || value > 0x10FFFF) {
      refuse("this escape of a code point");
    }
    if (value < 0x80) {
      out_ += fmt::format("\\x{:02X}", static_cast<unsigned>(value));
    } else {
      append_utf8(out_, value);
    }
    pos_ = end + (braces ? 1 : 0);
  }

  void rewrite_class() {
    copy(1);
    const bool negated = peek() == '^';
    if (negated) copy(1);
    if (peek() == ']') refuse("a class that starts with ']'");
    while (peek() != ']') {
      if (pos_ >= pattern_.size()) refuse("an unclosed class");
      if (peek() == '[') refuse("a class inside a class");
      if (starts_with("&&")) refuse("an intersection of classes");
      if (peek() == '\\') {
        rewrite_escape(true, negated);
      } else {
        rewrite_literal(true);
      }
    }
    copy(1);
  }

  std::string_view pattern_;
  std::vector<std::string>& notes_;
  std::string out_;
  std::size_t pos_ = 0;
  int depth_ = 0;
  bool has_categories_ = false;
  bool is_wide_ = false;  // runs through std::wregex, whose recursion needs bounded repetition
  bool ascii_only_ = false;
};

}  // namespace

std::string to_runtime_regex(std::string_view pattern, std::vector<std::string>& notes) {
  return Rewriter(pattern, notes).run();
}

std::string literal_runtime_regex(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (is_ascii_punctuation(c)) out += '\\';
    out += c;
  }
  return out;
}

}  // namespace llm2mnn
