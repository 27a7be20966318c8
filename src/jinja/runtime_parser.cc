#include "jinja/runtime_parser.h"

#include <algorithm>
#include <cstdlib>
#include <initializer_list>

#include "base/nesting.h"
#include "jinja/runtime_lexer.h"

namespace llm2mnn::jinja::runtime {
namespace {

constexpr int kMaxNesting = 200;

class Parser {
 public:
  explicit Parser(std::string_view source) : tokens_(read_tokens(source)) {}

  Program run() {
    while (!at_end())
      read_node(program_.roots);
    return std::move(program_);
  }

 private:
  using Kind = Expression::Kind;

  NestingLevel nested() {
    return {depth_, kMaxNesting, [] { throw Halt{}; }};
  }

  bool at_end() const { return tokens_[place_].kind == TokenKind::kEnd; }
  bool at(TokenKind kind) const { return tokens_[place_].kind == kind; }
  bool at(TokenKind kind, std::string_view text) const { return at(kind) && tokens_[place_].text == text; }
  bool at_mark(std::string_view text) const { return at(TokenKind::kMark, text); }
  bool at_one_of(TokenKind kind, std::initializer_list<std::string_view> texts) const {
    return at(kind) && std::ranges::find(texts, tokens_[place_].text) != texts.end();
  }
  // The token here, passed; the one before where the template ends.
  const Token& take() {
    if (!at_end()) ++place_;
    return tokens_[place_ - 1];
  }
  bool skip(TokenKind kind, std::string_view text) {
    const bool found = at(kind, text);
    place_ += found ? 1 : 0;
    return found;
  }
  bool skip_mark(std::string_view text) { return skip(TokenKind::kMark, text); }
  bool skip_name(std::string_view text) { return skip(TokenKind::kName, text); }
  void skip_tag_end() { skip(TokenKind::kTagEnd, "%}"); }

  int add(Expression expression) {
    program_.expressions.push_back(std::move(expression));
    return static_cast<int>(program_.expressions.size()) - 1;
  }
  int add(Kind kind, std::string name, std::vector<int> operands) {
    return add({.kind = kind,
                .name = std::move(name),
                .literal = {},
                .operands = std::move(operands),
                .labels = {}});
  }
  int add_literal(Value value) {
    return add(
        {.kind = Kind::kLiteral, .name = {}, .literal = std::move(value), .operands = {}, .labels = {}});
  }
  int add(Statement statement) {
    program_.statements.push_back(std::move(statement));
    return static_cast<int>(program_.statements.size()) - 1;
  }

  // Statements

  // One piece of a body; a stray token adds nothing.
  void read_node(std::vector<int>& body) {
    const NestingLevel level = nested();
    Statement made;
    if (at(TokenKind::kText)) {
      made.text = take().text;
    } else if (at(TokenKind::kPrintBegin)) {
      take();
      made.kind = Statement::Kind::kPrint;
      made.subject = read_expression();
      skip(TokenKind::kPrintEnd, "}}");
    } else if (!at(TokenKind::kTagBegin)) {
      take();
      return;
    } else if (!read_tag(made)) {
      return;
    }
    body.push_back(add(std::move(made)));
  }

  bool read_tag(Statement& made) {
    take();
    const Token word = take();
    if (word.kind == TokenKind::kName) {
      if (word.text == "for") return read_for(made);
      if (word.text == "if") return read_if(made);
      if (word.text == "set") return read_set(made);
      if (word.text == "macro") return read_macro(made);
    }
    while (!at_end() && !at(TokenKind::kTagEnd))
      take();
    take();
    return false;
  }

  bool read_set(Statement& made) {
    made.kind = Statement::Kind::kSet;
    made.subject = read_expression();
    skip(TokenKind::kSymbol, "=");
    made.value = read_expression();
    skip_tag_end();
    return true;
  }

