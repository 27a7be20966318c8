// Filters that make lists. The runtime passes the value through; here a loop in front of the statement fills
// a list.

#include "jinja/lowering_passes.h"
#include "jinja/tree.h"

namespace llm2mnn::jinja::lowering {
namespace {

using tree::Kind;

ExpressionPtr empty_namespace() {
  auto result = tree::call(tree::name("namespace"));
  result->arguments.push_back({"v", tree::list({})});
  return result;
}

Statement append(const ExpressionPtr& stored, ExpressionPtr value) {
  std::vector<ExpressionPtr> items;
  items.push_back(std::move(value));
  return tree::set(tree::clone(stored), tree::binary(tree::clone(stored), "+", tree::list(std::move(items))));
}

/// A loop over `iterable` whose body is made by `fill(item, stored)`; rewrites inside may want statements of
/// their own in front, which go into the body.
template <typename Fill>
ExpressionPtr filled_list(ExpressionPtr iterable, State& state, Fill fill) {
  const std::string result = state.fresh("list"), item = state.fresh("item");
  auto stored = tree::member(tree::name(result), "v");
  Block outer = std::move(state.pending);
  state.pending.clear();
  Block last = fill(item, stored);
  Block body = std::move(state.pending);
  for (auto& statement : last)
    body.push_back(std::move(statement));
  state.pending = std::move(outer);
  state.pending.push_back(tree::set(tree::name(result), empty_namespace()));
  state.pending.push_back(tree::loop({item}, std::move(iterable), std::move(body)));
  return stored;
}

/// item.a.b for "a.b".
ExpressionPtr attribute_of(const std::string& item, std::string_view path) {
  ExpressionPtr result = tree::name(item);
  while (!path.empty()) {
    const std::size_t dot = path.find('.');
    std::string part(path.substr(0, dot));
    result = tree::is_identifier(part) ? tree::member(std::move(result), std::move(part))
                                       : tree::index(std::move(result), tree::string(std::move(part)));
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
  }
  return result;
}

/// The condition of select, reject, selectattr and rejectattr.
ExpressionPtr selection(ExpressionPtr subject, std::vector<Argument> arguments, std::size_t from, bool negate,
                        State& state) {
  ExpressionPtr condition;
  if (arguments.size() <= from) {
    condition = std::move(subject);
  } else {
    auto asked = tree::test(std::move(subject), arguments[from].value->text);
    for (std::size_t i = from + 1; i < arguments.size(); ++i)
      asked->arguments.push_back(std::move(arguments[i]));
    condition = lower_test(std::move(asked), state);
    if (condition->kind == Kind::kTest && !tree::is_identifier(condition->text)) {
      state.limited("a test whose name is no name", condition->line);
      condition->text = "defined";
      condition->arguments.clear();
    }
  }
  return negate ? tree::negated(std::move(condition)) : std::move(condition);
}

ExpressionPtr lower_selection(ExpressionPtr expression, State& state) {
  const bool by_attribute = expression->text.ends_with("attr");
  const bool negate = expression->text.starts_with("reject");
  auto arguments = std::move(expression->arguments);
  if (by_attribute && (arguments.empty() || arguments[0].value->kind != Kind::kString)) return expression;
  state.changed("`" + expression->text + "` became a loop that fills a list");
  return filled_list(
      std::move(expression->items[0]), state, [&](const std::string& item, const ExpressionPtr& stored) {
        auto subject = by_attribute ? attribute_of(item, arguments[0].value->text) : tree::name(item);
        auto condition =
            selection(std::move(subject), std::move(arguments), by_attribute ? 1 : 0, negate, state);
        return tree::block(
            tree::conditional(std::move(condition), tree::block(append(stored, tree::name(item)))));
      });
}

ExpressionPtr lower_map(ExpressionPtr expression, State& state) {
  if (expression->arguments.empty() || expression->arguments[0].value->kind != Kind::kString)
    return expression;
  const bool attribute = expression->arguments[0].name == "attribute";
  const std::string what = expression->arguments[0].value->text;
  if (!attribute && !tree::is_identifier(what)) {
    state.limited("map with a filter whose name is no name", expression->line);
    return expression;
  }
  if (attribute && expression->arguments.size() == 1 && what.find('.') == std::string::npos)
    return expression;
  state.changed("`map` became a loop that fills a list");
  auto arguments = std::move(expression->arguments);
  return filled_list(std::move(expression->items[0]), state,
                     [&](const std::string& item, const ExpressionPtr& stored) {
                       ExpressionPtr value;
                       if (attribute) {
                         value = attribute_of(item, what);
                         if (arguments.size() > 1)
                           value = when_defined(std::move(value), std::move(arguments[1].value), state);
                       } else {
                         value = tree::filter(tree::name(item), what);
                         for (std::size_t i = 1; i < arguments.size(); ++i)
                           value->arguments.push_back(std::move(arguments[i]));
                         value = lower_filter(std::move(value), Place::kValue, state);
                       }
                       return tree::block(append(stored, std::move(value)));
                     });
}

ExpressionPtr lower_unique(ExpressionPtr expression, State& state) {
  state.changed("`unique` became a loop that fills a list");
  return filled_list(
      std::move(expression->items[0]), state, [](const std::string& item, const ExpressionPtr& stored) {
        auto is_new = tree::compare(tree::name(item), "not in", tree::clone(stored));
        return tree::block(
            tree::conditional(std::move(is_new), tree::block(append(stored, tree::name(item)))));
      });
}

/// The runtime goes through the keys of a mapping in byte order.
ExpressionPtr lower_dictsort(ExpressionPtr expression, State& state) {
  if (!expression->arguments.empty()) {
    state.limited("dictsort with arguments", expression->line);
    return expression;
  }
  state.changed("`dictsort` became a loop over the sorted keys");
  auto mapping = repeatable(std::move(expression->items[0]), state);
  auto source = tree::clone(mapping);
  return filled_list(std::move(source), state, [&](const std::string& item, const ExpressionPtr& stored) {
    std::vector<ExpressionPtr> pair;
    pair.push_back(tree::name(item));
    pair.push_back(tree::index(std::move(mapping), tree::name(item)));
    return tree::block(append(stored, tree::list(std::move(pair))));
  });
}

/// Insertion sort: each item goes in front of the first greater one.
ExpressionPtr lower_sort(ExpressionPtr expression, State& state) {
  std::string attribute;
  bool descending = false;
  for (const auto& argument : expression->arguments) {
    if (argument.name == "attribute" && argument.value->kind == Kind::kString)
      attribute = argument.value->text;
    if (argument.name == "reverse" || argument.name.empty()) descending = argument.value->bool_value;
  }
  state.changed("`sort` became loops that insert");
  return filled_list(
      std::move(expression->items[0]), state, [&](const std::string& item, const ExpressionPtr& stored) {
        const std::string next = state.fresh("sorted"), other = state.fresh("other");
        auto list = tree::member(tree::name(next), "v"), done = tree::member(tree::name(next), "done");
        auto fresh = empty_namespace();
        fresh->arguments.push_back({"done", tree::boolean(false)});
        auto before = tree::compare(attribute_of(item, attribute), descending ? ">" : "<",
                                    attribute_of(other, attribute));
        auto insert = tree::conditional(
            tree::binary(tree::negated(tree::clone(done)), "and", std::move(before)),
            tree::block(append(list, tree::name(item)), tree::set(tree::clone(done), tree::boolean(true))));
        auto last =
            tree::conditional(tree::negated(tree::clone(done)), tree::block(append(list, tree::name(item))));
        return tree::block(tree::set(tree::name(next), std::move(fresh)),
                           tree::loop({other}, tree::clone(stored),
                                      tree::block(std::move(insert), append(list, tree::name(other)))),
                           std::move(last), tree::set(tree::clone(stored), tree::clone(list)));
      });
}

/// sum, min and max.
ExpressionPtr lower_fold(ExpressionPtr expression, State& state) {
  const std::string name = expression->text;
  if (!expression->arguments.empty()) {
    state.limited(name + " with arguments", expression->line);
    return expression;
  }
  state.changed("`" + name + "` became a loop");
  auto list = repeatable(std::move(expression->items[0]), state);
  const std::string result = state.fresh(name), item = state.fresh("item");
  auto stored = tree::member(tree::name(result), "v");
  auto start = tree::call(tree::name("namespace"));
  start->arguments.push_back(
      {"v", name == "sum" ? tree::integer(0) : tree::index(tree::clone(list), tree::integer(0))});
  auto step =
      name == "sum"
          ? tree::set(tree::clone(stored), tree::binary(tree::clone(stored), "+", tree::name(item)))
          : tree::conditional(tree::compare(tree::name(item), name == "min" ? "<" : ">", tree::clone(stored)),
                              tree::block(tree::set(tree::clone(stored), tree::name(item))));
  state.pending.push_back(tree::set(tree::name(result), std::move(start)));
  state.pending.push_back(tree::loop({item}, std::move(list), tree::block(std::move(step))));
  return stored;
}

}  // namespace

ExpressionPtr lower_list_filter(ExpressionPtr expression, State& state) {
  const std::string name = expression->text;
  if (name == "selectattr" || name == "rejectattr" || name == "select" || name == "reject") {
    return lower_selection(std::move(expression), state);
  }
  if (name == "map") return lower_map(std::move(expression), state);
  if (name == "unique") return lower_unique(std::move(expression), state);
  if (name == "dictsort") return lower_dictsort(std::move(expression), state);
  if (name == "sort") return lower_sort(std::move(expression), state);
  if (name == "sum" || name == "min" || name == "max") return lower_fold(std::move(expression), state);
  if (name == "list" || name == "int") {
    state.changed("`x|" + name + "` became `x`");
    return std::move(expression->items[0]);
  }
  static constexpr std::string_view kNative[] = {"string", "capitalize", "trim", "items", "lower", "upper"};
  for (const auto native : kNative) {
    if (name == native) return expression;
  }
  state.limited("filter " + name, expression->line);
  return expression;
}

}  // namespace llm2mnn::jinja::lowering
