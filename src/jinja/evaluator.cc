#include "jinja/evaluator.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "jinja/tree.h"
#include "jinja/work_meter.h"

namespace llm2mnn::jinja {

namespace {

using Kind = Expression::Kind;

// A prompt of a hundred thousand tokens needs less than a tenth of either.
constexpr std::uint64_t kMaxSteps = 5'000'000;
constexpr std::size_t kMaxOutputBytes = 64u << 20;
constexpr std::size_t kTieCost = 1000;
constexpr int kMaxDepth = 1000;  // of the evaluator's recursion: a megabyte or two of stack

ScopePtr inner_scope(const ScopePtr& parent) {
  auto scope = std::make_shared<Scope>();
  scope->parent = parent;
  return scope;
}

}  // namespace

const Value* Scope::find(std::string_view name) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->parent.get()) {
    const auto it = scope->names.find(name);
    if (it != scope->names.end()) return &it->second;
  }
  return nullptr;
}

NestingLevel Evaluator::nested() {
  return {depth_, kMaxDepth, [] { beyond("very deep recursion"); }};
}

void Evaluator::step() {
  if (++steps_ > kMaxSteps) {
    fail(ErrorKind::kUnsupported, "the chat template takes more than {} steps", kMaxSteps);
  }
}

void Evaluator::print(std::string_view text) {
  if (out_.size() + text.size() > kMaxOutputBytes) {
    fail(ErrorKind::kUnsupported, "the chat template prints more than {} MiB", kMaxOutputBytes >> 20);
  }
  out_ += text;
}

std::string Evaluator::render(const Block& body) {
  const WorkMeter meter;
  out_.clear();
  run(body, inner_scope(globals_));
  return std::move(out_);
}

