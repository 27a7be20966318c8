// Tests. The runtime reads the name only: no arguments, and an undefined value counts as a mapping.

#include "jinja/lowering_passes.h"
#include "jinja/tree.h"

namespace llm2mnn::jinja::lowering {
namespace {

using tree::Kind;

/// The comparison that a test with an argument stands for; empty when it is none.
std::string comparison_of(std::string_view test) {
  if (test == "in") return "in";
  if (test == "equalto" || test == "eq" || test == "==" || test == "sameas") return "==";
  if (test == "ne" || test == "!=") return "!=";
  if (test == "lt" || test == "lessthan" || test == "<") return "<";
  if (test == "gt" || test == "greaterthan" || test == ">") return ">";
  if (test == "le" || test == "<=") return "<=";
  if (test == "ge" || test == ">=") return ">=";
  return "";
}

bool is_known(std::string_view test) {
  return test == "defined" || test == "undefined" || test == "none" || test == "boolean" ||
         test == "string" || test == "true" || test == "false";
}

/// Whether an index finds something: the runtime gives an empty string where Jinja gives undefined.
ExpressionPtr lower_defined_index(ExpressionPtr expression, State& state) {
  state.changed("`x[key] is defined` became `key in x`");
  auto& value = *expression->items[0];
  auto found = tree::compare(std::move(value.items[1]), "in", std::move(value.items[0]));
  return expression->text == "defined" ? std::move(found) : tree::negated(std::move(found));
}

/// A float shows in its text: by a point or an exponent.
ExpressionPtr lower_number_kind(ExpressionPtr expression, State& state) {
  state.changed("`x is " + expression->text + "` looks for a point in the number");
  auto object = repeatable(std::move(expression->items[0]), state);
  const auto has = [&](const char* mark) {
    return tree::compare(tree::string(mark), "in", tree::filter(tree::clone(object), "string"));
  };
  auto has_mark = tree::binary(has("."), "or", has("e"));
  if (expression->text == "integer") has_mark = tree::negated(std::move(has_mark));
  return tree::binary(tree::test(tree::clone(object), "number"), "and", std::move(has_mark));
}

}  // namespace

ExpressionPtr lower_test(ExpressionPtr expression, State& state) {
  const std::string& name = expression->text;
  Expression& value = *expression->items[0];
  if ((name == "defined" || name == "undefined") && value.kind == Kind::kIndex &&
      value.items[1]->kind != Kind::kInteger && value.items[1]->kind != Kind::kNegative &&
      value.items[1]->kind != Kind::kBinary) {
    return lower_defined_index(std::move(expression), state);
  }
  if (is_known(name)) return expression;
  if (name == "mapping") {
    if (!tree::is_chain(value)) return expression;
    state.changed("`x is mapping` also asks whether x is defined");
    auto defined = tree::test(tree::clone(value), "defined");
    return tree::binary(std::move(expression), "and", std::move(defined));
  }
  if (name == "sequence" || name == "iterable") {
    state.changed("`x is " + name + "` also accepts a mapping");
    auto object = repeatable(std::move(expression->items[0]), state);
    auto mapping = tree::test(tree::clone(object), "mapping");
    expression->items[0] = std::move(object);
    return tree::binary(std::move(expression), "or", std::move(mapping));
  }
  if (name == "number") {
    state.changed("`x is number` also accepts a boolean");
    auto object = repeatable(std::move(expression->items[0]), state);
    auto boolean = tree::test(tree::clone(object), "boolean");
    expression->items[0] = std::move(object);
    return tree::binary(std::move(expression), "or", std::move(boolean));
  }
  if (name == "integer" || name == "float") return lower_number_kind(std::move(expression), state);
  const std::string op = comparison_of(name);
  if (!op.empty() && expression->arguments.size() == 1) {
    state.changed("`x is " + name + "(y)` became a comparison");
    return tree::compare(std::move(expression->items[0]), op, std::move(expression->arguments[0].value));
  }
  if (name == "odd" || name == "even" || name == "divisibleby") {
    state.changed("`x is " + name + "` became a comparison");
    auto divisor = name == "divisibleby" && !expression->arguments.empty()
                       ? std::move(expression->arguments[0].value)
                       : tree::integer(2);
    auto rest =
        lower_arithmetic(tree::binary(std::move(expression->items[0]), "%", std::move(divisor)), state);
    return tree::compare(std::move(rest), "==", tree::integer(name == "odd" ? 1 : 0));
  }
  if (name == "callable") return tree::boolean(false);
  state.limited("test " + name, expression->line);
  return expression;
}

}  // namespace llm2mnn::jinja::lowering
