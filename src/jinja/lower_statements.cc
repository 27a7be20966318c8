// The walk over statements. What a rewrite of an expression wants in front of its statement is placed here.

#include "jinja/lowering_passes.h"
#include "jinja/tree.h"

namespace llm2mnn::jinja::lowering {
namespace {

using tree::Kind;
using StatementKind = Statement::Kind;

void append(Block& to, Block from) {
  for (auto& statement : from)
    to.push_back(std::move(statement));
}

/// Jinja prints None, True and Python's lists; the runtime prints null, true and JSON.
ExpressionPtr printable(ExpressionPtr value, State& state) {
  if (is_text(*value, state)) return value;
  const bool is_range = value->kind == Kind::kCall && tree::is_name(*value->items[0], "range");
  const bool is_view = value->kind == Kind::kFilter && value->text == "items";
  if (value->kind == Kind::kTuple || is_range || is_view)
    state.limited("a tuple, a range or the items of a mapping, printed", value->line);
  switch (value->kind) {
    case Kind::kTernary:
      value->items[0] = printable(std::move(value->items[0]), state);
      if (value->items[2]) value->items[2] = printable(std::move(value->items[2]), state);
      return value;
    case Kind::kBinary:
      if (value->text == "+" || value->text == "-") return value;
      break;
    case Kind::kIndex:
      if (value->items[0]->kind == Kind::kCall) return value;  // of a split
      break;
    case Kind::kCall:
      return value;
    default:
      break;
  }
  state.changed("printed values became text as Jinja prints it");
  return as_text(std::move(value), state);
}

class Walk {
 public:
  explicit Walk(State& state) : state_(state) {}

  Block lower(Block block) {
    Block result;
    for (auto& statement : block)
      lower(std::move(statement), result);
    return result;
  }

 private:
  State& state_;

  ExpressionPtr expression(ExpressionPtr value, Place place, Block& result) {
    value = lower_expression(std::move(value), place, state_);
    flush(result);
    return value;
  }

  void flush(Block& result) {
    append(result, std::move(state_.pending));
    state_.pending.clear();
  }

  void lower(Statement statement, Block& result) {
    switch (statement.kind) {
      case StatementKind::kOutput:
        lower_output(std::move(statement), result);
        return;
      case StatementKind::kIf:
        statement.expression = expression(std::move(statement.expression), Place::kTruth, result);
        statement.body = lower(std::move(statement.body));
        statement.otherwise = lower(std::move(statement.otherwise));
        break;
      case StatementKind::kFor:
        lower_for(std::move(statement), result);
        return;
      case StatementKind::kSet:
        lower_set(std::move(statement), result);
        return;
      case StatementKind::kSetBlock:
      case StatementKind::kFilterBlock:
        lower_captured(std::move(statement), result);
        return;
      case StatementKind::kMacro:
        lower_macro(std::move(statement), result);
        return;
      case StatementKind::kCallBlock:
        lower_call_block(std::move(statement), result);
        return;
      case StatementKind::kGeneration:
        state_.changed("`generation` blocks became their bodies");
        append(result, lower(std::move(statement.body)));
        return;
      default:
        break;
    }
    result.push_back(std::move(statement));
  }

  void lower_output(Statement statement, Block& result) {
    auto value = lower_expression(std::move(statement.expression), Place::kValue, state_);
    statement.expression = printable(std::move(value), state_);
    flush(result);
    result.push_back(std::move(statement));
  }