  bool read_for(Statement& made) {
    made.kind = Statement::Kind::kFor;
    while (at(TokenKind::kName)) {
      made.names.push_back(take().text);
      if (!skip_mark(",")) break;
    }
    skip_name("in");
    made.subject = read_or();
    if (skip_name("if")) made.value = read_expression();
    skip_tag_end();
    read_body_to("endfor", made.body);
    return true;
  }

  bool read_macro(Statement& made) {
    made.kind = Statement::Kind::kMacro;
    made.text = take().text;
    if (skip_mark("(")) {
      while (at(TokenKind::kName)) {
        made.names.push_back(take().text);
        if (skip(TokenKind::kSymbol, "=")) read_expression();  // defaults are dropped
        if (!skip_mark(",")) break;
      }
      skip_mark(")");
    }
    skip_tag_end();
    read_body_to("endmacro", made.body);
    return true;
  }

  void read_body_to(std::string_view end, std::vector<int>& body) {
    while (!at_end()) {
      if (at(TokenKind::kTagBegin) && tokens_[place_ + 1].text == end) {
        place_ += 2;
        skip_tag_end();
        return;
      }
      read_node(body);
    }
  }

  // From the condition on; also behind `elif`.
  bool read_if(Statement& made) {
    const NestingLevel level = nested();
    made.kind = Statement::Kind::kIf;
    made.subject = read_expression();
    skip_tag_end();
    auto* body = &made.body;
    while (!at_end()) {
      const bool is_tag = at(TokenKind::kTagBegin) && tokens_[place_ + 1].kind == TokenKind::kName;
      const std::string_view word = is_tag ? std::string_view(tokens_[place_ + 1].text) : "";
      if (word != "endif" && word != "else" && word != "elif") {
        read_node(*body);
        continue;
      }
      place_ += 2;
      if (word == "elif") {
        Statement nested;
        read_if(nested);
        made.otherwise.push_back(add(std::move(nested)));
        return true;
      }
      skip_tag_end();
      if (word == "endif") return true;
      body = &made.otherwise;
    }
    return true;
  }

  // Expressions

  int read_expression() {
    const NestingLevel level = nested();
    const int value = read_or();
    if (!skip_name("if")) return value;
    const int condition = read_or();
    if (!skip_name("else")) return value;  // the condition has no effect
    const int other = read_expression();
    return add(Kind::kChoice, "", {condition, value, other});
  }

  int read_or() {
    int left = read_and();
    while (skip_name("or")) {
      const int right = read_and();
      left = add(Kind::kBinary, "or", {left, right});
    }
    return left;
  }

  int read_and() {
    int left = read_not();
    while (skip_name("and")) {
      const int right = read_not();
      left = add(Kind::kBinary, "and", {left, right});
    }
    return left;
  }

  int read_not() {
    const NestingLevel level = nested();
    if (!skip_name("not")) return read_comparison();
    const int value = read_not();
    const int no = add_literal(Value::of_bool(false)), yes = add_literal(Value::of_bool(true));
    return add(Kind::kChoice, "", {value, no, yes});
  }

  int read_comparison() {
    int left = read_sum();
    while (at_one_of(TokenKind::kSymbol, {"==", "!=", "<", ">", "<=", ">="}) ||
           at_one_of(TokenKind::kName, {"in", "is", "not"})) {
      std::string word = take().text;
      if (word == "is") {
        Expression test{.kind = Kind::kTest, .name = {}, .literal = {}, .operands = {left}, .labels = {}};
        test.negated = skip_name("not");
        test.name = take().text;
        left = add(std::move(test));
        continue;
      }
      if (word == "not") {
        if (!skip_name("in")) break;
        word = "not in";
      }
      const int right = read_sum();
      left = add(Kind::kBinary, std::move(word), {left, right});
    }
    return left;
  }

  int read_sum() {
    int left = read_filtered();
    while (at_one_of(TokenKind::kSymbol, {"+", "-", "~"})) {
      std::string word = take().text;
      const int right = read_filtered();
      left = add(Kind::kBinary, std::move(word), {left, right});
    }
    return left;
  }

