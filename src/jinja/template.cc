#include "jinja/template.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <utility>

#include "base/error.h"
#include "jinja/expression_parser.h"

namespace llm2mnn::jinja {

namespace {

using Kind = Statement::Kind;

class TemplateParser {
 public:
  explicit TemplateParser(std::string_view source) : cursor_(tokenize(source)) {}

  Block run() {
    Block body = parse_block({});
    if (cursor_.peek().kind != Token::Kind::kEnd) cursor_.refuse("the end of the template");
    return body;
  }

 private:
  static Statement make(Kind kind, std::uint32_t line) {
    Statement statement;
    statement.kind = kind;
    statement.line = line;
    return statement;
  }

  void end_tag() { cursor_.expect(Token::Kind::kBlockEnd, "'%}'"); }

  /// Whether the cursor is at `{% word` for one of `ends`.
  bool at_end_of_block(std::initializer_list<std::string_view> ends) const {
    const Token& word = cursor_.peek(1);
    return cursor_.peek().kind == Token::Kind::kBlockBegin && word.kind == Token::Kind::kName &&
           std::find(ends.begin(), ends.end(), word.text) != ends.end();
  }

  /// Statements up to a tag of `ends`, at which the cursor stops.
  Block parse_block(std::initializer_list<std::string_view> ends) {
    const NestingLevel level = cursor_.nested();
    Block body;
    while (!at_end_of_block(ends)) {
      const Token& token = cursor_.peek();
      if (token.kind == Token::Kind::kEnd) {
        if (ends.size() == 0) return body;
        cursor_.refuse(fmt::format("'{{% {} %}}'", *(ends.end() - 1)));
      }
      if (token.kind == Token::Kind::kText) {
        body.push_back(make(Kind::kText, token.line));
        body.back().text = cursor_.take().text;
      } else if (token.kind == Token::Kind::kOutputBegin) {
        body.push_back(make(Kind::kOutput, cursor_.take().line));
        body.back().expression = parse_tuple(cursor_, true);
        cursor_.expect(Token::Kind::kOutputEnd, "'}}'");
      } else {
        body.push_back(parse_statement());
      }
    }
    return body;
  }

  /// Takes `{% word %}`.
  void take_end(std::string_view word) {
    cursor_.take();
    if (!cursor_.take_name(word)) cursor_.refuse(fmt::format("'{}'", word));
    end_tag();
  }

  Statement parse_statement() {
    cursor_.take();
    const Token word = cursor_.peek();
    if (word.kind != Token::Kind::kName) cursor_.refuse("the name of a statement");
    cursor_.take();
    if (word.text == "if") return parse_if(word.line);
    if (word.text == "for") return parse_for(word.line);
    if (word.text == "set") return parse_set(word.line);
    if (word.text == "macro") return parse_macro(word.line);
    if (word.text == "call") return parse_call(word.line);
    if (word.text == "filter") return parse_filter_block(word.line);
    if (word.text == "generation") return parse_generation(word.line);
    if (word.text == "break" || word.text == "continue") {
      end_tag();
      return make(word.text == "break" ? Kind::kBreak : Kind::kContinue, word.line);
    }
    if (word.text == "print") {
      Statement statement = make(Kind::kOutput, word.line);
      statement.expression = parse_expression(cursor_);
      if (cursor_.at_operator(",")) {
        fail(ErrorKind::kUnsupported, "line {}: a 'print' of several values is not supported", word.line);
      }
      end_tag();
      return statement;
    }
    constexpr std::array<std::string_view, 7> kOthers = {"include", "import", "from",      "extends",
                                                         "block",   "with",   "autoescape"};
    if (std::find(kOthers.begin(), kOthers.end(), word.text) != kOthers.end()) {
      fail(ErrorKind::kUnsupported, "line {}: the statement '{}' is not supported in a chat template",
           word.line, word.text);
    }
    fail(ErrorKind::kFormat, "line {}: unknown statement {}", word.line, shown(word.text, 40));
  }

  Statement parse_if(std::uint32_t line) {
    const NestingLevel level = cursor_.nested();
    Statement statement = make(Kind::kIf, line);
    statement.expression = parse_tuple(cursor_, false);
    end_tag();
    statement.body = parse_block({"elif", "else", "endif"});
    const std::string next = cursor_.peek(1).text;
    if (next == "elif") {
      cursor_.take();
      const std::uint32_t elif_line = cursor_.take().line;
      statement.otherwise.push_back(parse_if(elif_line));
      return statement;
    }
    if (next == "else") {
      take_end("else");
      statement.otherwise = parse_block({"endif"});
    }
    take_end("endif");
    return statement;
  }

