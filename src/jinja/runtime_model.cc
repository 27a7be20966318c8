#include "jinja/runtime_model.h"

#include <algorithm>
#include <functional>
#include <map>

#include "base/nesting.h"
#include "jinja/runtime_functions.h"
#include "jinja/runtime_parser.h"

namespace llm2mnn::jinja {
namespace runtime {
namespace {

constexpr int kMaxDepth = 400;
constexpr std::size_t kMaxWork = 64u << 20;  // units: about a byte made, or 1/64 of a node

class Renderer {
 public:
  /// `undefined` is what a name without a value gives; a template can change it for all later renderings.
  Renderer(const Program& program, Value& undefined, Value defaults, Value context)
      : program_(program), undefined_(undefined) {
    scopes_.push_back(std::move(defaults));
    scopes_.push_back(std::move(context));
  }

  std::string run() {
    std::string out;
    render(program_.roots, out);
    return out;
  }

 private:
  using Kind = Expression::Kind;

  void spend(std::size_t units) {
    if (work_ += units; work_ > kMaxWork) throw Halt{};
  }

  NestingLevel nested() {
    return {depth_, kMaxDepth, [] { throw Halt{}; }};
  }

  const Value* find(std::string_view name, std::size_t& scope) const {
    for (scope = scopes_.size(); scope-- > 0;)
      if (const auto* found = scopes_[scope].find(name)) return found;
    return nullptr;
  }

  Value look_up(std::string_view name) {
    std::size_t scope = 0;
    const auto* found = find(name, scope);
    return found ? *found : undefined_;
  }

  void set(std::size_t scope, std::string_view name, Value value) {
    spend(scopes_[scope].size());
    scopes_[scope] = scopes_[scope].with_member(name, std::move(value));
  }

  // Statements

  void render(const std::vector<int>& body, std::string& out) {
    const NestingLevel level = nested();
    for (const int id : body)
      render(program_.statements[static_cast<std::size_t>(id)], out);
  }

  void render(const Statement& statement, std::string& out) {
    spend(64);
    switch (statement.kind) {
      case Statement::Kind::kText:
        spend(statement.text.size());
        out += statement.text;
        break;
      case Statement::Kind::kPrint:
        print(evaluate(statement.subject), out);
        break;
      case Statement::Kind::kSet:
        assign(statement);
        break;
      case Statement::Kind::kFor:
        loop(statement, out);
        break;
      case Statement::Kind::kIf:
        render(evaluate(statement.subject).is_truthy() ? statement.body : statement.otherwise, out);
        break;
      case Statement::Kind::kMacro:
        macros_[statement.text] = &statement;
        break;
    }
  }

  void print(const Value& value, std::string& out) {
    if (value.is_undefined()) return;
    const std::string text = value.is_text() ? value.text() : compact_json(value);
    spend(text.size());
    out += text;
  }

  // A name in the innermost scope, or a member of a variable where that is; other targets are ignored.
  void assign(const Statement& statement) {
    Value value = evaluate(statement.value);
    const auto& target = node(statement.subject);
    if (target.kind == Kind::kVariable) set(scopes_.size() - 1, target.name, std::move(value));
    if (target.kind != Kind::kMember || node(target.operands[0]).kind != Kind::kVariable) return;
    const auto& name = node(target.operands[0]).name;
    std::size_t scope = 0;
    const auto* found = find(name, scope);
    if (found && found->is_null()) return;
    // The member is there, as null, before a namespace becomes a member of itself.
    const auto& source = node(statement.value);
    const bool is_itself = source.kind == Kind::kVariable && source.name == name;
    if (is_itself && !value.find(target.name)) value = value.with_member(target.name, {});
    const Value changed = (found ? *found : undefined_).with_member(target.name, std::move(value));
    if (!found) undefined_ = changed;  // the engine has one such value for all names
    set(found ? scope : scopes_.size() - 1, name, changed);
  }

  static Value::Object loop_scope(const Statement& statement, const Value& item) {
    const auto& names = statement.names;
    Value::Object scope;
    if (names.size() > 1 && item.items().size() >= names.size()) {
      for (std::size_t i = 0; i < names.size(); ++i)
        scope.emplace_back(names[i], item.items()[i]);
    } else if (!names.empty()) {
      scope.emplace_back(names[0], item);
    }
    return scope;
  }

