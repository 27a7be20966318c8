#include "verify/folded_pattern.h"

#include <algorithm>
#include <charconv>
#include <string>

#include "base/error.h"
#include "verify/runtime_unicode.h"

namespace llm2mnn::verify {
namespace {

constexpr int kMaxDepth = 64;
/// Terms behind each other, those around a group included: matching recurses over them.
constexpr std::size_t kMaxTerms = 4096;
/// A group without an upper limit repeats this often.
constexpr int kMaxGroupRepeats = 10000;

ByteClass class_of(std::string_view characters) {
  ByteClass bytes;
  for (const char c : characters)
    bytes.set(static_cast<unsigned char>(c));
  return bytes;
}

ByteClass letters() {
  return class_of(
      "\x01"
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
}
ByteClass numbers() {
  return class_of(
      "\x02"
      "0123456789");
}
ByteClass blanks() { return class_of("\x03 \t\n\r\f\v"); }
ByteClass words() { return letters() | numbers() | class_of("_"); }

ByteClass property(std::string_view name) {
  switch (name.empty() ? '\0' : name.front()) {
    case 'L':
      return letters();
    case 'N':
      return numbers();
    case 'M':
      return class_of("\x05");
    case 'P':
      return class_of("\x06!\"#%&'()*,-./:;?@[\\]_{}");
    case 'S':
      return class_of("\x07$+<=>^`|~");
    case 'Z':
      return blanks();
    default:
      return {};
  }
}

unsigned hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? static_cast<unsigned>(lower - 'a' + 10) : 0;
}

class PatternParser {
 public:
  explicit PatternParser(std::string_view pattern) : pattern_(pattern) {}

  std::vector<PatternBranch> parse() {
    std::vector<PatternBranch> branches;
    do {
      known_ = true;
      PatternBranch branch = parse_branch(0);
      if (known_) branches.push_back(std::move(branch));
    } while (take('|'));
    if (!at_end()) refuse("the runtime does not read what follows the ')'");
    return branches;
  }

