#pragma once
// The expressions of a template.

#include <string_view>
#include <vector>

#include "base/nesting.h"
#include "jinja/ast.h"
#include "jinja/lexer.h"

namespace llm2mnn::jinja {

/// A position in the tokens of a template, and what both parsers ask of it.
class TokenCursor {
 public:
  explicit TokenCursor(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& peek(std::size_t ahead = 0) const;
  Token take();
  bool at_operator(std::string_view text) const;
  bool at_name(std::string_view text) const;
  /// Takes it if it is there.
  bool take_operator(std::string_view text);
  bool take_name(std::string_view text);
  /// @throws Error kFormat when something else is there.
  void expect_operator(std::string_view text);
  std::string expect_any_name(std::string_view what);
  void expect(Token::Kind kind, std::string_view what);
  [[noreturn]] void refuse(std::string_view expected) const;

  /// One level of nesting. @throws Error kFormat beyond a limit.
  NestingLevel nested();

 private:
  std::vector<Token> tokens_;
  std::size_t pos_ = 0;
  int depth_ = 0;
};

/// One expression; a ternary only where `with_ternary`.
ExpressionPtr parse_expression(TokenCursor& cursor, bool with_ternary = true);
/// An expression, or a tuple without parentheses where a comma follows; ends in front of the end of the tag
/// or of the word `stop_word`.
ExpressionPtr parse_tuple(TokenCursor& cursor, bool with_ternary, std::string_view stop_word = {});
/// `| f(...) | g ...` behind `input` (which may be null: the body of a block).
ExpressionPtr parse_filters(TokenCursor& cursor, ExpressionPtr input);
/// `name(arguments)` without the bar.
ExpressionPtr parse_filter(TokenCursor& cursor, ExpressionPtr input);
ExpressionPtr make_expression(Expression::Kind kind, std::uint32_t line);

}  // namespace llm2mnn::jinja
