// Calls of macros and of the global functions. The runtime drops default arguments, and a parameter without
// argument is whatever variable of that name the caller has.

#include <algorithm>

#include "jinja/lowering_passes.h"
#include "jinja/tree.h"

namespace llm2mnn::jinja::lowering {
namespace {

using tree::Kind;

bool is_given(const Expression& call, std::size_t position, const std::string& name) {
  std::size_t positional = 0;
  for (const auto& argument : call.arguments) {
    if (argument.name == name) return true;
    positional += argument.name.empty() ? 1 : 0;
  }
  return position < positional;
}

ExpressionPtr complete_arguments(ExpressionPtr call, const Statement& macro, State& state) {
  for (std::size_t i = 0; i < macro.parameters.size(); ++i) {
    const Parameter& parameter = macro.parameters[i];
    if (is_given(*call, i, parameter.name)) continue;
    state.changed("the default arguments of macros are written at the calls");
    auto value = parameter.default_value
                     ? lower_expression(tree::clone(parameter.default_value), Place::kValue, state)
                     : tree::name(state.prefix + "undefined");
    call->arguments.push_back({parameter.name, std::move(value)});
  }
  return call;
}

ExpressionPtr dictionary(ExpressionPtr call, State& state) {
  state.changed("`dict(...)` became a literal");
  auto result = tree::make(Kind::kDict);
  for (auto& argument : call->arguments) {
    result->items.push_back(tree::string(argument.name));
    result->items.push_back(std::move(argument.value));
  }
  return result;
}

}  // namespace

ExpressionPtr lower_call(ExpressionPtr expression, State& state) {
  const Expression& callee = *expression->items[0];
  if (callee.kind != Kind::kName) {
    state.limited("call of an expression", expression->line);
    return expression;
  }
  const auto macro = state.macros.find(callee.text);
  if (macro != state.macros.end()) return complete_arguments(std::move(expression), *macro->second, state);
  if (callee.text == "dict") return dictionary(std::move(expression), state);
  static constexpr std::string_view kKnown[] = {"namespace", "range", "strftime_now", "raise_exception",
                                                "caller"};
  if (!callee.text.starts_with(state.prefix) &&
      std::find(std::begin(kKnown), std::end(kKnown), callee.text) == std::end(kKnown)) {
    state.limited("function " + callee.text, expression->line);
  }
  return expression;
}

}  // namespace llm2mnn::jinja::lowering
