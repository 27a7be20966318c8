#include "jinja/expression_parser.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/error.h"

namespace llm2mnn::jinja {

namespace {

using Kind = Expression::Kind;

constexpr int kMaxDepth = 150;  // of nested expressions and blocks; templates that exist stay below 20
// Of `a + b + c ...`, of filters and of members in a row: each is one level of the tree.
constexpr int kMaxChain = 200;

/// Counts the links of a chain.
class Chain {
 public:
  explicit Chain(const TokenCursor& cursor) : cursor_(cursor) {}
  void add_link() {
    if (++links_ <= kMaxChain) return;
    fail(ErrorKind::kUnsupported, "line {}: more than {} operators in a row", cursor_.peek().line, kMaxChain);
  }

 private:
  const TokenCursor& cursor_;
  int links_ = 0;
};

ExpressionPtr parse_or(TokenCursor& cursor);
ExpressionPtr parse_unary(TokenCursor& cursor, bool with_filters);

ExpressionPtr unary(Kind kind, std::uint32_t line, ExpressionPtr operand) {
  ExpressionPtr node = make_expression(kind, line);
  node->items.push_back(std::move(operand));
  return node;
}

ExpressionPtr binary(std::string_view op, std::uint32_t line, ExpressionPtr left, ExpressionPtr right) {
  ExpressionPtr node = make_expression(Kind::kBinary, line);
  node->text = op;
  node->items.push_back(std::move(left));
  node->items.push_back(std::move(right));
  return node;
}

/// `operand (op operand)*`, left to right.
template <std::size_t N, typename Operand>
ExpressionPtr parse_left(TokenCursor& cursor, const std::array<std::string_view, N>& operators,
                         Operand operand) {
  ExpressionPtr left = operand();
  for (Chain chain(cursor);; chain.add_link()) {
    const auto op = std::find_if(operators.begin(), operators.end(),
                                 [&](std::string_view text) { return cursor.at_operator(text); });
    if (op == operators.end()) return left;
    const std::uint32_t line = cursor.take().line;
    ExpressionPtr right = operand();
    left = binary(*op, line, std::move(left), std::move(right));
  }
}

ExpressionPtr parse_power(TokenCursor& cursor) {
  return parse_left(cursor, std::array<std::string_view, 1>{"**"}, [&] { return parse_unary(cursor, true); });
}

ExpressionPtr parse_product(TokenCursor& cursor) {
  return parse_left(cursor, std::array<std::string_view, 4>{"*", "/", "//", "%"},
                    [&] { return parse_power(cursor); });
}

ExpressionPtr parse_concatenation(TokenCursor& cursor) {
  return parse_left(cursor, std::array<std::string_view, 1>{"~"}, [&] { return parse_product(cursor); });
}

ExpressionPtr parse_sum(TokenCursor& cursor) {
  return parse_left(cursor, std::array<std::string_view, 2>{"+", "-"},
                    [&] { return parse_concatenation(cursor); });
}

/// The comparison operator at the cursor, taken; empty when there is none.
std::string take_comparison(TokenCursor& cursor) {
  for (const std::string_view op : {"==", "!=", "<", "<=", ">", ">="}) {
    if (cursor.take_operator(op)) return std::string(op);
  }
  if (cursor.take_name("in")) return "in";
  if (cursor.at_name("not") && cursor.peek(1).kind == Token::Kind::kName && cursor.peek(1).text == "in") {
    cursor.take();
    cursor.take();
    return "not in";
  }
  return {};
}

ExpressionPtr parse_comparison(TokenCursor& cursor) {
  const std::uint32_t line = cursor.peek().line;
  ExpressionPtr first = parse_sum(cursor);
  std::string op = take_comparison(cursor);
  if (op.empty()) return first;
  ExpressionPtr node = unary(Kind::kCompare, line, std::move(first));
  for (; !op.empty(); op = take_comparison(cursor)) {
    node->operators.push_back(op);
    node->items.push_back(parse_sum(cursor));
  }
  return node;
}

ExpressionPtr parse_not(TokenCursor& cursor) {
  const NestingLevel level = cursor.nested();
  if (cursor.at_name("not")) {
    const std::uint32_t line = cursor.take().line;
    return unary(Kind::kNot, line, parse_not(cursor));
  }
  return parse_comparison(cursor);
}

template <typename Operand>
ExpressionPtr parse_logical(TokenCursor& cursor, std::string_view word, Operand operand) {
  ExpressionPtr left = operand();
  for (Chain chain(cursor); cursor.at_name(word); chain.add_link()) {
    const std::uint32_t line = cursor.take().line;
    ExpressionPtr right = operand();
    left = binary(word, line, std::move(left), std::move(right));
  }
  return left;
}

ExpressionPtr parse_or(TokenCursor& cursor) {
  return parse_logical(cursor, "or",
                       [&] { return parse_logical(cursor, "and", [&] { return parse_not(cursor); }); });
}

ExpressionPtr parse_list(TokenCursor& cursor) {
  ExpressionPtr node = make_expression(Kind::kList, cursor.take().line);
  while (!cursor.at_operator("]")) {
    node->items.push_back(parse_expression(cursor));
    if (!cursor.take_operator(",")) break;
  }
  cursor.expect_operator("]");
  return node;
}

ExpressionPtr parse_dict(TokenCursor& cursor) {
  ExpressionPtr node = make_expression(Kind::kDict, cursor.take().line);
  while (!cursor.at_operator("}")) {
    node->items.push_back(parse_expression(cursor));
    cursor.expect_operator(":");
    node->items.push_back(parse_expression(cursor));
    if (!cursor.take_operator(",")) break;
  }
  cursor.expect_operator("}");
  return node;
}

ExpressionPtr parse_parentheses(TokenCursor& cursor) {
  const std::uint32_t line = cursor.take().line;
  if (cursor.take_operator(")")) return make_expression(Kind::kTuple, line);
  ExpressionPtr first = parse_expression(cursor);
  if (!cursor.at_operator(",")) {
    cursor.expect_operator(")");
    return first;
  }
  ExpressionPtr node = unary(Kind::kTuple, line, std::move(first));
  while (cursor.take_operator(",") && !cursor.at_operator(")"))
    node->items.push_back(parse_expression(cursor));
  cursor.expect_operator(")");
  return node;
}

ExpressionPtr parse_integer(TokenCursor& cursor) {
  const Token token = cursor.peek();
  ExpressionPtr node = make_expression(Kind::kInteger, token.line);
  const auto [end, error] =
      std::from_chars(token.text.data(), token.text.data() + token.text.size(), node->int_value);
  if (error != std::errc{})
    fail(ErrorKind::kUnsupported, "line {}: an integer of more than 64 bits", token.line);
  cursor.take();
  return node;
}

ExpressionPtr parse_float(TokenCursor& cursor) {
  const Token token = cursor.take();
  ExpressionPtr node = make_expression(Kind::kFloat, token.line);
  std::from_chars(token.text.data(), token.text.data() + token.text.size(), node->float_value);
  return node;
}

ExpressionPtr parse_string(TokenCursor& cursor) {
  ExpressionPtr node = make_expression(Kind::kString, cursor.peek().line);
  while (cursor.peek().kind == Token::Kind::kString)  // neighbours are one string
    node->text += cursor.take().text;
  return node;
}

ExpressionPtr parse_word(TokenCursor& cursor) {
  const Token token = cursor.take();
  const std::string& word = token.text;
  if (word == "true" || word == "True" || word == "false" || word == "False") {
    ExpressionPtr node = make_expression(Kind::kBool, token.line);
    node->bool_value = word == "true" || word == "True";
    return node;
  }
  if (word == "none" || word == "None") return make_expression(Kind::kNone, token.line);
  ExpressionPtr node = make_expression(Kind::kName, token.line);
  node->text = word;
  return node;
}

ExpressionPtr parse_primary(TokenCursor& cursor) {
  const NestingLevel level = cursor.nested();
  switch (cursor.peek().kind) {
    case Token::Kind::kName:
      return parse_word(cursor);
    case Token::Kind::kString:
      return parse_string(cursor);
    case Token::Kind::kInteger:
      return parse_integer(cursor);
    case Token::Kind::kFloat:
      return parse_float(cursor);
    default:
      break;
  }
  if (cursor.at_operator("(")) return parse_parentheses(cursor);
  if (cursor.at_operator("[")) return parse_list(cursor);
  if (cursor.at_operator("{")) return parse_dict(cursor);
  cursor.refuse("an expression");
}

std::vector<Argument> parse_arguments(TokenCursor& cursor) {
  std::vector<Argument> arguments;
  cursor.expect_operator("(");
  while (!cursor.at_operator(")")) {
    if (cursor.at_operator("*") || cursor.at_operator("**"))
      fail(ErrorKind::kUnsupported, "line {}: '*' in front of an argument is not supported",
           cursor.peek().line);
    Argument argument;
    const Token& next = cursor.peek(1);
    if (cursor.peek().kind == Token::Kind::kName && next.kind == Token::Kind::kOperator && next.text == "=") {
      argument.name = cursor.take().text;
      cursor.take();
    } else if (!arguments.empty() && !arguments.back().name.empty()) {
      cursor.refuse("a named argument behind a named one");
    }
    argument.value = parse_expression(cursor);
    arguments.push_back(std::move(argument));
    if (!cursor.take_operator(",")) break;
  }
  cursor.expect_operator(")");
  return arguments;
}

ExpressionPtr parse_member(TokenCursor& cursor, ExpressionPtr object) {
  const std::uint32_t line = cursor.take().line;
  if (cursor.peek().kind == Token::Kind::kName) {
    ExpressionPtr node = unary(Kind::kMember, line, std::move(object));
    node->text = cursor.take().text;
    return node;
  }
  if (cursor.peek().kind != Token::Kind::kInteger) cursor.refuse("a name behind '.'");
  ExpressionPtr node = unary(Kind::kIndex, line, std::move(object));
  node->items.push_back(parse_integer(cursor));
  return node;
}

ExpressionPtr parse_subscript(TokenCursor& cursor, ExpressionPtr object) {
  const std::uint32_t line = cursor.take().line;
  const auto part = [&]() -> ExpressionPtr {
    if (cursor.at_operator(":") || cursor.at_operator("]")) return nullptr;
    return parse_expression(cursor);
  };
  ExpressionPtr first = part();
  if (!cursor.at_operator(":")) {
    if (first == nullptr) cursor.refuse("an index");
    if (cursor.at_operator(",")) {
      ExpressionPtr tuple = unary(Kind::kTuple, line, std::move(first));
      while (cursor.take_operator(","))
        tuple->items.push_back(parse_expression(cursor));
      first = std::move(tuple);
    }
    cursor.expect_operator("]");
    ExpressionPtr node = unary(Kind::kIndex, line, std::move(object));
    node->items.push_back(std::move(first));
    return node;
  }
  ExpressionPtr node = unary(Kind::kSlice, line, std::move(object));
  node->items.push_back(std::move(first));
  for (int i = 0; i < 2; ++i)
    node->items.push_back(cursor.take_operator(":") ? part() : nullptr);
  cursor.expect_operator("]");
  return node;
}

ExpressionPtr parse_call(TokenCursor& cursor, ExpressionPtr callee) {
  ExpressionPtr node = unary(Kind::kCall, cursor.peek().line, std::move(callee));
  node->arguments = parse_arguments(cursor);
  return node;
}

ExpressionPtr parse_postfix(TokenCursor& cursor, ExpressionPtr node) {
  for (Chain chain(cursor);; chain.add_link()) {
    if (cursor.at_operator(".")) {
      node = parse_member(cursor, std::move(node));
    } else if (cursor.at_operator("[")) {
      node = parse_subscript(cursor, std::move(node));
    } else if (cursor.at_operator("(")) {
      node = parse_call(cursor, std::move(node));
    } else {
      return node;
    }
  }
}

/// Whether what follows a test's name is its one argument without parentheses.
bool at_bare_argument(const TokenCursor& cursor) {
  const Token& token = cursor.peek();
  switch (token.kind) {
    case Token::Kind::kName:
      return token.text != "else" && token.text != "or" && token.text != "and";
    case Token::Kind::kString:
    case Token::Kind::kInteger:
    case Token::Kind::kFloat:
      return true;
    default:
      return cursor.at_operator("[") || cursor.at_operator("{");
  }
}

std::string parse_dotted_name(TokenCursor& cursor, std::string_view what) {
  std::string name = cursor.expect_any_name(what);
  while (cursor.take_operator("."))
    name += "." + cursor.expect_any_name(what);
  return name;
}

ExpressionPtr parse_test(TokenCursor& cursor, ExpressionPtr operand) {
  const std::uint32_t line = cursor.take().line;
  const bool negated = cursor.take_name("not");
  ExpressionPtr node = unary(Kind::kTest, line, std::move(operand));
  node->text = parse_dotted_name(cursor, "a test");
  if (cursor.at_operator("(")) {
    node->arguments = parse_arguments(cursor);
  } else if (at_bare_argument(cursor)) {
    if (cursor.at_name("is")) cursor.refuse("no second 'is'");
    Argument argument;
    argument.value = parse_postfix(cursor, parse_primary(cursor));
    node->arguments.push_back(std::move(argument));
  }
  return negated ? unary(Kind::kNot, line, std::move(node)) : std::move(node);
}

/// Filters, tests and calls behind an operand.
ExpressionPtr parse_filters_and_tests(TokenCursor& cursor, ExpressionPtr node) {
  for (Chain chain(cursor);; chain.add_link()) {
    if (cursor.at_operator("|")) {
      cursor.take();
      node = parse_filter(cursor, std::move(node));
    } else if (cursor.at_name("is")) {
      node = parse_test(cursor, std::move(node));
    } else if (cursor.at_operator("(")) {
      node = parse_call(cursor, std::move(node));
    } else {
      return node;
    }
  }
}

ExpressionPtr parse_unary(TokenCursor& cursor, bool with_filters) {
  const NestingLevel level = cursor.nested();
  ExpressionPtr node;
  if (cursor.at_operator("-") || cursor.at_operator("+")) {
    const Token sign = cursor.take();
    node = unary(sign.text == "-" ? Kind::kNegative : Kind::kPositive, sign.line, parse_unary(cursor, false));
  } else {
    node = parse_primary(cursor);
  }
  node = parse_postfix(cursor, std::move(node));
  return with_filters ? parse_filters_and_tests(cursor, std::move(node)) : std::move(node);
}

}  // namespace

const Token& TokenCursor::peek(std::size_t ahead) const {
  return tokens_[std::min(pos_ + ahead, tokens_.size() - 1)];
}

Token TokenCursor::take() {
  Token token = peek();
  if (pos_ + 1 < tokens_.size()) ++pos_;
  return token;
}

bool TokenCursor::at_operator(std::string_view text) const {
  return peek().kind == Token::Kind::kOperator && peek().text == text;
}

bool TokenCursor::at_name(std::string_view text) const {
  return peek().kind == Token::Kind::kName && peek().text == text;
}

bool TokenCursor::take_operator(std::string_view text) {
  const bool found = at_operator(text);
  if (found) take();
  return found;
}

bool TokenCursor::take_name(std::string_view text) {
  const bool found = at_name(text);
  if (found) take();
  return found;
}

void TokenCursor::expect_operator(std::string_view text) {
  if (!take_operator(text)) refuse(fmt::format("'{}'", text));
}

std::string TokenCursor::expect_any_name(std::string_view what) {
  if (peek().kind != Token::Kind::kName) refuse(what);
  return take().text;
}

void TokenCursor::expect(Token::Kind kind, std::string_view what) {
  if (peek().kind != kind) refuse(what);
  take();
}

void TokenCursor::refuse(std::string_view expected) const {
  const Token& token = peek();
  std::string found;
  switch (token.kind) {
    case Token::Kind::kOutputEnd:
      found = "'}}'";
      break;
    case Token::Kind::kBlockEnd:
      found = "'%}'";
      break;
    case Token::Kind::kEnd:
      found = "the end of the template";
      break;
    default:
      found = shown(token.text, 40);
  }
  fail(ErrorKind::kFormat, "line {}: expected {}, found {}", token.line, expected, found);
}

NestingLevel TokenCursor::nested() {
  return {depth_, kMaxDepth, [this] {
            fail(ErrorKind::kUnsupported, "line {}: nested more than {} levels deep", peek().line, kMaxDepth);
          }};
}

ExpressionPtr make_expression(Expression::Kind kind, std::uint32_t line) {
  auto node = std::make_unique<Expression>();
  node->kind = kind;
  node->line = line;
  return node;
}

ExpressionPtr parse_expression(TokenCursor& cursor, bool with_ternary) {
  const NestingLevel level = cursor.nested();
  ExpressionPtr node = parse_or(cursor);
  for (Chain chain(cursor); with_ternary && cursor.at_name("if"); chain.add_link()) {
    const std::uint32_t line = cursor.take().line;
    ExpressionPtr ternary = unary(Kind::kTernary, line, std::move(node));
    ternary->items.push_back(parse_or(cursor));
    ternary->items.push_back(cursor.take_name("else") ? parse_expression(cursor) : nullptr);
    node = std::move(ternary);
  }
  return node;
}

ExpressionPtr parse_tuple(TokenCursor& cursor, bool with_ternary, std::string_view stop_word) {
  const std::uint32_t line = cursor.peek().line;
  ExpressionPtr first = parse_expression(cursor, with_ternary);
  if (!cursor.at_operator(",")) return first;
  ExpressionPtr node = unary(Kind::kTuple, line, std::move(first));
  while (cursor.take_operator(",")) {
    const Token::Kind next = cursor.peek().kind;
    if (next == Token::Kind::kOutputEnd || next == Token::Kind::kBlockEnd) break;
    if (!stop_word.empty() && cursor.at_name(stop_word)) break;
    node->items.push_back(parse_expression(cursor, with_ternary));
  }
  return node;
}

ExpressionPtr parse_filter(TokenCursor& cursor, ExpressionPtr input) {
  ExpressionPtr node = unary(Kind::kFilter, cursor.peek().line, std::move(input));
  node->text = parse_dotted_name(cursor, "a filter");
  if (cursor.at_operator("(")) node->arguments = parse_arguments(cursor);
  return node;
}

ExpressionPtr parse_filters(TokenCursor& cursor, ExpressionPtr input) {
  for (Chain chain(cursor); cursor.take_operator("|"); chain.add_link())
    input = parse_filter(cursor, std::move(input));
  return input;
}

}  // namespace llm2mnn::jinja
