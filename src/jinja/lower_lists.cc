// Filters that make lists. The runtime passes the value through; here a loop in front of the statement fills
// a list.

#include <algorithm>
#include <optional>

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

bool is_number(std::string_view text) {
  constexpr std::size_t kMostDigits = 9;
  return !text.empty() && text.size() <= kMostDigits &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// object.a.b for "a.b".
ExpressionPtr attribute_of(ExpressionPtr object, std::string_view path) {
  while (!path.empty()) {
    const std::size_t dot = path.find('.');
    std::string part(path.substr(0, dot));
    if (tree::is_identifier(part)) {
      object = tree::member(std::move(object), std::move(part));
    } else {
      object = tree::index(std::move(object),
                           is_number(part) ? tree::integer(std::stoll(part)) : tree::string(std::move(part)));
    }
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
  }
  return object;
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
        auto subject = tree::name(item);
        if (by_attribute) subject = attribute_of(std::move(subject), arguments[0].value->text);
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
  const std::uint32_t line = expression->line;
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
                         value = attribute_of(tree::name(item), what);
                         if (arguments.size() > 1)
                           value = when_defined(std::move(value), std::move(arguments[1].value), state);
                       } else {
                         value = tree::filter(tree::name(item), what);
                         value->line = line;
                         for (std::size_t i = 1; i < arguments.size(); ++i)
                           value->arguments.push_back(std::move(arguments[i]));
                         value = lower_filter(std::move(value), state);
                       }
                       return tree::block(append(stored, std::move(value)));
                     });
}

/// How `sort` and its kin compare items.
struct Order {
  std::string attribute;
  bool descending = false;
  bool keeps_case = false;
};

/// Reads one argument; false when only its value at run time tells.
bool read_argument(Order& order, std::string_view name, const Expression& value) {
  const bool is_flag = value.kind == Kind::kBool;
  if (name == "reverse" && is_flag) {
    order.descending = value.bool_value;
  } else if (name == "case_sensitive" && is_flag) {
    order.keeps_case = value.bool_value;
  } else if (name == "attribute" && value.kind == Kind::kString &&
             value.text.find(',') == std::string::npos) {
    order.attribute = value.text;
  } else if (name == "attribute" && value.kind == Kind::kInteger && value.int_value >= 0) {
    order.attribute = std::to_string(value.int_value);
  } else if (name == "by" && value.kind == Kind::kString && (value.text == "key" || value.text == "value")) {
    order.attribute = value.text == "key" ? "0" : "1";
  } else {
    return name == "attribute" && value.kind == Kind::kNone;
  }
  return true;
}

/// @param names  of the filter's parameters. None, with a limit, where an argument is no literal.
std::optional<Order> order_of(const Expression& filter, const std::vector<std::string_view>& names,
                              State& state) {
  Order order;
  std::size_t position = 0;
  for (const auto& argument : filter.arguments) {
    const std::string_view by_place = position < names.size() ? names[position] : std::string_view();
    const std::string_view name = argument.name.empty() ? by_place : std::string_view(argument.name);
    position += argument.name.empty() ? 1 : 0;
    const bool is_parameter = std::find(names.begin(), names.end(), name) != names.end();
    if (is_parameter && read_argument(order, name, *argument.value)) continue;
    state.limited(filter.text + " with other arguments than single attributes and flags", filter.line);
    return std::nullopt;
  }
  return order;
}

/// What is compared of an item. The runtime's `lower` leaves what is no text as it is.
ExpressionPtr key_of(ExpressionPtr item, const Order& order) {
  auto key = attribute_of(std::move(item), order.attribute);
  return order.keeps_case ? std::move(key) : tree::filter(std::move(key), "lower");
}

ExpressionPtr lower_unique(ExpressionPtr expression, State& state) {
  const auto order = order_of(*expression, {"case_sensitive", "attribute"}, state);
  if (!order) return expression;
  state.changed("`unique` became a loop that fills a list");
  const std::string seen = state.fresh("seen");
  auto keys = tree::member(tree::name(seen), "v");
  state.pending.push_back(tree::set(tree::name(seen), empty_namespace()));
  return filled_list(
      std::move(expression->items[0]), state, [&](const std::string& item, const ExpressionPtr& stored) {
        auto is_new = tree::compare(key_of(tree::name(item), *order), "not in", tree::clone(keys));
        return tree::block(tree::conditional(
            std::move(is_new),
            tree::block(append(keys, key_of(tree::name(item), *order)), append(stored, tree::name(item)))));
      });
}

