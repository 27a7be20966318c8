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

/// Leaves out the arguments of shared parameters.
void drop_shared(Expression& call, const Statement& macro, const State& state) {
  std::vector<Argument> kept;
  std::size_t position = 0;
  for (auto& argument : call.arguments) {
    std::string name = argument.name;
    if (name.empty() && position < macro.parameters.size()) name = macro.parameters[position++].name;
    if (state.shared.count(macro.text + "." + name) == 0) kept.push_back(std::move(argument));
  }
  call.arguments = std::move(kept);
}

void collect_set_names(const Block& block, std::set<std::string>& names) {
  for (const auto& statement : block) {
    if (statement.target && statement.target->kind == Kind::kMember)
      names.insert(statement.target->items[0]->text);
    collect_set_names(statement.body, names);
    collect_set_names(statement.otherwise, names);
  }
}

/// Whether the call passes the variable of the parameter's own name.
bool passes_same_name(const Expression& call, std::size_t position, const std::string& name) {
  std::size_t positional = 0;
  for (const auto& argument : call.arguments) {
    const bool matches = argument.name.empty() ? positional++ == position : argument.name == name;
    if (matches) return tree::is_name(*argument.value, name);
  }
  return false;
}

/// The default value of a parameter, lowered. Defaults may call macros with defaults, and a macro itself, and
/// be long: their depth and size together are limited.
ExpressionPtr default_argument(const Parameter& parameter, const Statement& macro, State& state) {
  constexpr int kMostDepth = 4;
  const auto undefined = [&] { return tree::name(state.prefix + "undefined"); };
  if (!parameter.default_value) return undefined();
  if (state.default_depth == kMostDepth || state.default_budget < 0) {
    state.limited("default arguments that need each other or are too long", macro.line);
    return undefined();
  }
  tree::visit(*parameter.default_value, [&](const Expression& part) {
    state.default_budget -= 1 + static_cast<std::int64_t>(part.text.size());
  });
  ++state.default_depth;
  auto value = lower_expression(tree::clone(parameter.default_value), Place::kValue, state);
  --state.default_depth;
  return value;
}

ExpressionPtr complete_arguments(ExpressionPtr call, const Statement& macro, State& state) {
  for (std::size_t i = 0; i < macro.parameters.size(); ++i) {
    const Parameter& parameter = macro.parameters[i];
    if (is_given(*call, i, parameter.name) || state.shared.count(macro.text + "." + parameter.name) > 0)
      continue;
    state.changed("the default arguments of macros are written at the calls");
    call->arguments.push_back({parameter.name, default_argument(parameter, macro, state)});
  }
  drop_shared(*call, macro, state);
  return call;
}

ExpressionPtr dictionary(ExpressionPtr call, State& state) {
  const auto& arguments = call->arguments;
  const bool by_name = std::all_of(arguments.begin(), arguments.end(),
                                   [](const Argument& argument) { return !argument.name.empty(); });
  if (!by_name) {
    state.limited("dict(...) of another mapping", call->line);
    return call;
  }
  state.changed("`dict(...)` became a literal");
  auto result = tree::make(Kind::kDict);
  for (auto& argument : call->arguments) {
    result->items.push_back(tree::string(argument.name));
    result->items.push_back(std::move(argument.value));
  }
  return result;
}

}  // namespace

void share_parameters(const Block& source, State& state) {
  std::set<std::string> set_names;
  collect_set_names(source, set_names);
  std::map<std::string, std::vector<const Expression*>> calls;
  tree::visit(source, true, [&](const Expression& part) {
    if (part.kind == Kind::kCall && part.items[0]->kind == Kind::kName)
      calls[part.items[0]->text].push_back(&part);
  });
  for (const auto& [name, macro] : state.macros) {
    const auto& of_macro = calls[name];
    for (std::size_t i = 0; i < macro->parameters.size(); ++i) {
      const std::string& parameter = macro->parameters[i].name;
      if (set_names.count(parameter) == 0) continue;
      const bool everywhere = std::all_of(of_macro.begin(), of_macro.end(), [&](const Expression* call) {
        return passes_same_name(*call, i, parameter);
      });
      if (everywhere) {
        state.changed("a namespace that macros change is no parameter any more");
        state.shared.insert(name + "." + parameter);
      } else {
        state.limited("a namespace passed to a macro under another name", macro->line);
      }
    }
  }
}

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
