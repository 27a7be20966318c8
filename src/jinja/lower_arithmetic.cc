// Arithmetic. The runtime parses `+`, `-` and `~` only; a remainder and a quotient of numbers that are not
// negative are read off a range.

#include "jinja/lowering_passes.h"
#include "jinja/tree.h"

namespace llm2mnn::jinja::lowering {
namespace {

using tree::Kind;

/// range(0, x + 1, n): the multiples of n up to x.
ExpressionPtr multiples(ExpressionPtr value, ExpressionPtr divisor) {
  return tree::call(tree::name("range"), tree::integer(0),
                    tree::binary(std::move(value), "+", tree::integer(1)), std::move(divisor));
}

ExpressionPtr joined_text(ExpressionPtr operand, State& state) {
  if (is_text(*operand, state)) return operand;
  state.changed("an operand of `~` became text as Jinja prints it");
  return as_text(std::move(operand), state);
}

/// What is added to a text that is marked safe is escaped.
ExpressionPtr escaped(ExpressionPtr operand, State& state) {
  if (is_markup(*operand)) return operand;
  state.changed("what is added to a text marked safe is escaped, as Jinja does");
  std::vector<ExpressionPtr> values;
  values.push_back(std::move(operand));
  return helper_call("escape", std::move(values), state);
}

}  // namespace

ExpressionPtr lower_arithmetic(ExpressionPtr expression, State& state) {
  const std::string& op = expression->text;
  auto& left = expression->items[0];
  auto& right = expression->items[1];
  if (op == "~") {
    left = joined_text(std::move(left), state);
    right = joined_text(std::move(right), state);
  }
  if (op == "+" && (is_markup(*left) || is_markup(*right))) {
    left = escaped(std::move(left), state);
    right = escaped(std::move(right), state);
    return expression;
  }
  if (op == "~") return expression;
  if (op == "+" || op == "-") return expression;
  if (op == "%" && left->kind != Kind::kString) {
    state.changed("`x % n` became a difference from the last multiple");
    auto value = repeatable(std::move(left), state);
    auto last = tree::index(multiples(tree::clone(value), std::move(right)), tree::integer(-1));
    return tree::binary(std::move(value), "-", std::move(last));
  }
  if (op == "//") {
    state.changed("`x // n` became a count of multiples");
    return tree::binary(tree::filter(multiples(std::move(left), std::move(right)), "length"), "-",
                        tree::integer(1));
  }
  if (op == "*" && (left->kind == Kind::kString || right->kind == Kind::kString)) {
    state.changed("a repeated string became a macro");
    std::vector<ExpressionPtr> values;
    const bool text_first = left->kind == Kind::kString;
    values.push_back(std::move(text_first ? left : right));
    values.push_back(std::move(text_first ? right : left));
    return helper_call("repeat", std::move(values), state);
  }
  state.limited("operator " + op, expression->line);
  return expression;
}

}  // namespace llm2mnn::jinja::lowering
