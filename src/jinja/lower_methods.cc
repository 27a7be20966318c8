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
  std::vector<ExpressionPtr> values;  ///< of the arguments
  std::vector<std::string> labels;    ///< of the arguments; empty for those by position
};

Method taken_apart(Expression& call) {
  Method result;
  result.object = std::move(call.items[0]->items[0]);
  result.name = call.items[0]->text;
  for (auto& argument : call.arguments) {
    result.values.push_back(std::move(argument.value));
    result.labels.push_back(std::move(argument.name));
  }
  return result;
}

/// `split(sep=x, maxsplit=n)` by position; the arguments by name of others but `format` are a limit.
void place_arguments(Method& method, std::uint32_t line, State& state) {
  const bool by_name = std::any_of(method.labels.begin(), method.labels.end(),
                                   [](const std::string& label) { return !label.empty(); });
  if (!by_name || method.name == "format") return;
  if (method.name != "split" && method.name != "rsplit") {
    state.limited("method " + method.name + " with an argument by name", line);
    return;
  }
  std::vector<ExpressionPtr> placed(2);
  for (std::size_t i = 0; i < method.values.size(); ++i) {
    const bool is_limit = method.labels[i].empty() ? i == 1 : method.labels[i] == "maxsplit";
    placed[is_limit ? 1 : 0] = std::move(method.values[i]);
  }
  if (!placed[0]) placed[0] = tree::none();
  if (!placed[1]) placed.pop_back();
  method.values = std::move(placed);
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

/// What stands for the hole `name` of a format; null when there is nothing.
ExpressionPtr filling(Method& method, const std::string& name, std::size_t& next, State& state) {
  std::size_t at = method.values.size();
  constexpr std::size_t kMostDigits = 3;
  if (name.empty()) {
    at = next++;
  } else if (name.size() <= kMostDigits && name.find_first_not_of("0123456789") == std::string::npos) {
    at = std::stoul(name);
  } else {
    const auto label = std::find(method.labels.begin(), method.labels.end(), name);
    at = static_cast<std::size_t>(label - method.labels.begin());
  }
  if (at >= method.values.size() || method.labels[at].empty() != (name.empty() || name[0] <= '9'))
    return nullptr;
  method.values[at] = repeatable(std::move(method.values[at]), state);
  auto value = tree::clone(method.values[at]);
  return is_text(*value, state) ? std::move(value) : as_text(std::move(value), state);
}

/// `"a{}b{name}".format(x, name=y)` with holes of no format.
ExpressionPtr lower_format(Method method, std::uint32_t line, State& state) {
  const std::string pattern = method.object->text;
  ExpressionPtr result;
  std::string text;
  std::size_t next = 0;
  const auto append = [&](ExpressionPtr part) {
    result = result ? tree::binary(std::move(result), "~", std::move(part)) : std::move(part);
  };
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    const bool is_escaped = (c == '{' || c == '}') && i + 1 < pattern.size() && pattern[i + 1] == c;
    if (is_escaped || (c != '{' && c != '}')) {
      text += c;
      i += is_escaped ? 1 : 0;
      continue;
    }
    const std::size_t end = pattern.find('}', i);
    auto value = c == '{' && end != std::string::npos
                     ? filling(method, pattern.substr(i + 1, end - i - 1), next, state)
                     : nullptr;
    if (!value) {
      state.limited("format with formatted holes", line);
      return tree::string(pattern);
    }
    append(tree::string(std::exchange(text, {})));
    append(std::move(value));
    i = end;
  }
  state.changed("`\"...{}...\".format(x)` became a concatenation");
  append(tree::string(std::move(text)));
  return result;
}

/// `s.replace(a, b, 1)`: the runtime ignores the count.
ExpressionPtr lower_replace(Method method, std::uint32_t line, State& state) {
  if (method.values.size() != 3) return put_together(std::move(method));
  if (method.values[2]->kind != Kind::kInteger || method.values[2]->int_value != 1) {
    state.limited("replace with a count other than 1", line);
    return put_together(std::move(method));
  }
  state.changed("`s.replace(a, b, 1)` became what stands before and behind the first");
  auto text = repeatable(std::move(method.object), state);
  auto mark = repeatable(std::move(method.values[0]), state);
  auto before = tree::index(tree::method(tree::clone(text), "split", tree::clone(mark)), tree::integer(0));
  std::vector<ExpressionPtr> values;
  values.push_back(tree::clone(text));
  values.push_back(tree::clone(mark));
  auto changed = tree::binary(tree::binary(std::move(before), "+", std::move(method.values[1])), "+",
                              helper_call("after_first", std::move(values), state));
  auto is_there = tree::compare(std::move(mark), "in", tree::clone(text));
  return tree::ternary(std::move(changed), std::move(is_there), std::move(text));
}

/// `s.splitlines()`: all ends of lines become newlines, and one at the end gives no line.
ExpressionPtr lower_splitlines(Method method, State& state) {
  state.changed("`s.splitlines()` became a split at newlines");
  constexpr std::string_view kEnds[] = {"\r\n", "\r",   "\v",       "\f",           "\x1c",
                                        "\x1d", "\x1e", "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9"};
  for (const std::string_view end : kEnds) {
    method.object =
        tree::method(std::move(method.object), "replace", tree::string(std::string(end)), tree::string("\n"));
  }
  const std::string text = state.fresh("text");
  state.pending.push_back(tree::set(tree::name(text), std::move(method.object)));
  const auto lines = [&] { return tree::method(tree::name(text), "split", tree::string("\n")); };
  auto without_last = tree::slice_from(lines(), nullptr);
  without_last->items[2] = tree::integer(-1);
  auto has_end = tree::binary(tree::method(tree::name(text), "endswith", tree::string("\n")), "or",
                              tree::compare(tree::name(text), "==", tree::string("")));
  return tree::ternary(std::move(without_last), std::move(has_end), lines());
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
  place_arguments(method, line, state);
  if (method.name == "rsplit" && method.values.size() == 1 && method.values[0]->kind != Kind::kNone)
    method.name = "split";  // without a limit they are one
  const std::string name = method.name;
  const std::size_t count = method.values.size();
  if (name == "get" && count >= 1) return lower_get(std::move(method), place, state);
  if (name == "items" && count == 0) return as_filter(std::move(method), "items", state);
  if ((name == "upper" || name == "lower" || name == "capitalize") && count == 0) {
    state.limited_once("upper and lower case beyond ASCII", line);
    return as_filter(std::move(method), name, state);
  }
  if ((name == "keys" || name == "values") && count == 0) return lower_keys(std::move(method), state);
  if (name == "split" || (name == "rsplit" && count == 2)) return lower_split(std::move(method), line, state);
  if (name == "replace") return lower_replace(std::move(method), line, state);
  if (name == "splitlines" && count == 0) return lower_splitlines(std::move(method), state);
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