  void loop(const Statement& statement, std::string& out) {
    const Value subject = evaluate(statement.subject);
    if (subject.is_undefined()) return;
    Value::Array items = subject.items();
    for (const auto& member : subject.members())
      items.push_back(Value::of_text(member.first));
    if (subject.is_object())
      std::ranges::sort(items, {}, [](const Value& key) { return std::string_view(key.text()); });
    if (statement.value != kNone)
      std::erase_if(items, [&](const Value& item) {
        scopes_.push_back(Value::of_object(loop_scope(statement, item)));
        const bool kept = evaluate(statement.value).is_truthy();
        scopes_.pop_back();
        return !kept;
      });
    for (std::size_t i = 0; i < items.size(); ++i) {
      spend(256);
      auto scope = loop_scope(statement, items[i]);
      Value state = Value::of_object({{"index0", Value::of_size(i)},
                                      {"index", Value::of_size(i + 1)},
                                      {"first", Value::of_bool(i == 0)},
                                      {"last", Value::of_bool(i + 1 == items.size())},
                                      {"length", Value::of_size(items.size())}});
      scopes_.push_back(Value::of_object(std::move(scope)).with_member("loop", std::move(state)));
      render(statement.body, out);
      scopes_.pop_back();
    }
  }

  // Expressions

  const Expression& node(int id) const { return program_.expressions[static_cast<std::size_t>(id)]; }

  Value evaluate(int id) {
    if (id == kNone) return {};
    const NestingLevel level = nested();
    spend(64);
    const auto& it = node(id);
    switch (it.kind) {
      case Kind::kLiteral:
        return it.literal;
      case Kind::kVariable:
        return look_up(it.name);
      case Kind::kCall:
        return call(it);
      case Kind::kList:
      case Kind::kObject:
        return display(it);
      case Kind::kChoice:
        return evaluate(evaluate(it.operands[0]).is_truthy() ? it.operands[1] : it.operands[2]);
      default:
        return evaluate_operation(it);
    }
  }

  Value evaluate_operation(const Expression& it) {
    const Value subject = evaluate(it.operands[0]);
    switch (it.kind) {
      case Kind::kMember:
        return member_of(subject, it.name);
      case Kind::kItem:
        return item_of(subject, evaluate(it.operands[1]));
      case Kind::kSlice: {
        const Value begin = evaluate(it.operands[1]), end = evaluate(it.operands[2]);
        return paid(slice_of(subject, begin, end, evaluate(it.operands[3])));
      }
      case Kind::kMethod:
        return paid(apply_method(it.name, subject, arguments(it, 1)));
      case Kind::kFilter:
        return paid(apply_filter(it.name, subject, arguments(it, 1)));
      case Kind::kBinary:
        return paid(apply_operator(it.name, subject, evaluate(it.operands[1])));
      default:
        return Value::of_bool(passes_test(it.name, subject) != it.negated);
    }
  }

  Value paid(Value value) {
    spend(value.text().size() + 16 * value.size());
    return value;
  }

  Value member_of(const Value& value, std::string_view name) const {
    if (const auto* found = value.find(name)) return *found;
    return value.is_array() && name == "length" ? Value::of_size(value.size()) : undefined_;
  }

  static Value item_of(const Value& value, const Value& key) {
    if (value.is_array() && key.is_int()) {
      const auto count = static_cast<std::int64_t>(value.size());
      const auto place = key.to_int() < 0 ? key.to_int() + count : key.to_int();
      if (place >= 0 && place < count) return value.items()[static_cast<std::size_t>(place)];
    }
    const auto* found = key.is_text() ? value.find(key.text()) : nullptr;
    return found ? *found : Value::of_text("");
  }

  Value display(const Expression& it) {
    Value::Array values;
    for (const int operand : it.operands)
      values.push_back(evaluate(operand));
    if (it.kind == Kind::kList) return Value::of_array(std::move(values));
    Value made = Value::of_object({});
    for (std::size_t i = 0; i + 1 < values.size(); i += 2) {
      spend(made.size());
      made = made.with_member(values[i].text(), values[i + 1]);
    }
    return made;
  }

