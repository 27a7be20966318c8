// Methods. The runtime knows startswith, endswith, split, strip, lstrip, rstrip and replace of strings; any
// other gives an empty string.

#include <algorithm>

#include "jinja/lowering_passes.h"
#include "jinja/tree.h"

namespace llm2mnn::jinja::lowering {
namespace {

using tree::Kind;

struct Method {
  ExpressionPtr object;
  std::string name;
  std::vector<ExpressionPtr> values;  ///< arguments, keywords dropped
};

Method taken_apart(Expression& call) {
  Method result;
  result.object = std::move(call.items[0]->items[0]);
  result.name = call.items[0]->text;
  for (auto& argument : call.arguments)
    result.values.push_back(std::move(argument.value));
  return result;
}

ExpressionPtr put_together(Method method) {
  auto result = tree::call(tree::member(std::move(method.object), std::move(method.name)));
  for (auto& value : method.values)
    result->arguments.push_back({"", std::move(value)});
  return result;
}

/// `x.get(k)` and `x.get(k, d)`.
ExpressionPtr lower_get(Method method, Place place, State& state) {
  state.changed("`x.get(...)` became a conditional");
  auto otherwise = method.values.size() > 1 ? std::move(method.values[1]) : tree::none();
  ExpressionPtr key = std::move(method.values[0]);
  auto object = repeatable(std::move(method.object), state);
  if (key->kind == Kind::kString && tree::is_identifier(key->text)) {
    auto value = tree::member(std::move(object), key->text);
    if (place == Place::kTruth && otherwise->kind == Kind::kNone) return value;
    auto condition = tree::test(tree::clone(value), "defined");
    return tree::ternary(std::move(value), std::move(condition), std::move(otherwise));
  }
  key = repeatable(std::move(key), state);
  auto condition = tree::compare(tree::clone(key), "in", tree::clone(object));
  return tree::ternary(tree::index(std::move(object), std::move(key)), std::move(condition),
                       std::move(otherwise));
}

/// `s.split(d, 1)`: the runtime ignores the limit.
ExpressionPtr lower_split(Method method, std::uint32_t line, State& state) {
  if (method.values.empty() || method.values[0]->kind == Kind::kNone) {
    state.limited("split at blanks", line);
    method.values.clear();
    return put_together(std::move(method));
  }
  if (method.values.size() < 2) return put_together(std::move(method));
  const bool from_end = method.name == "rsplit";
  if (method.values[1]->kind != Kind::kInteger || method.values[1]->int_value != 1) {
    state.limited(method.name + " with a limit other than 1", line);
    return put_together(std::move(method));
  }
  state.changed("`s." + method.name + "(x, 1)` became a list of two parts");
  auto text = repeatable(std::move(method.object), state);
  auto mark = repeatable(std::move(method.values[0]), state);
  auto part = tree::index(tree::method(tree::clone(text), "split", tree::clone(mark)),
                          tree::integer(from_end ? -1 : 0));
  std::vector<ExpressionPtr> values;
  values.push_back(tree::clone(text));
  values.push_back(tree::clone(mark));
  auto rest = helper_call(from_end ? "before_last" : "after_first", std::move(values), state);
  std::vector<ExpressionPtr> parts, whole;
  parts.push_back(from_end ? std::move(rest) : std::move(part));
  parts.push_back(from_end ? std::move(part) : std::move(rest));
  whole.push_back(tree::clone(text));
  return tree::ternary(tree::list(std::move(parts)), tree::compare(std::move(mark), "in", std::move(text)),
                       tree::list(std::move(whole)));
}

/// `"a{}b".format(x)` with plain holes.
ExpressionPtr lower_format(Method method, std::uint32_t line, State& state) {
  const std::string pattern = method.object->text;
  ExpressionPtr result = tree::string("");
  std::size_t from = 0, used = 0;
  for (std::size_t hole; (hole = pattern.find("{}", from)) != std::string::npos; from = hole + 2) {
    if (used == method.values.size()) break;
    result = tree::binary(std::move(result), "~", tree::string(pattern.substr(from, hole - from)));
    result = tree::binary(std::move(result), "~", std::move(method.values[used++]));
  }
  const std::string rest = pattern.substr(from);
  if (rest.find_first_of("{}") != std::string::npos)
    state.limited("format with named or formatted holes", line);
  state.changed("`\"...{}...\".format(x)` became a concatenation");
  return tree::binary(std::move(result), "~", tree::string(rest));
}

/// startswith and endswith accept a tuple of choices.
ExpressionPtr lower_choices(Method method, State& state) {
  auto text = repeatable(std::move(method.object), state);
  state.changed("`s." + method.name + "((a, b))` became a disjunction");
  ExpressionPtr result;
  for (auto& choice : method.values[0]->items) {
    auto part = tree::method(tree::clone(text), method.name, std::move(choice));
    result = result ? tree::binary(std::move(result), "or", std::move(part)) : std::move(part);
  }
  return result ? std::move(result) : tree::boolean(false);
}

/// The keys (0) or values (1) of a mapping, in their order.
ExpressionPtr lower_keys(Method method, State& state) {
  state.changed("`x." + method.name + "()` became a list");
  const std::string result = state.fresh("list"), pair = state.fresh("pair");
  std::vector<ExpressionPtr> item;
  item.push_back(tree::index(tree::name(pair), tree::integer(method.name == "keys" ? 0 : 1)));
  auto stored = tree::member(tree::name(result), "v");
  auto empty = tree::call(tree::name("namespace"));
  empty->arguments.push_back({"v", tree::list({})});
  state.pending.push_back(tree::set(tree::name(result), std::move(empty)));
  state.pending.push_back(tree::loop(
      {pair}, tree::filter(std::move(method.object), "items"),
      tree::block(tree::set(tree::clone(stored),
                            tree::binary(tree::clone(stored), "+", tree::list(std::move(item)))))));
  return stored;
}

ExpressionPtr as_filter(Method method, std::string filter, State& state) {
  state.changed("`x." + method.name + "()` became `x|" + filter + "`");
  return tree::filter(std::move(method.object), std::move(filter));
}

ExpressionPtr lower_join(Method method, State& state) {
  state.changed("`join` became a macro");
  std::vector<ExpressionPtr> values;
  values.push_back(std::move(method.values[0]));
  values.push_back(std::move(method.object));
  return helper_call("join", std::move(values), state);
}

/// The runtime strips four ASCII blanks, Python every blank of Unicode.
ExpressionPtr lower_strip(Method method, State& state) {
  state.changed("`" + method.name + "` became a macro that knows the blanks of Unicode");
  std::vector<ExpressionPtr> values;
  values.push_back(std::move(method.object));
  return helper_call(method.name, std::move(values), state);
}

/// `loop.cycle(a, b)`.
ExpressionPtr lower_cycle(Method method, State& state) {
  state.changed("`loop.cycle(...)` became an index into a list");
  const auto count = static_cast<std::int64_t>(method.values.size());
  auto position = lower_arithmetic(
      tree::binary(tree::member(tree::name("loop"), "index0"), "%", tree::integer(count)), state);
  return tree::index(tree::list(std::move(method.values)), std::move(position));
}

bool is_native(std::string_view name) {
  return name == "startswith" || name == "endswith" || name == "split" || name == "strip" ||
         name == "lstrip" || name == "rstrip" || name == "replace";
}

}  // namespace

ExpressionPtr lower_method(ExpressionPtr expression, Place place, State& state) {
  const std::uint32_t line = expression->line;
  Method method = taken_apart(*expression);
  const std::string name = method.name;
  const std::size_t count = method.values.size();
  if (name == "get" && count >= 1) return lower_get(std::move(method), place, state);
  if (name == "items" && count == 0) return as_filter(std::move(method), "items", state);
  if ((name == "upper" || name == "lower" || name == "capitalize") && count == 0) {
    return as_filter(std::move(method), name, state);
  }
  if ((name == "keys" || name == "values") && count == 0) return lower_keys(std::move(method), state);
  if (name == "split" || (name == "rsplit" && count == 2)) return lower_split(std::move(method), line, state);
  if (name == "splitlines" && count == 0) {
    state.changed("`s.splitlines()` became `s.split(\"\\n\")`");
    method.name = "split";
    method.values.push_back(tree::string("\n"));
    return put_together(std::move(method));
  }
  if (name == "format" && method.object->kind == Kind::kString)
    return lower_format(std::move(method), line, state);
  if (name == "join" && count == 1) return lower_join(std::move(method), state);
  if (name == "cycle" && count > 0 && tree::is_name(*method.object, "loop")) {
    return lower_cycle(std::move(method), state);
  }
  if ((name == "startswith" || name == "endswith") && count == 1 && method.values[0]->kind == Kind::kTuple) {
    return lower_choices(std::move(method), state);
  }
  if ((name == "strip" || name == "lstrip" || name == "rstrip") && count == 0) {
    return lower_strip(std::move(method), state);
  }
  if (!is_native(name)) state.limited("method " + name, line);
  return put_together(std::move(method));
}

}  // namespace llm2mnn::jinja::lowering
