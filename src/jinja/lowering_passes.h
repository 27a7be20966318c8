#pragma once
// The passes of the lowering. One walk over the statements (lower_statements.cc) calls one rewrite per
// construct; each rewrite is a function of its own. What a rewrite needs in front of the statement (a loop
// that fills a list) it puts into `pending`.

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/ast.h"
#include "jinja/lowering.h"

namespace llm2mnn::jinja::lowering {

/// What the passes share.
class State {
 public:
  explicit State(const Block& source);

  /// Notes that a construct was rewritten; each text once.
  void changed(std::string_view what);
  /// Notes a construct without a rewrite, with its line.
  void limited(std::string_view what, std::uint32_t line);
  /// The same for what many lines may have: the first is enough.
  void limited_once(std::string_view what, std::uint32_t line);
  /// A name that the template does not use.
  std::string fresh(std::string_view stem);
  bool uses(const std::string& name) const;  ///< whether the source names it

  std::vector<std::string> changes;
  std::vector<std::string> limits;
  Block pending;                                   ///< to be placed before the current statement
  std::map<std::string, const Statement*> macros;  ///< of the source, by name
  std::set<std::string> helpers;                   ///< macros of ours that the result needs
  std::vector<std::string> loop_sequences;         ///< of the open loops; empty: not stored in a variable
  /// Parameters, as "macro.parameter", that are left out of macro and calls: see shared_parameters.
  std::set<std::string> shared;
  std::set<std::string> loop_targets;  ///< variables of the loops of the source
  int default_depth = 0;               ///< of default arguments that are being written into each other
  /// How much more default arguments may take, in expressions and bytes of names and strings.
  std::int64_t default_budget = std::int64_t{1} << 20;
  std::string prefix;  ///< of every name that we add

 private:
  std::set<std::string> names_;
  int num_fresh_ = 0;
};

/// Where an expression stands.
enum class Place {
  kValue,  ///< its value is used
  kTruth,  ///< only its truth is used
};

ExpressionPtr lower_expression(ExpressionPtr expression, Place place, State& state);
Block lower_block(Block block, State& state);

// The parts of lower_expression. Operands are lowered already. Each returns its argument when it has nothing
// to do.
ExpressionPtr lower_filter(ExpressionPtr expression, State& state);               // lower_filters.cc
ExpressionPtr lower_list_filter(ExpressionPtr expression, State& state);          // lower_lists.cc
ExpressionPtr lower_method(ExpressionPtr expression, Place place, State& state);  // lower_methods.cc
ExpressionPtr lower_test(ExpressionPtr expression, State& state);                 // lower_tests.cc
ExpressionPtr lower_arithmetic(ExpressionPtr expression, State& state);           // lower_arithmetic.cc
ExpressionPtr lower_slice(ExpressionPtr expression, State& state);                // lower_slices.cc
ExpressionPtr lower_call(ExpressionPtr expression, State& state);                 // lower_macros.cc

/// The runtime passes namespaces by value. A parameter whose attributes the template sets is left out where
/// every call passes the variable of the same name: the macro then sees the caller's own. Names the others as
/// limits.
void share_parameters(const Block& source, State& state);  // lower_macros.cc

/// `value` where it is defined, else `otherwise`.
ExpressionPtr when_defined(ExpressionPtr value, ExpressionPtr otherwise, State& state);
/// An expression that can be repeated: itself when it is a chain of names, else a variable set before.
ExpressionPtr repeatable(ExpressionPtr value, State& state);
/// Whether the value is certainly a string (or the runtime prints it as Jinja does).
bool is_text(const Expression& expression, const State& state);
/// Whether the value is certainly a list.
bool is_list(const Expression& value, const State& state);
/// Whether Jinja would escape what is added to the value (`"x"|safe + y`).
bool is_markup(const Expression& expression);
bool is_truth_value(const Expression& expression);  ///< certainly a boolean
/// A call of one of our macros; the result gets the macro.
ExpressionPtr helper_call(std::string_view helper, std::vector<ExpressionPtr> values, State& state);
/// A call of the macro that prints a value as Jinja does: nothing for an undefined one, None, True, Python's
/// lists.
ExpressionPtr as_text(ExpressionPtr value, State& state);
/// The source of the macros that `state.helpers` names, to be put in front (lower_helpers.cc).
std::string helper_macros(const State& state);

/// `break` and `continue` of the loops become flags (lower_jumps.cc).
Block lower_jumps(Block block, State& state);

}  // namespace llm2mnn::jinja::lowering