  int read_filtered() {
    int left = read_signed();
    while (skip(TokenKind::kSymbol, "|")) {
      if (!at(TokenKind::kName)) continue;
      Expression filter{
          .kind = Kind::kFilter, .name = take().text, .literal = {}, .operands = {left}, .labels = {}};
      if (skip_mark("(")) read_arguments(filter, true);
      left = add(std::move(filter));
    }
    return left;
  }

  int read_signed() {
    const NestingLevel level = nested();
    if (!at_one_of(TokenKind::kSymbol, {"+", "-"})) return read_primary();
    std::string word = take().text;
    const int right = read_signed();
    const int zero = add_literal(Value::of_int(0));
    return add(Kind::kBinary, std::move(word), {zero, right});
  }

  // Behind the opening parenthesis; a label is a name before `=`.
  void read_arguments(Expression& call, bool labelled) {
    while (!at_mark(")")) {
      std::string label;
      if (labelled && at(TokenKind::kName) && tokens_[place_ + 1].text == "=") {
        label = take().text;
        take();
      }
      call.operands.push_back(read_expression());
      call.labels.push_back(std::move(label));
      if (!skip_mark(",")) break;
    }
    skip_mark(")");
  }

  int read_primary() {
    if (skip_mark("[")) return read_display("]", false);
    if (skip_mark("{")) return read_display("}", true);
    if (at(TokenKind::kString)) return add_literal(Value::of_text(take().text));
    if (at(TokenKind::kName)) return read_named();
    if (at(TokenKind::kNumber))
      return add_literal(
          Value::of_int(static_cast<std::int32_t>(std::strtol(take().text.c_str(), nullptr, 10))));
    if (!skip_mark("(")) return add_literal(Value::of_text(""));
    const int inner = read_expression();
    skip_mark(")");
    return inner;
  }

  int read_display(std::string_view end, bool is_object) {
    std::vector<int> operands;
    while (!skip_mark(end)) {
      const auto before = place_;
      operands.push_back(read_expression());
      if (is_object) {
        skip_mark(":");
        operands.push_back(read_expression());
      }
      skip_mark(",");
      if (place_ == before) throw Halt{};
    }
    return add(is_object ? Kind::kObject : Kind::kList, "", std::move(operands));
  }

  int read_named() {
    std::string name = take().text;
    if (name == "true" || name == "false") return add_literal(Value::of_bool(name == "true"));
    if (name == "none") return add_literal({});
    Expression first{
        .kind = Kind::kVariable, .name = std::move(name), .literal = {}, .operands = {}, .labels = {}};
    if (skip_mark("(")) {
      first.kind = Kind::kCall;
      read_arguments(first, true);
    }
    int value = add(std::move(first));
    while (true) {
      if (skip_mark("["))
        value = read_subscript(value);
      else if (skip_mark("."))
        value = at(TokenKind::kName) ? read_member(value) : value;
      else
        return value;
    }
  }

  int read_member(int object) {
    Expression member{
        .kind = Kind::kMember, .name = take().text, .literal = {}, .operands = {object}, .labels = {}};
    if (skip_mark("(")) {
      member.kind = Kind::kMethod;
      read_arguments(member, false);
    }
    return add(std::move(member));
  }

  int read_subscript(int object) {
    int begin = kNone, end = kNone, step = kNone;
    if (!at_mark(":") && !at_mark("]")) begin = read_expression();
    const bool is_slice = skip_mark(":");
    if (is_slice) {
      if (!at_mark(":") && !at_mark("]")) end = read_expression();
      if (skip_mark(":") && !at_mark("]")) step = read_expression();
    }
    skip_mark("]");
    if (is_slice) return add(Kind::kSlice, "", {object, begin, end, step});
    if (begin == kNone) begin = add_literal(Value::of_text(""));
    return add(Kind::kItem, "", {object, begin});
  }

  std::vector<Token> tokens_;
  std::size_t place_ = 0;
  int depth_ = 0;
  Program program_;
};

}  // namespace

Program parse_program(std::string_view source) { return Parser(source).run(); }

}  // namespace llm2mnn::jinja::runtime