  /// A captured text becomes a macro without parameters: the runtime's macros see the caller's variables.
  void lower_captured(Statement statement, Block& result) {
    const bool is_set = statement.kind == StatementKind::kSetBlock;
    state_.changed(is_set ? "`set` blocks became macros" : "`filter` blocks became macros");
    if (is_set && statement.target->kind == Kind::kTuple && !statement.target->items.empty()) {
      state_.limited("a `set` block with several names", statement.line);
      auto first = std::move(statement.target->items[0]);  // a template all the same
      statement.target = std::move(first);
    }
    const std::string name = state_.fresh("block");
    result.push_back(tree::macro(name, {}, lower(std::move(statement.body))));
    auto value = tree::call(tree::name(name));
    if (statement.filter) {
      ExpressionPtr* hole = &statement.filter;
      while (*hole)
        hole = &(*hole)->items[0];
      *hole = std::move(value);
      value = expression(std::move(statement.filter), Place::kValue, result);
    }
    result.push_back(is_set ? tree::set(std::move(statement.target), std::move(value))
                            : tree::output(std::move(value)));
  }

  void lower_macro(Statement statement, Block& result) {
    std::vector<std::string> loops;
    std::swap(loops, state_.loop_sequences);
    for (const auto& parameter : statement.parameters) {
      if (parameter.default_value) state_.changed("the default arguments of macros are written at the calls");
    }
    std::erase_if(statement.parameters, [&](const Parameter& parameter) {
      return state_.shared.count(statement.text + "." + parameter.name) > 0;
    });
    statement.body = lower(std::move(statement.body));
    std::swap(loops, state_.loop_sequences);
    result.push_back(std::move(statement));
  }

  void lower_call_block(Statement statement, Block& result) {
    state_.changed("`call` blocks became a macro `caller`");
    std::vector<std::string> parameters;
    for (const auto& parameter : statement.parameters)
      parameters.push_back(parameter.name);
    result.push_back(tree::macro("caller", std::move(parameters), lower(std::move(statement.body))));
    auto value = expression(std::move(statement.expression), Place::kValue, result);
    result.push_back(tree::output(std::move(value)));
  }

  void lower_set(Statement statement, Block& result) {
    if (lower_list_change(statement, result)) return;
    statement.expression = expression(std::move(statement.expression), Place::kValue, result);
    if (statement.target->kind != Kind::kTuple) {
      result.push_back(std::move(statement));
      return;
    }
    state_.changed("a tuple assignment became single assignments");
    const std::string parts = state_.fresh("parts");
    result.push_back(tree::set(tree::name(parts), std::move(statement.expression)));
    std::int64_t i = 0;
    for (auto& target : statement.target->items) {
      result.push_back(tree::set(std::move(target), tree::index(tree::name(parts), tree::integer(i++))));
    }
  }

  /// `set _ = x.append(y)` and `set y = x.pop(0)`: the runtime's values cannot be changed in place.
  bool lower_list_change(Statement& statement, Block& result) {
    const Expression& call = *statement.expression;
    if (call.kind != Kind::kCall || call.items[0]->kind != Kind::kMember) return false;
    const std::string& method = call.items[0]->text;
    const Expression& list = *call.items[0]->items[0];
    const std::size_t count = call.arguments.size();
    const bool appends = method == "append" && count == 1;
    const bool pops =
        method == "pop" && (count == 0 || (count == 1 && call.arguments[0].value->kind == Kind::kInteger &&
                                           call.arguments[0].value->int_value == 0));
    if ((!appends && !pops) || !tree::is_chain(list)) return false;
    if (list.kind == Kind::kName && !state_.loop_sequences.empty()) {
      state_.limited(method + " in a loop to a list that is no member of a namespace", call.line);
    }
    state_.changed("`x." + method + "(...)` became an assignment");
    if (appends) {
      std::vector<ExpressionPtr> item;
      item.push_back(expression(tree::clone(call.arguments[0].value), Place::kValue, result));
      result.push_back(
          tree::set(tree::clone(list), tree::binary(tree::clone(list), "+", tree::list(std::move(item)))));
      return true;
    }
    const bool first = count == 1;
    result.push_back(tree::set(std::move(statement.target),
                               tree::index(tree::clone(list), tree::integer(first ? 0 : -1))));
    auto rest = tree::slice_from(tree::clone(list), first ? tree::integer(1) : nullptr);
    if (!first) rest->items[2] = tree::integer(-1);
    result.push_back(tree::set(tree::clone(list), std::move(rest)));
    return true;
  }

