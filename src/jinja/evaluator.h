#pragma once
// Executes a parsed template.

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/nesting.h"
#include "jinja/template.h"
#include "jinja/value.h"

namespace llm2mnn::jinja {

/// Names of one scope; a name that it lacks is looked up in the one around it.
struct Scope {
  std::map<std::string, Value, std::less<>> names;
  std::shared_ptr<Scope> parent;
  const Value* find(std::string_view name) const;
};
using ScopePtr = std::shared_ptr<Scope>;

class Evaluator {
 public:
  /// @param globals  the template's variables.
  explicit Evaluator(ScopePtr globals);
  ~Evaluator();
  Evaluator(const Evaluator&) = delete;
  Evaluator& operator=(const Evaluator&) = delete;

  /// The rendered text. Raises TemplateError as Python would; @throws Error kUnsupported when a limit of time
  /// or space is reached.
  std::string render(const Block& body);

 private:
  enum class Flow : std::uint8_t { kNext, kBreak, kContinue };
  /// What the body of a macro names, and so what its calls may give beyond the parameters.
  struct MacroUse {
    bool caller = false, kwargs = false, varargs = false;
  };
  static MacroUse use_of(const Statement& macro);
  struct LoopState;

  Flow run(const Block& body, const ScopePtr& scope);
  Flow run(const Statement& statement, const ScopePtr& scope);
  /// The text that `body` prints, in a scope of its own.
  std::string capture(const Block& body, const ScopePtr& scope);
  Flow run_for(const Statement& statement, const Value& iterable, const ScopePtr& scope, std::int64_t depth);
  void bind_targets(const std::vector<std::string>& targets, const Value& item, Scope& scope);
  Value loop_object(const std::shared_ptr<LoopState>& state);
  void assign(const Expression& target, const Value& value, const ScopePtr& scope);
  Value make_macro(const Statement& statement, const ScopePtr& scope);
  std::string call_macro(const Statement& macro, MacroUse use, const ScopePtr& scope, Arguments& arguments);
  static void bind_rest(const Statement& macro, MacroUse use, Scope& inner, const Arguments& arguments);
  void bind_parameters(const Statement& macro, const ScopePtr& inner, Arguments& arguments);
  void run_call_block(const Statement& statement, const ScopePtr& scope);
  Value apply_filters(const Expression* filter, Value input, const ScopePtr& scope);

  Value evaluate(const Expression& expression, const ScopePtr& scope);
  Value evaluate_name(const Expression& expression, const ScopePtr& scope);
  Value evaluate_binary(const Expression& expression, const ScopePtr& scope);
  Value evaluate_compare(const Expression& expression, const ScopePtr& scope);
  Value evaluate_slice(const Expression& expression, const ScopePtr& scope);
  Value evaluate_dict(const Expression& expression, const ScopePtr& scope);
  std::vector<Value> evaluate_all(const std::vector<ExpressionPtr>& items, const ScopePtr& scope);
  Arguments evaluate_arguments(const std::vector<Argument>& arguments, const ScopePtr& scope);
  Value call(const Value& callee, Arguments& arguments);
  void print(std::string_view text);
  /// Counts a step of work.
  void step();

  /// One level of the evaluator's own recursion.
  NestingLevel nested();

  /// Breaks the circles that templates can tie, so that nothing outlives the evaluator.
  void untie();

  ScopePtr globals_;
  std::vector<Value> tied_namespaces_;  // they were given what may hold them
  std::vector<std::shared_ptr<LoopState>> tied_loops_;
  std::string out_;
  std::uint64_t steps_ = 0;
  int depth_ = 0;
};

// Operations of the language, in files of their own.

/// `left op right` for the arithmetic operators and `~`.
Value binary_operation(std::string_view op, const Value& left, const Value& right);
/// `- operand`.
Value negative(const Value& operand);
bool compare_operation(std::string_view op, const Value& left, const Value& right);
/// `object.name` and `object[index]`.
Value get_member(const Value& object, const std::string& name);
Value get_index(const Value& object, const Value& index);
Value slice(const Value& object, const Value& start, const Value& stop, const Value& step);
/// The method `name` of `object`, or undefined.
Value find_method(const Value& object, const std::string& name);
Value find_string_method(const Value& object, const std::string& name);
Value apply_filter(const std::string& name, const Value& input, Arguments& arguments);
bool has_filter(std::string_view name);
bool apply_test(const std::string& name, const Value& input, Arguments& arguments);
/// range, namespace, dict, joiner, cycler: what every template has.
ScopePtr builtin_globals();

/// The arguments of a builtin that takes them by position only; absent ones are None. Raises for others.
std::vector<Value> take_positional(std::string_view function, const Arguments& arguments, std::size_t least,
                                   std::size_t most);
/// The parameters of a builtin, by position or name; absent ones are undefined. Raises for others.
std::vector<Value> take_arguments(std::string_view function, Arguments& arguments,
                                  const std::vector<std::string_view>& names);

}  // namespace llm2mnn::jinja
