#include "jinja/lowering.h"

#include <algorithm>

#include "jinja/lowering_passes.h"
#include "jinja/template_printer.h"
#include "jinja/tree.h"

namespace llm2mnn::jinja {
namespace lowering {
namespace {

void collect(const Block& block, std::set<std::string>& names, std::set<std::string>& targets,
             std::map<std::string, const Statement*>& macros) {
  for (const auto& statement : block) {
    names.insert(statement.text);
    names.insert(statement.targets.begin(), statement.targets.end());
    targets.insert(statement.targets.begin(), statement.targets.end());
    for (const auto& parameter : statement.parameters)
      names.insert(parameter.name);
    if (statement.kind == Statement::Kind::kMacro) macros[statement.text] = &statement;
    collect(statement.body, names, targets, macros);
    collect(statement.otherwise, names, targets, macros);
  }
}

}  // namespace

State::State(const Block& source) : prefix("mnn_") {
  collect(source, names_, loop_targets, macros);
  tree::visit(source, true, [&](const Expression& part) { names_.insert(part.text); });
  const auto taken = [&](const std::string& name) { return name.starts_with(prefix); };
  while (std::any_of(names_.begin(), names_.end(), taken))
    prefix += "_";
}

void State::changed(std::string_view what) {
  if (std::find(changes.begin(), changes.end(), what) == changes.end()) changes.emplace_back(what);
}

void State::limited(std::string_view what, std::uint32_t line) {
  constexpr std::size_t kMost = 100;  // a reader wants no more, and the search below is linear
  if (limits.size() == kMost) return;
  std::string text = "line " + std::to_string(line) + ": " + std::string(what);
  if (std::find(limits.begin(), limits.end(), text) == limits.end()) limits.push_back(std::move(text));
}

void State::limited_once(std::string_view what, std::uint32_t line) {
  const auto names_it = [&](const std::string& limit) { return limit.ends_with(what); };
  if (std::none_of(limits.begin(), limits.end(), names_it)) limited(what, line);
}

std::string State::fresh(std::string_view stem) {
  return prefix + std::string(stem) + std::to_string(++num_fresh_);
}

bool State::uses(const std::string& name) const { return names_.count(name) > 0; }

}  // namespace lowering

namespace {

/// Hugging Face passes `tools` and `documents` always, as none where there are not any.
Block absent_variables(lowering::State& state) {
  Block result;
  for (const char* name : {"tools", "documents"}) {
    if (!state.uses(name)) continue;
    state.changed("`tools` and `documents` are none when absent, as Hugging Face passes them");
    auto defined = tree::test(tree::name(name), "defined");
    result.push_back(
        tree::set(tree::name(name), tree::ternary(tree::name(name), std::move(defined), tree::none())));
  }
  return result;
}

}  // namespace

LoweredTemplate lower_template(std::string_view source) {
  Template parsed = parse_template(source);
  lowering::State state(parsed.body);
  Block head = absent_variables(state);
  Template original = parse_template(source);  // the macros of `state` point into `parsed`
  lowering::share_parameters(parsed.body, state);
  Block body = lowering::lower_jumps(std::move(original.body), state);
  body = lowering::lower_block(std::move(body), state);

  LoweredTemplate result;
  result.changes = std::move(state.changes);
  result.changes.emplace_back("texts became string literals, so that the runtime keeps their blanks");
  result.limits = std::move(state.limits);
  result.text = lowering::helper_macros(state) + print_template(head) + print_template(body);
  return result;
}

}  // namespace llm2mnn::jinja