  static bool uses_neighbours(const Block& body) {
    bool found = false;
    tree::visit(body, false, [&](const Expression& part) {
      found = found || (part.kind == Kind::kMember && (part.text == "previtem" || part.text == "nextitem") &&
                        tree::is_name(*part.items[0], "loop"));
    });
    return found;
  }

  /// `for k in x` with `x[k]` in the body goes through a mapping: the runtime would sort the keys.
  void keep_key_order(Statement& loop) {
    if (loop.targets.size() != 1 || !tree::is_chain(*loop.expression)) return;
    bool found = false;
    tree::visit(loop.body, true, [&](const Expression& part) {
      found = found || (part.kind == Kind::kIndex && tree::equal(*part.items[0], *loop.expression) &&
                        tree::is_name(*part.items[1], loop.targets[0]));
    });
    if (!found) return;
    state_.changed("a loop over the keys of a mapping goes through `|items`, which keeps their order");
    loop.targets.push_back(state_.fresh("value"));
    loop.expression = tree::filter(std::move(loop.expression), "items");
  }

  /// Fills a list with the items that pass the condition of the loop.
  void filter_ahead(Statement& loop, Block& result) {
    const std::string list = state_.fresh("list");
    auto stored = tree::member(tree::name(list), "v");
    auto made = tree::call(tree::name("namespace"));
    made->arguments.push_back({"v", tree::list({})});
    result.push_back(tree::set(tree::name(list), std::move(made)));
    std::vector<ExpressionPtr> parts, item;
    for (const auto& target : loop.targets)
      parts.push_back(tree::name(target));
    item.push_back(parts.size() == 1 ? std::move(parts[0]) : tree::list(std::move(parts)));
    Block body = std::move(state_.pending);
    state_.pending.clear();
    body.push_back(tree::conditional(
        std::move(loop.condition),
        tree::block(tree::set(tree::clone(stored),
                              tree::binary(tree::clone(stored), "+", tree::list(std::move(item)))))));
    loop.condition = nullptr;
    result.push_back(tree::loop(loop.targets, std::move(loop.expression), std::move(body)));
    loop.expression = std::move(stored);
  }

  void lower_for(Statement loop, Block& result) {
    if (loop.is_recursive) state_.limited("recursive loop", loop.line);
    keep_key_order(loop);
    loop.expression = expression(std::move(loop.expression), Place::kValue, result);
    const bool neighbours = uses_neighbours(loop.body);
    if (loop.condition) {
      loop.condition = lower_expression(std::move(loop.condition), Place::kTruth, state_);
      if (neighbours || !state_.pending.empty()) filter_ahead(loop, result);
    }
    std::string sequence;
    if (neighbours) {
      sequence = state_.fresh("sequence");
      result.push_back(tree::set(tree::name(sequence), std::move(loop.expression)));
      loop.expression = tree::name(sequence);
    }
    state_.loop_sequences.push_back(sequence);
    loop.body = lower(std::move(loop.body));
    state_.loop_sequences.pop_back();
    Block otherwise = std::move(loop.otherwise);
    loop.otherwise.clear();
    if (otherwise.empty()) {
      result.push_back(std::move(loop));
      return;
    }
    state_.changed("`for ... else` became a flag");
    const std::string empty = state_.fresh("empty");
    auto flag = tree::member(tree::name(empty), "v");
    auto made = tree::call(tree::name("namespace"));
    made->arguments.push_back({"v", tree::boolean(true)});
    result.push_back(tree::set(tree::name(empty), std::move(made)));
    loop.body.insert(loop.body.begin(), tree::set(tree::clone(flag), tree::boolean(false)));
    result.push_back(std::move(loop));
    result.push_back(tree::conditional(std::move(flag), lower(std::move(otherwise))));
  }
};

}  // namespace

Block lower_block(Block block, State& state) { return Walk(state).lower(std::move(block)); }

}  // namespace llm2mnn::jinja::lowering
