// Filters. The runtime knows tojson, string, capitalize, length, trim, items, lower, upper and
// map(attribute), and passes the value through any other.

#include "jinja/lowering_passes.h"
#include "jinja/tree.h"

namespace llm2mnn::jinja::lowering {
namespace {

using tree::Kind;

/// An argument by position or keyword, taken out; null when absent.
ExpressionPtr take_argument(Expression& expression, std::size_t position, std::string_view keyword) {
  std::size_t found = 0;
  for (auto& argument : expression.arguments) {
    const bool matches = argument.name.empty() ? found++ == position : argument.name == keyword;
    if (matches) return std::move(argument.value);
  }
  return nullptr;
}

bool is_true(const ExpressionPtr& value) { return value && value->kind == Kind::kBool && value->bool_value; }

ExpressionPtr lower_default(ExpressionPtr expression, State& state) {
  state.changed("`x|default(y)` became a conditional");
  auto otherwise = take_argument(*expression, 0, "default_value");
  if (!otherwise) otherwise = tree::string("");
  if (!is_true(take_argument(*expression, 1, "boolean"))) {
    return when_defined(std::move(expression->items[0]), std::move(otherwise), state);
  }
  auto value = repeatable(std::move(expression->items[0]), state);
  auto condition = tree::clone(value);
  return tree::ternary(std::move(value), std::move(condition), std::move(otherwise));
}

/// The runtime sorts the keys of tojson; a recursive macro over `|items` keeps their order.
ExpressionPtr lower_tojson(ExpressionPtr expression, State& state) {
  if (is_text(*expression->items[0], state)) return expression;
  for (const auto& argument : expression->arguments) {
    if (argument.name == "separators" || argument.name == "sort_keys" ||
        (argument.name == "ensure_ascii" && is_true(argument.value))) {
      state.limited("tojson(" + argument.name + ")", expression->line);
    }
  }
  auto indent = take_argument(*expression, expression->arguments.size(), "indent");
  state.changed("`tojson` became a macro that keeps the order of the keys");
  const bool is_one_line = !indent || indent->kind == Kind::kNone;
  if (!is_one_line && (indent->kind != Kind::kInteger || indent->int_value < 0 || indent->int_value > 16)) {
    state.limited("tojson with a computed indent", expression->line);
    expression->arguments.clear();  // the indent was taken out of them
    return expression;
  }
  std::vector<ExpressionPtr> values;
  values.push_back(std::move(expression->items[0]));
  if (is_one_line) return helper_call("json", std::move(values), state);
  values.push_back(tree::string("\n"));
  values.push_back(tree::string(std::string(static_cast<std::size_t>(indent->int_value), ' ')));
  return helper_call("json_indent", std::move(values), state);
}

/// An undefined value is an object with one key in the runtime.
ExpressionPtr lower_length(ExpressionPtr expression, State& state) {
  const Expression& value = *expression->items[0];
  expression->text = "length";
  if (!tree::is_chain(value) || tree::is_name(value, "messages")) return expression;
  state.changed("`x|length` of what may be undefined became a conditional");
  auto condition = tree::test(tree::clone(value), "defined");
  return tree::ternary(std::move(expression), std::move(condition), tree::integer(0));
}

ExpressionPtr lower_join(ExpressionPtr expression, State& state) {
  state.changed("`join` became a macro");
  auto separator = take_argument(*expression, 0, "d");
  auto attribute = take_argument(*expression, 1, "attribute");
  if (is_text(*expression->items[0], state)) state.limited("join of a string", expression->line);
  std::vector<ExpressionPtr> values;
  values.push_back(std::move(expression->items[0]));
  if (attribute) {
    auto mapped = tree::filter(std::move(values[0]), "map");
    mapped->arguments.push_back({"attribute", std::move(attribute)});
    values[0] = std::move(mapped);
  }
  values.push_back(separator ? std::move(separator) : tree::string(""));
  return helper_call("join", std::move(values), state);
}

ExpressionPtr lower_indent(ExpressionPtr expression, State& state) {
  auto width = take_argument(*expression, 0, "width");
  auto first = take_argument(*expression, 1, "first");
  const auto blank = take_argument(*expression, 2, "blank");
  ExpressionPtr pad = tree::string("    ");
  if (width && width->kind == Kind::kString) {
    pad = std::move(width);
  } else if (width && width->kind == Kind::kInteger && width->int_value >= 0 && width->int_value <= 256) {
    pad = tree::string(std::string(static_cast<std::size_t>(width->int_value), ' '));
  } else if (width) {
    state.limited("indent with a computed width", expression->line);
    return std::move(expression->items[0]);
  }
  if (is_true(blank)) state.limited("indent(blank=true)", expression->line);
  state.changed("`indent` became a macro");
  auto lead = is_true(first) ? tree::clone(pad) : tree::string("");
  std::vector<ExpressionPtr> values;
  values.push_back(std::move(expression->items[0]));
  values.push_back(std::move(pad));
  return tree::binary(std::move(lead), "+", helper_call("indent", std::move(values), state));
}

/// Whether the value is certainly a whole number.
bool is_whole_number(const Expression& value) {
  if (value.kind == Kind::kInteger) return true;
  if (value.kind == Kind::kFilter) return value.text == "length";
  if (value.kind == Kind::kMember) return tree::is_name(*value.items[0], "loop");
  if (value.kind == Kind::kTernary && value.items[2])
    return is_whole_number(*value.items[0]) && is_whole_number(*value.items[2]);
  return value.kind == Kind::kBinary && (value.text == "+" || value.text == "-") &&
         is_whole_number(*value.items[0]) && is_whole_number(*value.items[1]);
}

/// A string for methods; numbers print alike but have none.
ExpressionPtr text_of(ExpressionPtr value, State& state) {
  if (value->kind == Kind::kInteger) return tree::string(std::to_string(value->int_value));
  const bool is_string = is_text(*value, state) && !is_whole_number(*value);
  return is_string ? std::move(value) : as_text(std::move(value), state);
}

ExpressionPtr lower_replace(ExpressionPtr expression, State& state) {
  auto old = take_argument(*expression, 0, "old"), by = take_argument(*expression, 1, "new");
  auto count = take_argument(*expression, 2, "count");
  if (!old || !by) {
    state.limited("replace without two arguments", expression->line);
    return std::move(expression->items[0]);
  }
  state.changed("`x|replace(...)` became `x.replace(...)`");
  auto call = tree::method(text_of(std::move(expression->items[0]), state), "replace",
                           text_of(std::move(old), state), text_of(std::move(by), state));
  call->line = expression->line;
  if (count && count->kind != Kind::kNone) call->arguments.push_back({"", std::move(count)});
  return lower_method(std::move(call), Place::kValue, state);
}

/// `x|trim(chars)`.
ExpressionPtr lower_trim_of(ExpressionPtr expression, State& state) {
  auto characters = take_argument(*expression, 0, "chars");
  state.changed("`x|trim(...)` became `x.strip(...)`");
  auto call = tree::call(tree::member(text_of(std::move(expression->items[0]), state), "strip"));
  if (characters && characters->kind != Kind::kNone) call->arguments.push_back({"", std::move(characters)});
  return lower_method(std::move(call), Place::kValue, state);
}

/// The runtime changes the case of ASCII letters.
ExpressionPtr lower_case(ExpressionPtr expression, State& state) {
  state.limited_once("upper and lower case beyond ASCII", expression->line);
  expression->items[0] = text_of(std::move(expression->items[0]), state);
  return expression;
}

/// first, last and reverse.
ExpressionPtr lower_ends(ExpressionPtr expression, State& state) {
  const std::string name = expression->text;
  auto& value = expression->items[0];
  if (is_text(*value, state) && value->kind != Kind::kInteger) {
    state.limited("filter " + name + " of a string", expression->line);
    return expression;
  }
  if (!is_list(*value, state))
    state.limited("filter " + name + ", should its subject be no list", expression->line);
  if (name == "reverse") {
    state.changed("`x|reverse` became `x[::-1]`");
    auto slice = tree::slice_from(std::move(value), nullptr);
    slice->items[3] = tree::integer(-1);
    return slice;
  }
  state.changed("`x|" + name + "` became an index");
  return tree::index(std::move(value), tree::integer(name == "first" ? 0 : -1));
}

ExpressionPtr lower_integer(ExpressionPtr expression, State& state) {
  if (!is_whole_number(*expression->items[0]))
    state.limited("filter int, should its subject be no whole number", expression->line);
  state.changed("`x|int` became `x`");
  return std::move(expression->items[0]);
}

/// `x|string` and `x|trim` make a text of any value, an empty one of an undefined value; Python strips every
/// blank of Unicode.
ExpressionPtr lower_text_filter(ExpressionPtr expression, State& state) {
  const bool is_trim = expression->text == "trim";
  auto& value = expression->items[0];
  if (!is_text(*value, state)) {
    state.changed("`x|" + expression->text + "` makes text as Jinja does");
    value = as_text(std::move(value), state);
  }
  if (!is_trim) return std::move(value);
  state.changed("`trim` became a macro that knows the blanks of Unicode");
  std::vector<ExpressionPtr> values;
  values.push_back(std::move(value));
  return helper_call("strip", std::move(values), state);
}

}  // namespace

ExpressionPtr lower_filter(ExpressionPtr expression, State& state) {
  if (!expression->items[0]) return expression;
  const std::string& name = expression->text;
  if (name == "default" || name == "d") return lower_default(std::move(expression), state);
  if (name == "tojson") return lower_tojson(std::move(expression), state);
  if (name == "length" || name == "count") return lower_length(std::move(expression), state);
  if (name == "join") return lower_join(std::move(expression), state);
  if (name == "indent") return lower_indent(std::move(expression), state);
  if (name == "replace") return lower_replace(std::move(expression), state);
  if (name == "trim" && !expression->arguments.empty()) return lower_trim_of(std::move(expression), state);
  if (name == "first" || name == "last" || name == "reverse") return lower_ends(std::move(expression), state);
  if (name == "int") return lower_integer(std::move(expression), state);
  if (name == "upper" || name == "lower" || name == "capitalize")
    return lower_case(std::move(expression), state);
  if (name == "string" || name == "trim") return lower_text_filter(std::move(expression), state);
  if (name == "safe") return expression;  // the runtime passes the value through
  if (name == "title" || name == "e" || name == "escape" || name == "float" || name == "abs" ||
      name == "round") {
    state.limited("filter " + name, expression->line);
  }
  return lower_list_filter(std::move(expression), state);
}

}  // namespace llm2mnn::jinja::lowering