Evaluator::Flow Evaluator::run(const Block& body, const ScopePtr& scope) {
  const NestingLevel level = nested();
  for (const Statement& statement : body) {
    const Flow flow = run(statement, scope);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Evaluator::Flow Evaluator::run(const Statement& statement, const ScopePtr& scope) {
  step();
  switch (statement.kind) {
    case Statement::Kind::kText:
      print(statement.text);
      break;
    case Statement::Kind::kOutput:
      print(to_text(evaluate(*statement.expression, scope)));
      break;
    case Statement::Kind::kIf:
      return run(evaluate(*statement.expression, scope).truth() ? statement.body : statement.otherwise,
                 scope);
    case Statement::Kind::kFor:
      return run_for(statement, evaluate(*statement.expression, scope), scope, 1);
    case Statement::Kind::kSet:
      assign(*statement.target, evaluate(*statement.expression, scope), scope);
      break;
    case Statement::Kind::kSetBlock:
      assign(*statement.target,
             apply_filters(statement.filter.get(), Value::string(capture(statement.body, scope)), scope),
             scope);
      break;
    case Statement::Kind::kMacro:
      scope->names.insert_or_assign(statement.text, make_macro(statement, scope));
      break;
    case Statement::Kind::kCallBlock:
      run_call_block(statement, scope);
      break;
    case Statement::Kind::kFilterBlock:
      print(to_text(
          apply_filters(statement.filter.get(), Value::string(capture(statement.body, scope)), scope)));
      break;
    case Statement::Kind::kBreak:
      return Flow::kBreak;
    case Statement::Kind::kContinue:
      return Flow::kContinue;
    case Statement::Kind::kGeneration:
      print(capture(statement.body, scope));
      break;
  }
  return Flow::kNext;
}

std::string Evaluator::capture(const Block& body, const ScopePtr& scope) {
  std::string before = std::exchange(out_, {});
  run(body, inner_scope(scope));
  return std::exchange(out_, std::move(before));
}

// --- loops

struct Evaluator::LoopState {
  std::vector<Value> items;
  std::size_t index = 0;
  std::int64_t depth = 1;
  const Statement* statement = nullptr;
  ScopePtr scope;
  std::vector<Value> last_changed;
  bool has_changed = false;
};

Evaluator::Evaluator(ScopePtr globals) : globals_(std::move(globals)) {}

Evaluator::~Evaluator() { untie(); }

void Evaluator::untie() {
  // The lists stay whole meanwhile: a namespace may be the last holder of another.
  for (const Value& tied : tied_namespaces_)
    tied.entries().entries.clear();
  for (const auto& state : tied_loops_)
    state->last_changed.clear();
}

void Evaluator::bind_targets(const std::vector<std::string>& targets, const Value& item, Scope& scope) {
  if (targets.size() == 1) {
    scope.names.insert_or_assign(targets[0], item);
    return;
  }
  const std::vector<Value> parts = iterate(item);
  if (parts.size() < targets.size()) {
    raise(fmt::format("not enough values to unpack (expected {}, got {})", targets.size(), parts.size()));
  }
  if (parts.size() > targets.size())
    raise(fmt::format("too many values to unpack (expected {})", targets.size()));
  for (std::size_t i = 0; i < targets.size(); ++i)
    scope.names.insert_or_assign(targets[i], parts[i]);
}

Value Evaluator::loop_object(const std::shared_ptr<LoopState>& state) {
  const auto count = static_cast<std::int64_t>(state->items.size());
  const auto index = static_cast<std::int64_t>(state->index);
  Value loop = Value::object();
  const auto set = [&](const char* name, Value value) {
    loop.entries().entries.emplace_back(Value::string(name), std::move(value));
  };
  set("index", Value::integer(index + 1));
  set("index0", Value::integer(index));
  set("revindex", Value::integer(count - index));
  set("revindex0", Value::integer(count - index - 1));
  set("first", Value::boolean(index == 0));
  set("last", Value::boolean(index + 1 == count));
  set("length", Value::integer(count));
  set("depth", Value::integer(state->depth));
  set("depth0", Value::integer(state->depth - 1));
  set("previtem",
      index == 0 ? Value::undefined("there is no previous item") : state->items[state->index - 1]);
  set("nextitem",
      index + 1 == count ? Value::undefined("there is no next item") : state->items[state->index + 1]);
  set("cycle", Value::function([index](Arguments& arguments) {
        if (arguments.positional.empty()) raise("no items for cycling given");
        return arguments.positional[static_cast<std::size_t>(index) % arguments.positional.size()];
      }));
  // The state outlives the object by design: what `changed` saw last belongs to the loop.
  set("changed", Value::function([this, state](Arguments& arguments) {
        if (!state->has_changed) {
          charge_work(kTieCost);
          tied_loops_.push_back(state);
        }
        const bool same = state->has_changed && state->last_changed == arguments.positional;
        state->last_changed = arguments.positional;
        state->has_changed = true;
        return Value::boolean(!same);
      }));
  if (state->statement->is_recursive) {
    set("__call__", Value::function([this, state](Arguments& arguments) {
          const std::vector<Value> taken = take_arguments("loop", arguments, {"iterable"});
          std::string before = std::exchange(out_, {});
          run_for(*state->statement, taken[0], state->scope, state->depth + 1);
          return Value::string(std::exchange(out_, std::move(before)));
        }));
  }
  return loop;
}

Evaluator::Flow Evaluator::run_for(const Statement& statement, const Value& iterable, const ScopePtr& scope,
                                   std::int64_t depth) {
  const NestingLevel level = nested();
  auto state = std::make_shared<LoopState>();
  state->statement = &statement;
  state->scope = scope;
  state->depth = depth;
  for (const Value& item : iterate(iterable)) {
    step();
    if (statement.condition != nullptr) {
      const ScopePtr inner = inner_scope(scope);
      bind_targets(statement.targets, item, *inner);
      if (!evaluate(*statement.condition, inner).truth()) continue;
    }
    state->items.push_back(item);
  }
  for (; state->index < state->items.size(); ++state->index) {
    const ScopePtr inner = inner_scope(scope);
    bind_targets(statement.targets, state->items[state->index], *inner);
    inner->names.insert_or_assign("loop", loop_object(state));
    if (run(statement.body, inner) == Flow::kBreak) break;
  }
  // An empty loop's other branch has a scope of its own too.
  return state->items.empty() ? run(statement.otherwise, inner_scope(scope)) : Flow::kNext;
}

// --- names

void Evaluator::assign(const Expression& target, const Value& value, const ScopePtr& scope) {
  if (target.kind == Kind::kName) {
    scope->names.insert_or_assign(target.text, value);
  } else if (target.kind == Kind::kMember) {
    const Value object = evaluate(*target.items[0], scope);
    if (!object.is(Value::Kind::kNamespace)) raise("cannot assign attribute on non-namespace object");
    if (!value.is_string() && !value.is_number() && !value.is(Value::Kind::kNone)) {
      charge_work(kTieCost);
      tied_namespaces_.push_back(object);
    }
    object.entries().set(Value::string(target.text), value);
  } else {
    std::vector<std::string> names;
    for (const ExpressionPtr& item : target.items)
      names.push_back(item->text);
    bind_targets(names, value, *scope);
  }
}

Value Evaluator::make_macro(const Statement& statement, const ScopePtr& scope) {
  // A weak pointer: the scope holds the macro.
  return Value::function(
      [this, &statement, use = use_of(statement), weak = std::weak_ptr<Scope>(scope)](Arguments& arguments) {
        const ScopePtr outer = weak.lock();
        return Value::string(call_macro(statement, use, outer == nullptr ? globals_ : outer, arguments));
      });
}

Evaluator::MacroUse Evaluator::use_of(const Statement& macro) {
  MacroUse use;
  tree::visit_read(macro.body, [&](const Expression& part) {
    use.caller |= tree::is_name(part, "caller");
    use.kwargs |= tree::is_name(part, "kwargs");
    use.varargs |= tree::is_name(part, "varargs");
  });
  return use;
}

void Evaluator::bind_parameters(const Statement& macro, const ScopePtr& inner, Arguments& arguments) {
  const auto& parameters = macro.parameters;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const std::string& name = parameters[i].name;
    const auto named = std::find_if(arguments.named.begin(), arguments.named.end(),
                                    [&](const auto& argument) { return argument.first == name; });
    if (i < arguments.positional.size()) {
      inner->names.insert_or_assign(name, arguments.positional[i]);
    } else if (named != arguments.named.end()) {
      inner->names.insert_or_assign(name, named->second);
      arguments.named.erase(named);
    } else if (parameters[i].default_value != nullptr) {
      inner->names.insert_or_assign(name, evaluate(*parameters[i].default_value, inner));
    } else {
      inner->names.insert_or_assign(name,
                                    Value::undefined(fmt::format("parameter '{}' was not provided", name)));
    }
  }
}

void Evaluator::bind_rest(const Statement& macro, MacroUse use, Scope& inner, const Arguments& arguments) {
  const std::string name = macro.kind == Statement::Kind::kMacro ? macro.text : "caller";
  Value caller = Value::undefined("No caller defined");
  Value rest = Value::dict();
  for (const auto& [key, value] : arguments.named) {
    if (key == "caller" && use.caller) {
      caller = value;
    } else if (use.kwargs) {
      rest.entries().set(Value::string(key), value);
    } else {
      raise(fmt::format("macro '{}' takes no keyword argument '{}'", name, key));
    }
  }
  std::vector<Value> more;
  for (std::size_t i = macro.parameters.size(); i < arguments.positional.size(); ++i)
    more.push_back(arguments.positional[i]);
  if (!more.empty() && !use.varargs)
    raise(fmt::format("macro '{}' takes not more than {} argument(s)", name, macro.parameters.size()));
  // A parameter of such a name comes first.
  inner.names.try_emplace("caller", std::move(caller));
  inner.names.try_emplace("kwargs", std::move(rest));
  inner.names.try_emplace("varargs", Value::tuple(std::move(more)));
}

std::string Evaluator::call_macro(const Statement& macro, MacroUse use, const ScopePtr& scope,
                                  Arguments& arguments) {
  const NestingLevel level = nested();
  step();
  const ScopePtr inner = inner_scope(scope);
  bind_parameters(macro, inner, arguments);
  bind_rest(macro, use, *inner, arguments);
  std::string before = std::exchange(out_, {});
  run(macro.body, inner);
  return std::exchange(out_, std::move(before));
}

void Evaluator::run_call_block(const Statement& statement, const ScopePtr& scope) {
  Arguments arguments = evaluate_arguments(statement.expression->arguments, scope);
  // A copy of the scope: the macro may keep its caller.
  const auto caller = [this, &statement, use = use_of(statement), scope](Arguments& given) {
    return Value::string(call_macro(statement, use, scope, given));
  };
  arguments.named.emplace_back("caller", Value::function(caller));
  const Value callee = evaluate(*statement.expression->items[0], scope);
  print(to_text(call(callee, arguments)));
}

Value Evaluator::apply_filters(const Expression* filter, Value input, const ScopePtr& scope) {
  if (filter == nullptr) return input;
  input = apply_filters(filter->items[0].get(), std::move(input), scope);
  Arguments arguments = evaluate_arguments(filter->arguments, scope);
  return apply_filter(filter->text, input, arguments);
}

// --- expressions

Value Evaluator::evaluate(const Expression& expression, const ScopePtr& scope) {
  const NestingLevel level = nested();
  step();
  const auto item = [&](std::size_t i) { return evaluate(*expression.items[i], scope); };
  switch (expression.kind) {
    case Kind::kNone:
      return Value::none();
    case Kind::kBool:
      return Value::boolean(expression.bool_value);
    case Kind::kInteger:
      return Value::integer(expression.int_value);
    case Kind::kFloat:
      return Value::real(expression.float_value);
    case Kind::kString:
      return Value::string(expression.text);
    case Kind::kName:
      return evaluate_name(expression, scope);
    case Kind::kList:
      return Value::list(evaluate_all(expression.items, scope));
    case Kind::kTuple:
      return Value::tuple(evaluate_all(expression.items, scope));
    case Kind::kDict:
      return evaluate_dict(expression, scope);
    case Kind::kMember:
      return get_member(item(0), expression.text);
    case Kind::kIndex:
      return get_index(item(0), item(1));
    case Kind::kSlice:
      return evaluate_slice(expression, scope);
    case Kind::kCall: {
      const Value callee = item(0);
      Arguments arguments = evaluate_arguments(expression.arguments, scope);
      return call(callee, arguments);
    }
    case Kind::kFilter: {
      const Value input = item(0);
      Arguments arguments = evaluate_arguments(expression.arguments, scope);
      return apply_filter(expression.text, input, arguments);
    }
    case Kind::kTest: {
      const Value input = item(0);
      Arguments arguments = evaluate_arguments(expression.arguments, scope);
      return Value::boolean(apply_test(expression.text, input, arguments));
    }
    case Kind::kNot:
      return Value::boolean(!item(0).truth());
    case Kind::kNegative:
      return negative(item(0));
    case Kind::kPositive:
      return binary_operation("+", Value::integer(0), item(0));
    case Kind::kBinary:
      return evaluate_binary(expression, scope);
    case Kind::kCompare:
      return evaluate_compare(expression, scope);
    case Kind::kTernary:
      if (item(1).truth()) return item(0);
      if (expression.items[2] != nullptr) return item(2);
      return Value::undefined("the inline if-expression evaluated to false and no else section was defined.");
  }
  return {};
}

Value Evaluator::evaluate_name(const Expression& expression, const ScopePtr& scope) {
  const Value* found = scope->find(expression.text);
  return found != nullptr ? *found : Value::undefined(fmt::format("'{}' is undefined", expression.text));
}

std::vector<Value> Evaluator::evaluate_all(const std::vector<ExpressionPtr>& items, const ScopePtr& scope) {
  std::vector<Value> values;
  values.reserve(items.size());
  for (const ExpressionPtr& item : items)
    values.push_back(evaluate(*item, scope));
  return values;
}

Value Evaluator::evaluate_dict(const Expression& expression, const ScopePtr& scope) {
  Value dict = Value::dict();
  for (std::size_t i = 0; i + 1 < expression.items.size(); i += 2) {
    const Value key = evaluate(*expression.items[i], scope);
    check_hashable(key);
    dict.entries().set(key, evaluate(*expression.items[i + 1], scope));
  }
  return dict;
}

Value Evaluator::evaluate_slice(const Expression& expression, const ScopePtr& scope) {
  std::vector<Value> parts;
  for (const ExpressionPtr& item : expression.items)
    parts.push_back(item == nullptr ? Value::none() : evaluate(*item, scope));
  return slice(parts[0], parts[1], parts[2], parts[3]);
}

Value Evaluator::evaluate_binary(const Expression& expression, const ScopePtr& scope) {
  Value left = evaluate(*expression.items[0], scope);
  if (expression.text == "and") return left.truth() ? evaluate(*expression.items[1], scope) : left;
  if (expression.text == "or") return left.truth() ? left : evaluate(*expression.items[1], scope);
  const Value right = evaluate(*expression.items[1], scope);
  Value result = binary_operation(expression.text, left, right);
  if (result.is_string() && result.text().size() > kMaxOutputBytes) {
    fail(ErrorKind::kUnsupported, "the chat template makes a string of more than {} MiB",
         kMaxOutputBytes >> 20);
  }
  return result;
}

Value Evaluator::evaluate_compare(const Expression& expression, const ScopePtr& scope) {
  Value left = evaluate(*expression.items[0], scope);
  for (std::size_t i = 0; i < expression.operators.size(); ++i) {
    Value right = evaluate(*expression.items[i + 1], scope);
    if (!compare_operation(expression.operators[i], left, right)) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Arguments Evaluator::evaluate_arguments(const std::vector<Argument>& arguments, const ScopePtr& scope) {
  Arguments values;
  for (const Argument& argument : arguments) {
    Value value = evaluate(*argument.value, scope);
    if (argument.name.empty()) {
      values.positional.push_back(std::move(value));
    } else {
      values.named.emplace_back(argument.name, std::move(value));
    }
  }
  return values;
}

Value Evaluator::call(const Value& callee, Arguments& arguments) {
  callee.check_defined();
  if (callee.is(Value::Kind::kObject)) {  // a recursive loop
    const Value* function = callee.entries().find(Value::string("__call__"));
    if (function != nullptr && function->is(Value::Kind::kFunction)) return function->callee()(arguments);
  }
  if (!callee.is(Value::Kind::kFunction))
    raise(fmt::format("'{}' object is not callable", callee.type_name()));
  return callee.callee()(arguments);
}

}  // namespace llm2mnn::jinja
