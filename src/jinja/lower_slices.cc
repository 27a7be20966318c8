// Slices. The runtime slices lists; a slice of a string is an empty string there.

#include "jinja/lowering_passes.h"
#include "jinja/tree.h"

namespace llm2mnn::jinja::lowering {

ExpressionPtr lower_slice(ExpressionPtr expression, State& state) {
  if (is_text(*expression->items[0], state)) state.limited("slice of a string", expression->line);
  return expression;
}

}  // namespace llm2mnn::jinja::lowering