/// Insertion sort: each item goes in front of the first greater one.
ExpressionPtr sorted_list(ExpressionPtr iterable, const Order& order, State& state) {
  return filled_list(std::move(iterable), state, [&](const std::string& item, const ExpressionPtr& stored) {
    const std::string next = state.fresh("sorted"), other = state.fresh("other");
    auto list = tree::member(tree::name(next), "v"), done = tree::member(tree::name(next), "done");
    auto fresh = empty_namespace();
    fresh->arguments.push_back({"done", tree::boolean(false)});
    auto before = tree::compare(key_of(tree::name(item), order), order.descending ? ">" : "<",
                                key_of(tree::name(other), order));
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

ExpressionPtr lower_sort(ExpressionPtr expression, State& state) {
  const auto order = order_of(*expression, {"reverse", "case_sensitive", "attribute"}, state);
  if (!order) return expression;
  state.changed("`sort` became loops that insert");
  return sorted_list(std::move(expression->items[0]), *order, state);
}

ExpressionPtr lower_dictsort(ExpressionPtr expression, State& state) {
  auto order = order_of(*expression, {"case_sensitive", "by", "reverse"}, state);
  if (!order) return expression;
  if (order->attribute.empty()) order->attribute = "0";
  state.changed("`dictsort` became loops that insert");
  return sorted_list(tree::filter(std::move(expression->items[0]), "items"), *order, state);
}

/// min and max.
ExpressionPtr lower_extreme(ExpressionPtr expression, State& state) {
  const std::string name = expression->text;
  const auto order = order_of(*expression, {"case_sensitive", "attribute"}, state);
  if (!order) return expression;
  state.changed("`" + name + "` became a loop");
  auto list = repeatable(std::move(expression->items[0]), state);
  const std::string result = state.fresh(name), item = state.fresh("item");
  auto stored = tree::member(tree::name(result), "v");
  auto start = tree::call(tree::name("namespace"));
  start->arguments.push_back({"v", tree::index(tree::clone(list), tree::integer(0))});
  auto better = tree::compare(key_of(tree::name(item), *order), name == "min" ? "<" : ">",
                              key_of(tree::clone(stored), *order));
  state.pending.push_back(tree::set(tree::name(result), std::move(start)));
  state.pending.push_back(
      tree::loop({item}, std::move(list),
                 tree::block(tree::conditional(
                     std::move(better), tree::block(tree::set(tree::clone(stored), tree::name(item)))))));
  return stored;
}

ExpressionPtr lower_sum(ExpressionPtr expression, State& state) {
  const auto order = order_of(*expression, {"attribute"}, state);
  if (!order) return expression;
  state.changed("`sum` became a loop");
  const std::string result = state.fresh("sum"), item = state.fresh("item");
  auto stored = tree::member(tree::name(result), "v");
  auto start = tree::call(tree::name("namespace"));
  start->arguments.push_back({"v", tree::integer(0)});
  state.pending.push_back(tree::set(tree::name(result), std::move(start)));
  state.pending.push_back(tree::loop(
      {item}, std::move(expression->items[0]),
      tree::block(tree::set(
          tree::clone(stored),
          tree::binary(tree::clone(stored), "+", attribute_of(tree::name(item), order->attribute))))));
  return stored;
}

}  // namespace

ExpressionPtr lower_list_filter(ExpressionPtr expression, State& state) {
  const std::string name = expression->text;
  if (is_text(*expression->items[0], state) && expression->items[0]->kind != Kind::kInteger)
    state.limited("filter " + name + " of a string", expression->line);
  if (name == "selectattr" || name == "rejectattr" || name == "select" || name == "reject") {
    return lower_selection(std::move(expression), state);
  }
  if (name == "map") return lower_map(std::move(expression), state);
  if (name == "unique") return lower_unique(std::move(expression), state);
  if (name == "dictsort") return lower_dictsort(std::move(expression), state);
  if (name == "sort") return lower_sort(std::move(expression), state);
  if (name == "min" || name == "max") return lower_extreme(std::move(expression), state);
  if (name == "sum") return lower_sum(std::move(expression), state);
  if (name == "list") {
    if (!is_list(*expression->items[0], state))
      state.limited("filter list, should its subject be no list", expression->line);
    state.changed("`x|list` became `x`");
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