  Arguments arguments(const Expression& it, std::size_t first) {
    Arguments values;
    for (std::size_t i = 0; i < it.labels.size(); ++i)
      values.emplace_back(it.labels[i], evaluate(it.operands[i + first]));
    return values;
  }

  // A macro sees the variables of its caller; arguments too many are not evaluated.
  Value call(const Expression& it) {
    const auto macro = macros_.find(it.name);
    const bool is_function = it.name == "range" || it.name == "namespace" || it.name == "strftime_now";
    if (is_function) return paid(*call_function(it.name, arguments(it, 0)));
    if (macro == macros_.end()) return Value::of_text("");
    const auto& names = macro->second->names;
    const auto* body = &macro->second->body;
    Value scope = Value::of_object({});
    std::size_t next = 0;
    for (std::size_t i = 0; i < it.labels.size(); ++i) {
      if (!it.labels[i].empty())
        scope = scope.with_member(it.labels[i], evaluate(it.operands[i]));
      else if (next < names.size())
        scope = scope.with_member(names[next++], evaluate(it.operands[i]));
    }
    scopes_.push_back(std::move(scope));
    std::string out;
    render(*body, out);
    scopes_.pop_back();
    return Value::of_text(std::move(out));
  }

  const Program& program_;
  Value& undefined_;
  std::vector<Value> scopes_;
  std::map<std::string, const Statement*, std::less<>> macros_;
  int depth_ = 0;
  std::size_t work_ = 0;
};

Value text_part(std::string text) {
  return Value::of_array(
      {Value::of_object({{"type", Value::of_text("text")}, {"text", Value::of_text(std::move(text))}})});
}

Value default_scope(const RuntimeContext& context) {
  Value scope = Value::of_object({{"eos_token", Value::of_text(context.eos_token)}});
  if (!context.bos_token.empty()) scope = scope.with_member("bos_token", Value::of_text(context.bos_token));
  for (const std::string name : {"range", "namespace", "strftime_now"})
    scope = scope.with_member(name, Value::of_text("<function " + name + ">"));
  return scope;
}

// Whether only a list of parts shows its text.
bool wants_parts(const Program& program, Value& undefined, const Value& defaults) {
  const std::string probe = "<__jinja_content_probe__>";
  const auto shows = [&](Value content) {
    Value message = Value::of_object({{"role", Value::of_text("user")}, {"content", std::move(content)}});
    Value scope = Value::of_object({{"messages", Value::of_array({std::move(message)})}});
    return Renderer(program, undefined, defaults, std::move(scope)).run().find(probe) != std::string::npos;
  };
  const bool shows_text = shows(Value::of_text(probe));
  return shows(text_part(probe)) && !shows_text;
}

Value messages_as_given(const JsonValue& list, bool as_parts) {
  Value::Array messages;
  const Value given = Value::of_json(list);
  for (const auto& message : given.items()) {
    const auto* content = message.find("content");
    const bool wraps = as_parts && content && content->is_text() && !content->text().empty();
    messages.push_back(wraps ? message.with_member("content", text_part(content->text())) : message);
  }
  return Value::of_array(std::move(messages));
}

std::string render_chat_template(std::string_view source, const ChatInput& input,
                                 const RuntimeContext& context) {
  const Program program = parse_program(source);
  const Value defaults = default_scope(context);
  Value undefined = Value::undefined();
  Value scope = Value::of_object({});
  for (const auto& [name, value] : context.context)
    scope = scope.with_member(name, Value::of_json(value));
  if (input.tools) scope = scope.with_member("tools", Value::of_json(*input.tools));
  if (input.documents) scope = scope.with_member("documents", Value::of_json(*input.documents));
  for (const auto& [name, value] : input.variables)
    scope = scope.with_member(name, Value::of_json(value));
  scope = scope.with_member("messages",
                            messages_as_given(input.messages, wants_parts(program, undefined, defaults)));
  scope = scope.with_member("add_generation_prompt", Value::of_bool(true));
  return Renderer(program, undefined, defaults, std::move(scope)).run();
}

}  // namespace
}  // namespace runtime

std::string render_as_runtime(std::string_view chat_template, const ChatInput& input,
                              const RuntimeContext& context) {
  try {
    return runtime::render_chat_template(chat_template, input, context);
  } catch (const runtime::Halt&) {
    return std::string(kRuntimeFails);
  }
}

}  // namespace llm2mnn::jinja
