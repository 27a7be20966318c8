#include "jinja/template_printer.h"

#include <charconv>

#include "jinja/tree.h"

namespace llm2mnn::jinja {
namespace {

using Kind = Expression::Kind;

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    switch (c) {
      case '\n':
        result += "\\n";
        break;
      case '\r':
        result += "\\r";
        break;
      case '\t':
        result += "\\t";
        break;
      case '\\':
        result += "\\\\";
        break;
      case '"':
        result += "\\\"";
        break;
      default:
        result += c;
    }
  }
  return result + "\"";
}

std::string number(double value) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  return {buffer, end};
}

/// What needs no parentheses as an operand.
bool is_simple(const Expression& expression) {
  switch (expression.kind) {
    case Kind::kNegative:
    case Kind::kPositive:
    case Kind::kNot:
    case Kind::kBinary:
    case Kind::kCompare:
    case Kind::kTernary:
    case Kind::kTest:
    case Kind::kFilter:
      return false;
    default:
      return true;
  }
}

std::string operand(const Expression& expression) {
  std::string text = print_expression(expression);
  return is_simple(expression) ? text : "(" + text + ")";
}

/// The part of an expression that a `.name`, `[key]` or `(...)` may follow.
std::string base(const Expression& expression) {
  switch (expression.kind) {
    case Kind::kName:
    case Kind::kMember:
    case Kind::kIndex:
    case Kind::kSlice:
    case Kind::kCall:
      return print_expression(expression);
    default:
      return "namespace(v=" + print_expression(expression) + ").v";
  }
}

std::string joined(const std::vector<ExpressionPtr>& items) {
  std::string result;
  for (const auto& item : items) {
    if (!result.empty()) result += ", ";
    result += print_expression(*item);
  }
  return result;
}

std::string arguments(const std::vector<Argument>& list) {
  std::string result;
  for (const auto& argument : list) {
    if (!result.empty()) result += ", ";
    if (!argument.name.empty()) result += argument.name + "=";
    result += print_expression(*argument.value);
  }
  return result;
}

std::string dictionary(const Expression& expression) {
  std::string result = "{";
  for (std::size_t i = 0; i + 1 < expression.items.size(); i += 2) {
    if (i > 0) result += ", ";
    result += print_expression(*expression.items[i]) + ": " + print_expression(*expression.items[i + 1]);
  }
  // Two brackets in a row would end an output.
  return result + (result.ends_with("}") ? " }" : "}");
}

std::string slice(const Expression& expression) {
  const auto part = [&](std::size_t i) {
    return expression.items[i] ? print_expression(*expression.items[i]) : std::string();
  };
  std::string result = base(*expression.items[0]) + "[" + part(1) + ":" + part(2);
  if (expression.items[3]) result += ":" + part(3);
  return result + "]";
}

std::string comparison(const Expression& expression) {
  std::string result = operand(*expression.items[0]);
  for (std::size_t i = 0; i < expression.operators.size(); ++i) {
    result += " " + expression.operators[i] + " " + operand(*expression.items[i + 1]);
  }
  return result;
}

/// A left operand of the same operator needs no parentheses: the runtime, too, groups from the left.
std::string binary(const Expression& expression) {
  const Expression& left = *expression.items[0];
  const bool same = left.kind == Kind::kBinary && left.text == expression.text;
  return (same ? print_expression(left) : operand(left)) + " " + expression.text + " " +
         operand(*expression.items[1]);
}

std::string called(const Expression& expression, std::string_view mark) {
  std::string result = operand(*expression.items[0]) + std::string(mark) + expression.text;
  if (!expression.arguments.empty()) result += "(" + arguments(expression.arguments) + ")";
  return result;
}

std::string ternary(const Expression& expression) {
  const Expression& value = *expression.items[0];
  const Expression& condition = *expression.items[1];
  const auto bracketed = [](const Expression& part, bool brackets_test) {
    std::string text = print_expression(part);
    const bool brackets = part.kind == Kind::kTernary || (brackets_test && part.kind == Kind::kTest);
    return brackets ? "(" + text + ")" : text;
  };
  // Behind a test's name, Jinja reads `if` as the test's argument.
  return bracketed(value, true) + " if " + bracketed(condition, false) + " else " +
         (expression.items[2] ? print_expression(*expression.items[2]) : std::string("\"\""));
}