 private:
  bool at_end() const { return at_ >= pattern_.size(); }
  char peek() const { return at_end() ? '\0' : pattern_[at_]; }
  char next() { return at_end() ? '\0' : pattern_[at_++]; }
  bool take(char c) {
    if (at_end() || pattern_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool at_wide() const { return !at_end() && static_cast<unsigned char>(pattern_[at_]) >= 0x80; }
  char32_t next_code() {
    const Utf8Char c = utf8_char(pattern_, at_);
    at_ += c.length;
    return c.code;
  }
  [[noreturn]] void refuse(std::string_view why) const {
    fail(ErrorKind::kFormat, "pattern {}, byte {}: {}", shown(pattern_), at_, why);
  }

  void add_literal(ByteClass& bytes, unsigned char c) const {
    bytes.set(c);
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (ignore_case_ && letter) bytes.set(c ^ 0x20U);
  }

  void add_property(ByteClass& bytes, bool inverted) {
    if (!take('{')) return;
    const std::size_t end = std::min(pattern_.find('}', at_), pattern_.size());
    const ByteClass named = property(pattern_.substr(at_, end - at_));
    at_ = end;
    if (!take('}')) refuse("the property has no '}'");
    bytes |= inverted ? ~named : named;
  }

  void add_escape(ByteClass& bytes) {
    next();
    const char c = next();
    switch (c) {
      case 'p':
      case 'P':
        return add_property(bytes, c == 'P');
      case 's':
        bytes |= blanks();
        return;
      case 'S':
        bytes |= ~blanks();
        return;
      case 'd':
        bytes |= numbers();
        return;
      case 'D':
        bytes |= ~numbers();
        return;
      case 'w':
        bytes |= words();
        return;
      case 'W':
        bytes |= ~words();
        return;
      case 'r':
        bytes.set('\r');
        return;
      case 'n':
        bytes.set('\n');
        return;
      case 't':
        bytes.set('\t');
        return;
      case 'f':
        bytes.set('\f');
        return;
      case 'v':
        bytes.set('\v');
        return;
      case 'x': {
        if (at_ + 1 >= pattern_.size()) return;
        const unsigned high = hex_digit(next());
        bytes.set(high * 16 + hex_digit(next()));
        return;
      }
      default:
        if (std::string_view("bBAZ123456789").find(c) != std::string_view::npos) known_ = false;
        add_literal(bytes, static_cast<unsigned char>(c));
    }
  }

  bool range_follows() const {
    return peek() == '-' && at_ + 1 < pattern_.size() && pattern_[at_ + 1] != ']';
  }

  /// `é-x`: the range of folded bytes, whichever way round.
  static void add_folded_range(ByteClass& bytes, unsigned a, unsigned b) {
    for (unsigned byte = std::min(a, b); byte <= std::max(a, b); ++byte)
      bytes.set(byte);
  }

  void add_wide_member(ByteClass& bytes) {
    const unsigned first = folded_char(next_code());
    if (!range_follows()) {
      bytes.set(first);
      return;
    }
    next();
    const char32_t last = at_wide() ? next_code() : static_cast<unsigned char>(next());
    add_folded_range(bytes, first, folded_char(last));
  }

  void add_member(ByteClass& bytes) {
    const auto first = static_cast<unsigned char>(next());
    if (!range_follows()) return add_literal(bytes, first);
    next();
    if (at_wide()) return add_folded_range(bytes, folded_char(first), folded_char(next_code()));
    char last = next();
    if (last == '\\') {
      last = next();
      if (last == 'n') last = '\n';
      if (last == 'r') last = '\r';
      if (last == 't') last = '\t';
    }
    for (unsigned byte = first; byte <= static_cast<unsigned char>(last); ++byte)
      add_literal(bytes, static_cast<unsigned char>(byte));
  }

  PatternNode parse_class() {
    next();
    PatternNode node;
    const bool inverted = take('^');
    if (take(']')) node.bytes.set(']');
    while (!at_end() && peek() != ']') {
      if (peek() == '\\') {
        add_escape(node.bytes);
      } else if (at_wide()) {
        add_wide_member(node.bytes);
      } else {
        add_member(node.bytes);
      }
    }
    if (!take(']')) refuse("the class has no ']'");
    if (inverted) node.bytes.flip();
    return node;
  }

  /// `(?=`, `(?<`: the alternative that holds it is left out.
  PatternNode skip_unknown_group() {
    known_ = false;
    int depth = 1;
    while (!at_end() && depth > 0) {
      const char c = next();
      depth += c == '(' ? 1 : 0;
      depth -= c == ')' ? 1 : 0;
    }
    return {};
  }

  PatternNode parse_group(int depth) {
    if (depth >= kMaxDepth) refuse("more brackets inside each other than this check follows");
    next();
    PatternNode node;
    node.kind = PatternNode::Kind::kGroup;
    const bool outer_case = ignore_case_;
    if (take('?')) {
      if (take('!')) {
        node.kind = PatternNode::Kind::kNotAhead;
      } else if (peek() == '=' || peek() == '<') {
        return skip_unknown_group();
      } else {
        while (!at_end() && peek() != ':' && peek() != ')')
          if (next() == 'i') ignore_case_ = true;
        take(':');
      }
    }
    node.branches.push_back(parse_branch(depth + 1));
    while (take('|'))
      node.branches.push_back(parse_branch(depth + 1));
    if (!take(')')) refuse("the group has no ')'");
    if (node.kind == PatternNode::Kind::kGroup) ignore_case_ = outer_case;
    return node;
  }

  PatternNode parse_atom(int depth) {
    if (peek() == '(') return parse_group(depth);
    if (peek() == '[') return parse_class();
    PatternNode node;
    if (peek() == '\\') {
      add_escape(node.bytes);
    } else if (take('.')) {
      node.bytes = ~class_of("\n");
    } else if (at_wide()) {
      node.bytes.set(folded_char(next_code()));
    } else {
      add_literal(node.bytes, static_cast<unsigned char>(next()));
    }
    return node;
  }

  int parse_number(int absent) {
    const std::size_t begin = at_;
    while (peek() >= '0' && peek() <= '9')
      next();
    if (at_ == begin) return absent;
    int value = 0;
    const auto read = std::from_chars(pattern_.data() + begin, pattern_.data() + at_, value);
    if (read.ec != std::errc{}) refuse("the runtime aborts on a number that is no int");
    return value;
  }

  void parse_repeat(PatternNode& node) {
    if (take('+')) {
      node.most = -1;
    } else if (take('*')) {
      node.least = 0;
      node.most = -1;
    } else if (take('?')) {
      node.least = 0;
    } else if (take('{')) {
      node.least = parse_number(0);
      node.most = take(',') ? parse_number(-1) : node.least;
      take('}');
    } else {
      return;
    }
    take('?');
  }

  PatternBranch parse_branch(int depth) {
    PatternBranch nodes;
    const std::size_t outer_terms = terms_;
    while (!at_end() && peek() != '|' && peek() != ')') {
      if (++terms_ > kMaxTerms) refuse("more terms behind each other than this check follows");
      nodes.push_back(parse_atom(depth));
      parse_repeat(nodes.back());
    }
    terms_ = outer_terms;
    return nodes;
  }

  std::string_view pattern_;
  std::size_t at_ = 0;
  std::size_t terms_ = 0;  ///< of the open branches
  bool ignore_case_ = false;
  bool known_ = true;
};

/// Recursion is bounded by the terms of the pattern, not by the text.
class Matcher {
 public:
  Matcher(std::string_view text, WorkBudget& budget) : text_(text), budget_(budget) {}

  /// End of the first branch that matches at `at`, or -1.
  int any(const std::vector<PatternBranch>& branches, int at) {
    for (const PatternBranch& branch : branches)
      if (const int end = sequence(branch, 0, at); end >= 0) return end;
    return -1;
  }

 private:
  int sequence(const PatternBranch& nodes, std::size_t index, int at) {
    budget_.spend(1);
    if (index == nodes.size()) return at;
    const PatternNode& node = nodes[index];
    if (node.kind == PatternNode::Kind::kNotAhead)
      return any(node.branches, at) >= 0 ? -1 : sequence(nodes, index + 1, at);
    return node.kind == PatternNode::Kind::kClass ? repeat_class(nodes, index, at)
                                                  : repeat_group(nodes, index, at);
  }

  int repeat_class(const PatternBranch& nodes, std::size_t index, int at) {
    const PatternNode& node = nodes[index];
    const int rest = static_cast<int>(text_.size()) - at;
    const int most = node.most < 0 ? rest : std::min(node.most, rest);
    int count = 0;
    while (count < most &&
           node.bytes[static_cast<unsigned char>(text_[static_cast<std::size_t>(at + count)])])
      ++count;
    budget_.spend(static_cast<std::uint64_t>(count) / 8);
    for (; count >= node.least; --count)
      if (const int end = sequence(nodes, index + 1, at + count); end >= 0) return end;
    return -1;
  }

  int repeat_group(const PatternBranch& nodes, std::size_t index, int at) {
    const PatternNode& node = nodes[index];
    const int most = node.most < 0 ? kMaxGroupRepeats : node.most;
    std::vector<int> ends = {at};
    while (static_cast<int>(ends.size()) - 1 < most) {
      const int end = any(node.branches, ends.back());
      if (end <= ends.back()) break;
      ends.push_back(end);
    }
    for (int count = static_cast<int>(ends.size()) - 1; count >= node.least; --count)
      if (const int end = sequence(nodes, index + 1, ends[static_cast<std::size_t>(count)]); end >= 0)
        return end;
    return -1;
  }

  std::string_view text_;
  WorkBudget& budget_;
};

}  // namespace

FoldedPattern::FoldedPattern(std::string_view pattern) : branches_(PatternParser(pattern).parse()) {}

std::vector<std::pair<std::size_t, std::size_t>> FoldedPattern::matches(std::string_view folded,
                                                                        WorkBudget& budget) const {
  std::vector<std::pair<std::size_t, std::size_t>> found;
  Matcher matcher(folded, budget);
  for (std::size_t at = 0; at < folded.size();) {
    const int end = matcher.any(branches_, static_cast<int>(at));
    if (end > static_cast<int>(at)) {
      found.emplace_back(at, static_cast<std::size_t>(end));
      at = static_cast<std::size_t>(end);
    } else {
      ++at;
    }
  }
  return found;
}

}  // namespace llm2mnn::verify
