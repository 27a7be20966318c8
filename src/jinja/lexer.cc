#include "jinja/lexer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "jinja/text.h"

namespace llm2mnn::jinja {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}

/// Newlines become "\n", and one at the end is dropped.
std::string normalized_source(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out += source[i];
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalized_source(source)) {}

  std::vector<Token> run() {
    while (pos_ < source_.size())
      lex_root();
    add(Token::Kind::kEnd, {});
    return std::move(tokens_);
  }

 private:
  static constexpr std::string_view kRawWord = "raw";

  [[noreturn]] void refuse(std::string_view what) const {
    fail(ErrorKind::kFormat, "line {}: {}", line_at(pos_), what);
  }
  /// Counts on from the last call: positions only grow.
  std::uint32_t line_at(std::size_t pos) const {
    for (; counted_ < pos && counted_ < source_.size(); ++counted_) {
      if (source_[counted_] == '\n') ++line_;
    }
    return line_;
  }
  bool starts_with(std::string_view text, std::size_t pos) const {
    return std::string_view(source_).substr(std::min(pos, source_.size()), text.size()) == text;
  }
  std::size_t skip_spaces(std::size_t pos) const {
    const std::string_view rest = std::string_view(source_).substr(std::min(pos, source_.size()));
    return source_.size() - without_spaces(rest, true, false).size();
  }
  /// Behind the name that begins at `pos`. Every letter is taken for one of a name, blanks of Unicode are
  /// not.
  std::size_t end_of_name(std::size_t pos) const {
    while (pos < source_.size() && (is_name_start(source_[pos]) || is_digit(source_[pos]))) {
      std::size_t next = pos;
      if (is_space(next_code_point(source_, next))) break;
      pos = next;
    }
    return pos;
  }
  void add(Token::Kind kind, std::string text) { tokens_.push_back({kind, line_at(pos_), std::move(text)}); }
  void add_text(std::string_view text) {
    if (!text.empty()) add(Token::Kind::kText, std::string(text));
  }

  /// Text up to the next tag, and the tag.
  void lex_root() {
    std::size_t open = pos_;
    for (;; ++open) {
      open = source_.find('{', open);
      if (open == std::string::npos || open + 1 >= source_.size()) {
        add_text(std::string_view(source_).substr(pos_));
        pos_ = source_.size();
        return;
      }
      const char next = source_[open + 1];
      if (next == '{' || next == '%' || next == '#') break;
    }
    const char kind = source_[open + 1];
    const char sign = open + 2 < source_.size() ? source_[open + 2] : '\0';
    add_text(trimmed(std::string_view(source_).substr(pos_, open - pos_), sign, kind == '{'));
    pos_ = open;
    const std::size_t inside = open + 2 + (sign == '-' || sign == '+' ? 1 : 0);
    if (kind == '#') {
      skip_comment(inside);
    } else if (kind == '%' && lex_raw(inside)) {
      return;
    } else {
      add(kind == '{' ? Token::Kind::kOutputBegin : Token::Kind::kBlockBegin, {});
      pos_ = inside;
      lex_tag(kind == '{');
    }
  }

  /// What a tag's sign and lstrip_blocks leave of the text in front of it.
  std::string_view trimmed(std::string_view text, char sign, bool is_output) const {
    if (sign == '-') return without_spaces(text, false, true);
    if (sign == '+' || is_output) return text;
    const std::size_t newline = text.rfind('\n');
    const std::size_t begin = newline == std::string_view::npos ? 0 : newline + 1;
    // Without a newline in this text the line begins in front of it, unless that was one's end.
    if (begin == 0 && !(pos_ == 0 || source_[pos_ - 1] == '\n')) return text;
    const auto tail = text.substr(begin);
    return without_spaces(tail, true, false).empty() ? text.substr(0, begin) : text;
  }

  /// Behind a block's or a comment's end mark at `pos`: `-` eats white space, none one newline.
  std::size_t behind_end(std::size_t pos, char sign) const {
    if (sign == '-') return skip_spaces(pos);
    if (sign != '+' && pos < source_.size() && source_[pos] == '\n') return pos + 1;
    return pos;
  }

  void skip_comment(std::size_t inside) {
    const std::size_t end = source_.find("#}", inside);
    if (end == std::string::npos) refuse("a comment without an end ('#}')");
    const char sign = end > inside ? source_[end - 1] : '\0';
    pos_ = behind_end(end + 2, sign);
  }

  /// The end of `{% word %}` whose inside begins at `inside`, or npos when it is something else.
  std::size_t end_of_word_tag(std::size_t inside, std::string_view word, char& sign) const {
    std::size_t pos = skip_spaces(inside);
    if (!starts_with(word, pos)) return std::string::npos;
    pos = skip_spaces(pos + word.size());
    sign = pos < source_.size() ? source_[pos] : '\0';
    if (sign == '-' || sign == '+') ++pos;
    return starts_with("%}", pos) ? pos + 2 : std::string::npos;
  }

  bool lex_raw(std::size_t inside) {
    char sign = '\0';
    std::size_t begin = end_of_word_tag(inside, kRawWord, sign);
    if (begin == std::string::npos || sign == '+') return false;
    if (sign == '-') begin = skip_spaces(begin);
    for (std::size_t open = source_.find("{%", begin); open != std::string::npos;
         open = source_.find("{%", open + 2)) {
      const char open_sign = open + 2 < source_.size() ? source_[open + 2] : '\0';
      const std::size_t end =
          end_of_word_tag(open + 2 + (open_sign == '-' || open_sign == '+' ? 1 : 0), "endraw", sign);
      if (end == std::string::npos) continue;
      pos_ = begin;
      add_text(trimmed(std::string_view(source_).substr(begin, open - begin), open_sign, false));
      pos_ = behind_end(end, sign);
      return true;
    }
    refuse("a raw block without an end");
  }

  /// Tokens up to and with the end of the tag.
  void lex_tag(bool is_output) {
    std::string open;  // brackets that are not closed yet
    for (;;) {
      pos_ = skip_spaces(pos_);
      if (pos_ >= source_.size()) refuse("a tag without an end");
      if (open.empty() && lex_tag_end(is_output)) return;
      const char c = source_[pos_];
      if (is_digit(c)) {
        lex_number();
      } else if (is_name_start(c)) {
        const std::size_t begin = pos_;
        const std::size_t end = end_of_name(pos_);
        add(Token::Kind::kName, source_.substr(begin, end - begin));
        pos_ = end;
      } else if (c == '\'' || c == '"') {
        lex_string(c);
      } else {
        lex_operator(open);
      }
    }
  }

  bool lex_tag_end(bool is_output) {
    const std::string_view mark = is_output ? "}}" : "%}";
    const char sign = source_[pos_];
    const bool has_sign = sign == '-' || (sign == '+' && !is_output);
    const std::size_t at = pos_ + (has_sign ? 1 : 0);
    if (!starts_with(mark, at)) return false;
    add(is_output ? Token::Kind::kOutputEnd : Token::Kind::kBlockEnd, {});
    if (is_output) {
      pos_ = sign == '-' ? skip_spaces(at + 2) : at + 2;
    } else {
      pos_ = behind_end(at + 2, sign);
    }
    return true;
  }

  void lex_number() {
    const auto digits_from = [&](std::size_t pos, std::string& out) {
      while (pos < source_.size() &&
             (is_digit(source_[pos]) ||
              (source_[pos] == '_' && pos + 1 < source_.size() && is_digit(source_[pos + 1])))) {
        if (source_[pos] != '_') out += source_[pos];
        ++pos;
      }
      return pos;
    };
    const char mark = pos_ + 1 < source_.size() ? source_[pos_ + 1] : '\0';
    if (source_[pos_] == '0' &&
        (mark == 'x' || mark == 'X' || mark == 'o' || mark == 'O' || mark == 'b' || mark == 'B')) {
      fail(ErrorKind::kUnsupported, "line {}: a number that is not decimal is not supported", line_at(pos_));
    }
    std::string text;
    std::size_t end = digits_from(pos_, text);
    bool is_float = false;
    if (end + 1 < source_.size() && source_[end] == '.' && is_digit(source_[end + 1])) {
      is_float = true;
      text += '.';
      end = digits_from(end + 1, text);
    }
    if (end < source_.size() && (source_[end] == 'e' || source_[end] == 'E')) {
      std::size_t exponent = end + 1;
      const bool has_sign =
          exponent < source_.size() && (source_[exponent] == '+' || source_[exponent] == '-');
      if (has_sign) ++exponent;
      if (exponent < source_.size() && is_digit(source_[exponent])) {
        is_float = true;
        text += 'e';
        if (has_sign) text += source_[exponent - 1];
        end = digits_from(exponent, text);
      }
    }
    add(is_float ? Token::Kind::kFloat : Token::Kind::kInteger, std::move(text));
    pos_ = end;
  }

  void lex_string(char quote) {
    std::string text;
    std::size_t pos = pos_ + 1;
    while (pos < source_.size() && source_[pos] != quote) {
      if (source_[pos] == '\\' && pos + 1 < source_.size()) {
        pos = append_escape(pos + 1, text);
      } else {
        text += source_[pos++];
      }
    }
    if (pos >= source_.size()) refuse("a string without an end");
    add(Token::Kind::kString, std::move(text));
    pos_ = pos + 1;
  }

  /// The escape whose letter stands at `pos`; returns the position behind it. As in Python's string literals.
  std::size_t append_escape(std::size_t pos, std::string& out) {
    constexpr std::string_view kLetters = "nrtabfv\\'\"";
    constexpr std::string_view kMeanings = "\n\r\t\a\b\f\v\\'\"";
    const char c = source_[pos];
    if (c == '\n') return pos + 1;
    if (const std::size_t i = kLetters.find(c); i != std::string_view::npos) {
      out += kMeanings[i];
      return pos + 1;
    }
    if (c == 'x') return append_digits(pos + 1, 2, 2, 16, out);
    if (c == 'u') return append_digits(pos + 1, 4, 4, 16, out);
    if (c == 'U') return append_digits(pos + 1, 8, 8, 16, out);
    if (c >= '0' && c <= '7') return append_digits(pos, 1, 3, 8, out);
    out += '\\';  // an unknown escape is kept as it stands
    out += c;
    return pos + 1;
  }

  std::size_t append_digits(std::size_t pos, int min_digits, int max_digits, std::uint32_t base,
                            std::string& out) {
    std::uint32_t value = 0;
    int count = 0;
    for (; count < max_digits && pos < source_.size(); ++count, ++pos) {
      const char c = source_[pos];
      const std::uint32_t digit = is_digit(c)              ? static_cast<std::uint32_t>(c - '0')
                                  : (c >= 'a' && c <= 'f') ? static_cast<std::uint32_t>(c - 'a' + 10)
                                  : (c >= 'A' && c <= 'F') ? static_cast<std::uint32_t>(c - 'A' + 10)
                                                           : base;
      if (digit >= base) break;
      value = value * base + digit;
    }
    if (count < min_digits || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) {
      refuse("a string with a broken escape");
    }
    append_utf8(out, value);
    return pos;
  }

  void lex_operator(std::string& open) {
    constexpr std::array<std::string_view, 6> kLong = {"//", "**", "==", "!=", ">=", "<="};
    constexpr std::string_view kShort = "+-*/%~<>=.:|,;()[]{}";
    std::string_view found;
    for (const std::string_view text : kLong) {
      if (starts_with(text, pos_)) found = text;
    }
    if (found.empty()) {
      const std::size_t i = kShort.find(source_[pos_]);
      if (i == std::string_view::npos) {
        refuse(fmt::format("unexpected character {}", shown(std::string_view(source_).substr(pos_, 1))));
      }
      found = kShort.substr(i, 1);
    }
    const char c = found.front();
    if (found.size() == 1 && (c == '(' || c == '[' || c == '{'))
      open += c == '(' ? ')' : c == '[' ? ']' : '}';
    if (c == ')' || c == ']' || c == '}') {
      if (open.empty() || open.back() != c) refuse(fmt::format("unexpected '{}'", c));
      open.pop_back();
    }
    add(Token::Kind::kOperator, std::string(found));
    pos_ += found.size();
  }

  std::string source_;
  std::size_t pos_ = 0;
  mutable std::size_t counted_ = 0;  // bytes whose newlines are in `line_`
  mutable std::uint32_t line_ = 1;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) {
  if (!is_utf8(source)) fail(ErrorKind::kFormat, "the template is not valid UTF-8");
  return Lexer(source).run();
}

}  // namespace llm2mnn::jinja