/// Jinja takes a conditional expression in an `if` in parentheses only.
std::string condition(const Expression& expression) {
  return expression.kind == Kind::kTernary ? operand(expression) : print_expression(expression);
}

class Printer {
 public:
  std::string text;

  void print(const Block& block) {
    for (const auto& statement : block)
      print(statement);
  }

 private:
  void line(const std::string& content) { text += content + "\n"; }
  void tag(const std::string& content) { line("{%- " + content + " -%}"); }

  void print(const Statement& statement) {
    switch (statement.kind) {
      case Statement::Kind::kText:
        line("{{- " + quoted(statement.text) + " -}}");
        break;
      case Statement::Kind::kOutput:
        line("{{- " + print_expression(*statement.expression) + " -}}");
        break;
      case Statement::Kind::kIf:
        print_if(statement);
        break;
      case Statement::Kind::kFor:
        print_for(statement);
        break;
      case Statement::Kind::kSet:
        tag("set " + print_expression(*statement.target) + " = " + print_expression(*statement.expression));
        break;
      case Statement::Kind::kMacro:
        print_macro(statement);
        break;
      default:
        print(statement.body);
        break;
    }
  }

  void print_if(const Statement& statement) {
    tag("if " + condition(*statement.expression));
    print(statement.body);
    const Block* rest = &statement.otherwise;
    while (rest->size() == 1 && (*rest)[0].kind == Statement::Kind::kIf) {
      tag("elif " + condition(*(*rest)[0].expression));
      print((*rest)[0].body);
      rest = &(*rest)[0].otherwise;
    }
    if (!rest->empty()) {
      tag("else");
      print(*rest);
    }
    tag("endif");
  }

  void print_for(const Statement& statement) {
    std::string head = "for ";
    for (std::size_t i = 0; i < statement.targets.size(); ++i)
      head += (i > 0 ? ", " : "") + statement.targets[i];
    head += " in " + operand(*statement.expression);
    if (statement.condition) head += " if " + print_expression(*statement.condition);
    tag(head);
    print(statement.body);
    tag("endfor");
  }

  void print_macro(const Statement& statement) {
    std::string head = "macro " + statement.text + "(";
    for (std::size_t i = 0; i < statement.parameters.size(); ++i) {
      head += (i > 0 ? ", " : "") + statement.parameters[i].name;
    }
    tag(head + ")");
    print(statement.body);
    tag("endmacro");
  }
};

}  // namespace

std::string print_expression(const Expression& expression) {
  switch (expression.kind) {
    case Kind::kNone:
      return "none";
    case Kind::kBool:
      return expression.bool_value ? "true" : "false";
    case Kind::kInteger:
      return std::to_string(expression.int_value);
    case Kind::kFloat:
      return number(expression.float_value);
    case Kind::kString:
      return quoted(expression.text);
    case Kind::kName:
      return expression.text;
    case Kind::kList:
    case Kind::kTuple:
      return "[" + joined(expression.items) + "]";
    case Kind::kDict:
      return dictionary(expression);
    case Kind::kMember:
      return base(*expression.items[0]) + "." + expression.text;
    case Kind::kIndex:
      return base(*expression.items[0]) + "[" + print_expression(*expression.items[1]) + "]";
    case Kind::kSlice:
      return slice(expression);
    case Kind::kCall:
      return base(*expression.items[0]) + "(" + arguments(expression.arguments) + ")";
    case Kind::kFilter:
      return called(expression, "|");
    case Kind::kTest:
      return called(expression, " is ");
    case Kind::kNot:
      return "not " + operand(*expression.items[0]);
    case Kind::kNegative:
      return "-" + operand(*expression.items[0]);
    case Kind::kPositive:
      return "+" + operand(*expression.items[0]);
    case Kind::kBinary:
      return binary(expression);
    case Kind::kCompare:
      return comparison(expression);
    case Kind::kTernary:
      return ternary(expression);
  }
  return "none";
}

std::string print_template(const Block& block) {
  Printer printer;
  printer.print(block);
  return printer.text;
}

}  // namespace llm2mnn::jinja
