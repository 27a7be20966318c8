// Slices. The runtime slices lists; a slice of a string is an empty string there. What drops a number of
// characters from one end of a string becomes a macro that knows the ASCII characters.

#include "jinja/lowering_passes.h"
#include "jinja/tree.h"

namespace llm2mnn::jinja::lowering {
namespace {

using tree::Kind;

/// The n of `x[:-n]` and of `x[:x|length - n]`; null when the slice is another.
ExpressionPtr dropped_from_end(const Expression& slice) {
  if (slice.items[1] || !slice.items[2] || slice.items[3]) return nullptr;
  const Expression& stop = *slice.items[2];
  if (stop.kind == Kind::kNegative) return tree::clone(stop.items[0]);
  if (stop.kind != Kind::kBinary || stop.text != "-") return nullptr;
  bool counts = false;
  tree::visit(*stop.items[0], [&](const Expression& part) {
    counts = counts || (part.kind == Kind::kFilter && part.text == "length" &&
                        tree::equal(*part.items[0], *slice.items[0]));
  });
  return counts ? tree::clone(stop.items[1]) : nullptr;
}

/// The n of `x[n:]`.
ExpressionPtr dropped_from_start(const Expression& slice) {
  if (!slice.items[1] || slice.items[2] || slice.items[3] || slice.items[1]->kind != Kind::kInteger)
    return nullptr;
  return tree::clone(slice.items[1]);
}

}  // namespace

ExpressionPtr lower_slice(ExpressionPtr expression, State& state) {
  if (!tree::is_chain(*expression->items[0]) || tree::is_messages(*expression->items[0])) {
    if (is_text(*expression->items[0], state)) state.limited("slice of a string", expression->line);
    return expression;
  }
  auto from_end = dropped_from_end(*expression);
  auto from_start = from_end ? nullptr : dropped_from_start(*expression);
  if (!from_end && !from_start) {
    state.limited("slice, should its subject be a string", expression->line);
    return expression;
  }
  state.changed("a slice that drops characters of a string became a macro");
  state.limited("a slice that drops characters beyond ASCII, should its subject be a string",
                expression->line);
  const bool at_end = from_end != nullptr;
  std::vector<ExpressionPtr> values;
  values.push_back(tree::clone(expression->items[0]));
  values.push_back(std::move(at_end ? from_end : from_start));
  auto is_string = tree::test(tree::clone(expression->items[0]), "string");
  auto text = helper_call(at_end ? "drop_last" : "drop_first", std::move(values), state);
  return tree::ternary(std::move(text), std::move(is_string), std::move(expression));
}

}  // namespace llm2mnn::jinja::lowering
