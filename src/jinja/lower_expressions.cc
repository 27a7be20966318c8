// The walk over expressions: operands first, then the rewrite of the node's own kind.

#include "jinja/lowering_passes.h"
#include "jinja/tree.h"

namespace llm2mnn::jinja::lowering {
namespace {

using tree::Kind;

/// `a or b` gives a boolean in the runtime; as a value it is one of its operands.
ExpressionPtr lower_or(ExpressionPtr expression, State& state) {
  auto left = repeatable(std::move(expression->items[0]), state);
  state.changed("`x or y` as a value became a conditional");
  auto condition = tree::clone(left);
  return tree::ternary(std::move(left), std::move(condition), std::move(expression->items[1]));
}

ExpressionPtr lower_and(ExpressionPtr expression, State& state) {
  auto left = repeatable(std::move(expression->items[0]), state);
  state.changed("`x and y` as a value became a conditional");
  if (is_truth_value(*left)) {
    return tree::ternary(std::move(expression->items[1]), std::move(left), tree::boolean(false));
  }
  auto condition = tree::clone(left);
  return tree::ternary(std::move(expression->items[1]), std::move(condition), std::move(left));
}

/// `a < b < c`: the runtime compares the first result with c.
ExpressionPtr lower_chained_comparison(ExpressionPtr expression, State& state) {
  if (expression->operators.size() < 2) return expression;  // the usual case
  state.changed("a chained comparison became a conjunction");
  for (std::size_t i = 1; i + 1 < expression->items.size(); ++i)  // these are written twice
    expression->items[i] = repeatable(std::move(expression->items[i]), state);
  ExpressionPtr result;
  for (std::size_t i = 0; i < expression->operators.size(); ++i) {
    auto part = tree::compare(tree::clone(expression->items[i]), expression->operators[i],
                              tree::clone(expression->items[i + 1]));
    result = result ? tree::binary(std::move(result), "and", std::move(part)) : std::move(part);
  }
  return result;
}

/// A missing key read by `[...]` is an empty string in the runtime; read by `.name` it is undefined.
ExpressionPtr lower_index(ExpressionPtr expression, State& state) {
  const Expression& key = *expression->items[1];
  const Expression& object = *expression->items[0];
  if (is_text(object, state) && object.kind != Kind::kInteger)
    state.limited("index of a string", expression->line);
  if (key.kind != Kind::kString || !tree::is_identifier(key.text)) return expression;
  state.changed("`x['key']` became `x.key`");
  return tree::member(std::move(expression->items[0]), key.text);
}

/// The members of `loop` that the runtime lacks.
ExpressionPtr lower_member(ExpressionPtr expression, State& state) {
  if (!tree::is_name(*expression->items[0], "loop")) return expression;
  const std::string& what = expression->text;
  const auto loop = [](const char* attribute) { return tree::member(tree::name("loop"), attribute); };
  if (what == "revindex" || what == "revindex0") {
    state.changed("`loop." + what + "` became a difference");
    return tree::binary(loop("length"), "-", loop(what == "revindex" ? "index0" : "index"));
  }
  if (what != "previtem" && what != "nextitem") return expression;
  if (state.loop_sequences.empty() || state.loop_sequences.back().empty()) {
    state.limited("loop." + what, expression->line);
    return expression;
  }
  state.changed("`loop." + what + "` became an index into the list of the loop");
  const bool previous = what == "previtem";
  auto item = tree::index(tree::name(state.loop_sequences.back()),
                          tree::binary(loop("index0"), previous ? "-" : "+", tree::integer(1)));
  return tree::ternary(std::move(item), tree::negated(loop(previous ? "first" : "last")),
                       tree::name(state.prefix + "undefined"));
}

/// A value of unknown kind that may well be a whole message: an item of a list or a variable.
bool may_be_mapping(const Expression& expression, const State& state) {
  if (expression.kind == Kind::kName) return state.loop_targets.count(expression.text) > 0;
  return expression.kind == Kind::kIndex && expression.items[1]->kind != Kind::kString;
}

/// The runtime compares the sizes of mappings only; their JSON, in which it sorts the keys, tells them apart.
ExpressionPtr lower_equality(ExpressionPtr expression, State& state) {
  if (expression->operators.size() != 1) return expression;
  const std::string& op = expression->operators[0];
  if (op != "==" && op != "!=") return expression;
  const auto& left = *expression->items[0];
  const auto& right = *expression->items[1];
  const bool has_literal = left.kind == Kind::kDict || right.kind == Kind::kDict;
  const bool may_be_mappings = tree::is_chain(left) && may_be_mapping(left, state) && tree::is_chain(right) &&
                               may_be_mapping(right, state);
  if (!has_literal && !may_be_mappings) return expression;
  state.changed("an equality of what may be mappings compares their JSON");
  for (auto& item : expression->items)
    item = tree::filter(std::move(item), "tojson");
  return expression;
}

void lower_operands(Expression& expression, Place place, State& state) {
  const bool logic =
      expression.kind == Kind::kBinary && (expression.text == "and" || expression.text == "or");
  for (std::size_t i = 0; i < expression.items.size(); ++i) {
    Place inner = Place::kValue;
    if (expression.kind == Kind::kNot) inner = Place::kTruth;
    if (expression.kind == Kind::kTernary) inner = i == 1 ? Place::kTruth : place;
    if (logic) inner = place;
    auto& item = expression.items[i];
    // The name of a method is part of its call: lower_method sees both.
    if (expression.kind == Kind::kCall && i == 0 && item->kind == Kind::kMember) {
      item->items[0] = lower_expression(std::move(item->items[0]), Place::kValue, state);
    } else if (item) {
      item = lower_expression(std::move(item), inner, state);
    }
  }
  for (auto& argument : expression.arguments) {
    argument.value = lower_expression(std::move(argument.value), Place::kValue, state);
  }
}

ExpressionPtr lower_binary(ExpressionPtr expression, Place place, State& state) {
  const bool is_or = expression->text == "or";
  if (!is_or && expression->text != "and") return lower_arithmetic(std::move(expression), state);
  const bool booleans = is_truth_value(*expression->items[0]) && is_truth_value(*expression->items[1]);
  if (place == Place::kTruth || booleans) return expression;
  return is_or ? lower_or(std::move(expression), state) : lower_and(std::move(expression), state);
}

}  // namespace

ExpressionPtr lower_expression(ExpressionPtr expression, Place place, State& state) {
  lower_operands(*expression, place, state);
  switch (expression->kind) {
    case Kind::kBinary:
      return lower_binary(std::move(expression), place, state);
    case Kind::kCompare:
      return lower_equality(lower_chained_comparison(std::move(expression), state), state);
    case Kind::kIndex:
      return lower_index(std::move(expression), state);
    case Kind::kMember:
      return lower_member(std::move(expression), state);
    case Kind::kSlice:
      return lower_slice(std::move(expression), state);
    case Kind::kFilter:
      return lower_filter(std::move(expression), state);
    case Kind::kTest:
      return lower_test(std::move(expression), state);
    case Kind::kCall:
      return expression->items[0]->kind == Kind::kMember ? lower_method(std::move(expression), place, state)
                                                         : lower_call(std::move(expression), state);
    case Kind::kFloat:
      state.limited("decimal number", expression->line);
      return expression;
    default:
      return expression;
  }
}

ExpressionPtr repeatable(ExpressionPtr value, State& state) {
  // What holds repetitions may be repeated in turn: without a limit the text would double at each level.
  constexpr std::size_t kMostNodes = 32;
  const bool is_literal = value->kind == Kind::kString || value->kind == Kind::kInteger ||
                          value->kind == Kind::kBool || value->kind == Kind::kNone;
  if (is_literal || tree::is_chain(*value)) return value;
  if (is_truth_value(*value) && tree::num_nodes(*value) <= kMostNodes) return value;
  const std::string variable = state.fresh("value");
  state.pending.push_back(tree::set(tree::name(variable), std::move(value)));
  return tree::name(variable);
}

ExpressionPtr when_defined(ExpressionPtr value, ExpressionPtr otherwise, State& state) {
  value = repeatable(std::move(value), state);
  auto condition = tree::test(tree::clone(value), "defined");
  if (value->kind == Kind::kIndex) {
    // A missing key is an empty string there, so `is defined` cannot see it.
    condition = tree::compare(tree::clone(value->items[1]), "in", tree::clone(value->items[0]));
    if (value->items[1]->kind != Kind::kString) return value;
  }
  return tree::ternary(std::move(value), std::move(condition), std::move(otherwise));
}

bool is_markup(const Expression& expression) {
  if (expression.kind == Kind::kFilter) return expression.text == "safe";
  if (expression.kind != Kind::kBinary || expression.text != "+") return false;
  return is_markup(*expression.items[0]) || is_markup(*expression.items[1]);
}

bool is_truth_value(const Expression& expression) {
  switch (expression.kind) {
    case Kind::kBool:
    case Kind::kNot:
    case Kind::kCompare:
    case Kind::kTest:
      return true;
    case Kind::kBinary:
      return (expression.text == "and" || expression.text == "or") && is_truth_value(*expression.items[0]) &&
             is_truth_value(*expression.items[1]);
    case Kind::kCall: {
      const Expression& callee = *expression.items[0];
      return callee.kind == Kind::kMember && (callee.text == "startswith" || callee.text == "endswith");
    }
    default:
      return false;
  }
}

bool is_list(const Expression& value, const State& state) {
  switch (value.kind) {
    case Kind::kList:
    case Kind::kTuple:
      return true;
    case Kind::kSlice:
      return is_list(*value.items[0], state);
    case Kind::kTernary:  // of a split with a limit
      return value.items[2] && is_list(*value.items[0], state) && is_list(*value.items[2], state);
    case Kind::kMember:  // what a loop of ours filled
      return value.text == "v" && value.items[0]->kind == Kind::kName &&
             value.items[0]->text.starts_with(state.prefix);
    case Kind::kFilter:
      return value.text == "map" || value.text == "items";
    case Kind::kCall: {
      const Expression& callee = *value.items[0];
      return tree::is_name(callee, "range") || (callee.kind == Kind::kMember && callee.text == "split");
    }
    default:
      return tree::is_messages(value);
  }
}

bool is_text(const Expression& expression, const State& state) {
  switch (expression.kind) {
    case Kind::kString:
    case Kind::kInteger:
      return true;
    case Kind::kBinary:
      if (expression.text == "~") return true;
      return expression.text == "+" &&
             (is_text(*expression.items[0], state) || is_text(*expression.items[1], state));
    case Kind::kTernary:
      return is_text(*expression.items[0], state) &&
             (!expression.items[2] || is_text(*expression.items[2], state));
    case Kind::kFilter: {
      const std::string& name = expression.text;
      return name == "trim" || name == "string" || name == "tojson" || name == "upper" || name == "lower" ||
             name == "capitalize" || name == "length" ||
             (name == "safe" && is_text(*expression.items[0], state));
    }
    case Kind::kCall: {
      const Expression& callee = *expression.items[0];
      if (callee.kind == Kind::kName) return true;  // a macro, strftime_now, raise_exception
      return callee.kind == Kind::kMember && (callee.text == "strip" || callee.text == "lstrip" ||
                                              callee.text == "rstrip" || callee.text == "replace");
    }
    default:
      return false;
  }
}

}  // namespace llm2mnn::jinja::lowering