  Statement parse_for(std::uint32_t line) {
    Statement statement = make(Kind::kFor, line);
    const bool in_parentheses = cursor_.take_operator("(");
    do {
      statement.targets.push_back(cursor_.expect_any_name("a loop variable"));
    } while (cursor_.take_operator(",") && !cursor_.at_name("in"));
    if (in_parentheses) cursor_.expect_operator(")");
    if (!cursor_.take_name("in")) cursor_.refuse("'in'");
    statement.expression = parse_tuple(cursor_, false, "recursive");
    if (cursor_.take_name("if")) statement.condition = parse_expression(cursor_);
    statement.is_recursive = cursor_.take_name("recursive");
    end_tag();
    statement.body = parse_block({"else", "endfor"});
    if (cursor_.peek(1).text == "else") {
      take_end("else");
      statement.otherwise = parse_block({"endfor"});
    }
    take_end("endfor");
    return statement;
  }

  /// A name, `namespace.attribute`, or a tuple of names.
  ExpressionPtr parse_target() {
    const auto name = [&] {
      ExpressionPtr node = make_expression(Expression::Kind::kName, cursor_.peek().line);
      node->text = cursor_.expect_any_name("a name to set");
      return node;
    };
    ExpressionPtr first = name();
    if (cursor_.take_operator(".")) {
      ExpressionPtr member = make_expression(Expression::Kind::kMember, first->line);
      member->text = cursor_.expect_any_name("a name behind '.'");
      member->items.push_back(std::move(first));
      return member;
    }
    if (!cursor_.at_operator(",")) return first;
    ExpressionPtr tuple = make_expression(Expression::Kind::kTuple, first->line);
    tuple->items.push_back(std::move(first));
    while (cursor_.take_operator(",") && cursor_.peek().kind == Token::Kind::kName)
      tuple->items.push_back(name());
    return tuple;
  }

  Statement parse_set(std::uint32_t line) {
    Statement statement = make(Kind::kSet, line);
    statement.target = parse_target();
    if (cursor_.take_operator("=")) {
      statement.expression = parse_tuple(cursor_, true);
      end_tag();
      return statement;
    }
    statement.kind = Kind::kSetBlock;
    statement.filter = parse_filters(cursor_, nullptr);
    end_tag();
    statement.body = parse_block({"endset"});
    take_end("endset");
    return statement;
  }

  std::vector<Parameter> parse_parameters() {
    std::vector<Parameter> parameters;
    cursor_.expect_operator("(");
    while (!cursor_.at_operator(")")) {
      Parameter parameter;
      parameter.name = cursor_.expect_any_name("a parameter");
      if (cursor_.take_operator("=")) {
        parameter.default_value = parse_expression(cursor_);
      } else if (!parameters.empty() && parameters.back().default_value != nullptr) {
        cursor_.refuse("a default, since the parameter in front has one");
      }
      parameters.push_back(std::move(parameter));
      if (!cursor_.take_operator(",")) break;
    }
    cursor_.expect_operator(")");
    return parameters;
  }

  Statement parse_macro(std::uint32_t line) {
    Statement statement = make(Kind::kMacro, line);
    statement.text = cursor_.expect_any_name("the name of a macro");
    statement.parameters = parse_parameters();
    end_tag();
    statement.body = parse_block({"endmacro"});
    take_end("endmacro");
    return statement;
  }

  Statement parse_call(std::uint32_t line) {
    Statement statement = make(Kind::kCallBlock, line);
    if (cursor_.at_operator("(")) statement.parameters = parse_parameters();
    statement.expression = parse_expression(cursor_);
    if (statement.expression->kind != Expression::Kind::kCall) cursor_.refuse("the call of a macro");
    end_tag();
    statement.body = parse_block({"endcall"});
    take_end("endcall");
    return statement;
  }

  Statement parse_filter_block(std::uint32_t line) {
    Statement statement = make(Kind::kFilterBlock, line);
    statement.filter = parse_filters(cursor_, parse_filter(cursor_, nullptr));
    end_tag();
    statement.body = parse_block({"endfilter"});
    take_end("endfilter");
    return statement;
  }

  Statement parse_generation(std::uint32_t line) {
    Statement statement = make(Kind::kGeneration, line);
    end_tag();
    statement.body = parse_block({"endgeneration"});
    take_end("endgeneration");
    return statement;
  }

  TokenCursor cursor_;
};

}  // namespace

Template parse_template(std::string_view source) { return {TemplateParser(source).run()}; }

}  // namespace llm2mnn::jinja
