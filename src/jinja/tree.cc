#include "jinja/tree.h"

#include <algorithm>
#include <array>

namespace llm2mnn::jinja::tree {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool equal_pointers(const ExpressionPtr& a, const ExpressionPtr& b) {
  if (!a || !b) return !a && !b;
  return equal(*a, *b);
}

}  // namespace

ExpressionPtr clone(const Expression& expression) {
  auto copy = std::make_unique<Expression>();
  copy->kind = expression.kind;
  copy->line = expression.line;
  copy->bool_value = expression.bool_value;
  copy->int_value = expression.int_value;
  copy->float_value = expression.float_value;
  copy->text = expression.text;
  copy->operators = expression.operators;
  for (const auto& item : expression.items)
    copy->items.push_back(clone(item));
  for (const auto& argument : expression.arguments) {
    copy->arguments.push_back({argument.name, clone(argument.value)});
  }
  return copy;
}

ExpressionPtr clone(const ExpressionPtr& expression) { return expression ? clone(*expression) : nullptr; }

ExpressionPtr make(Kind kind) {
  auto result = std::make_unique<Expression>();
  result->kind = kind;
  return result;
}

ExpressionPtr none() { return make(Kind::kNone); }

ExpressionPtr boolean(bool value) {
  auto result = make(Kind::kBool);
  result->bool_value = value;
  return result;
}

ExpressionPtr integer(std::int64_t value) {
  auto result = make(Kind::kInteger);
  result->int_value = value;
  return result;
}

ExpressionPtr string(std::string value) {
  auto result = make(Kind::kString);
  result->text = std::move(value);
  return result;
}

ExpressionPtr name(std::string value) {
  auto result = make(Kind::kName);
  result->text = std::move(value);
  return result;
}

ExpressionPtr member(ExpressionPtr object, std::string attribute) {
  auto result = make(Kind::kMember);
  result->items.push_back(std::move(object));
  result->text = std::move(attribute);
  return result;
}

ExpressionPtr index(ExpressionPtr object, ExpressionPtr key) {
  auto result = make(Kind::kIndex);
  result->items.push_back(std::move(object));
  result->items.push_back(std::move(key));
  return result;
}

ExpressionPtr slice_from(ExpressionPtr object, ExpressionPtr start) {
  auto result = make(Kind::kSlice);
  result->items.push_back(std::move(object));
  result->items.push_back(std::move(start));
  result->items.push_back(nullptr);
  result->items.push_back(nullptr);
  return result;
}

ExpressionPtr binary(ExpressionPtr left, std::string op, ExpressionPtr right) {
  auto result = make(Kind::kBinary);
  result->text = std::move(op);
  result->items.push_back(std::move(left));
  result->items.push_back(std::move(right));
  return result;
}

ExpressionPtr compare(ExpressionPtr left, std::string op, ExpressionPtr right) {
  auto result = make(Kind::kCompare);
  result->operators.push_back(std::move(op));
  result->items.push_back(std::move(left));
  result->items.push_back(std::move(right));
  return result;
}

ExpressionPtr negated(ExpressionPtr value) {
  auto result = make(Kind::kNot);
  result->items.push_back(std::move(value));
  return result;
}

ExpressionPtr test(ExpressionPtr value, std::string name) {
  auto result = make(Kind::kTest);
  result->items.push_back(std::move(value));
  result->text = std::move(name);
  return result;
}

ExpressionPtr filter(ExpressionPtr value, std::string name) {
  auto result = make(Kind::kFilter);
  result->items.push_back(std::move(value));
  result->text = std::move(name);
  return result;
}

ExpressionPtr ternary(ExpressionPtr value, ExpressionPtr condition, ExpressionPtr otherwise) {
  auto result = make(Kind::kTernary);
  result->items.push_back(std::move(value));
  result->items.push_back(std::move(condition));
  result->items.push_back(std::move(otherwise));
  return result;
}

ExpressionPtr list(std::vector<ExpressionPtr> items) {
  auto result = make(Kind::kList);
  result->items = std::move(items);
  return result;
}

Statement output(ExpressionPtr value) {
  Statement result;
  result.kind = Statement::Kind::kOutput;
  result.expression = std::move(value);
  return result;
}

Statement set(ExpressionPtr target, ExpressionPtr value) {
  Statement result;
  result.kind = Statement::Kind::kSet;
  result.target = std::move(target);
  result.expression = std::move(value);
  return result;
}

Statement conditional(ExpressionPtr condition, Block body) {
  Statement result;
  result.kind = Statement::Kind::kIf;
  result.expression = std::move(condition);
  result.body = std::move(body);
  return result;
}

Statement loop(std::vector<std::string> targets, ExpressionPtr iterable, Block body) {
  Statement result;
  result.kind = Statement::Kind::kFor;
  result.targets = std::move(targets);
  result.expression = std::move(iterable);
  result.body = std::move(body);
  return result;
}

Statement macro(std::string name, std::vector<std::string> parameters, Block body) {
  Statement result;
  result.kind = Statement::Kind::kMacro;
  result.text = std::move(name);
  for (auto& parameter : parameters)
    result.parameters.push_back({std::move(parameter), nullptr});
  result.body = std::move(body);
  return result;
}

bool is_name(const Expression& expression, std::string_view name) {
  return expression.kind == Kind::kName && expression.text == name;
}

bool is_messages(const Expression& expression) {
  return expression.kind == Kind::kName && expression.text.find("messages") != std::string::npos;
}

bool is_chain(const Expression& expression) {
  switch (expression.kind) {
    case Kind::kName:
      return true;
    case Kind::kMember:
      return is_chain(*expression.items[0]);
    case Kind::kIndex: {
      const Expression& key = *expression.items[1];
      return is_chain(*expression.items[0]) && (key.kind == Kind::kString || key.kind == Kind::kInteger ||
                                                key.kind == Kind::kNegative || is_chain(key));
    }
    default:
      return false;
  }
}

bool equal(const Expression& a, const Expression& b) {
  const auto equal_arguments = [](const Argument& x, const Argument& y) {
    return x.name == y.name && equal_pointers(x.value, y.value);
  };
  return a.kind == b.kind && a.text == b.text && a.bool_value == b.bool_value && a.int_value == b.int_value &&
         a.operators == b.operators &&
         std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), equal_pointers) &&
         std::equal(a.arguments.begin(), a.arguments.end(), b.arguments.begin(), b.arguments.end(),
                    equal_arguments);
}

std::size_t num_nodes(const Expression& expression) {
  std::size_t count = 0;
  visit(expression, [&](const Expression&) { ++count; });
  return count;
}

void visit(const Expression& expression, const std::function<void(const Expression&)>& visitor) {
  visitor(expression);
  for (const auto& item : expression.items) {
    if (item) visit(*item, visitor);
  }
  for (const auto& argument : expression.arguments) {
    if (argument.value) visit(*argument.value, visitor);
  }
}

namespace {

void visit_block(const Block& block, bool into_loops, bool with_targets,
                 const std::function<void(const Expression&)>& visitor) {
  for (const auto& statement : block) {
    for (const auto* expression : {&statement.expression, &statement.condition, &statement.filter}) {
      if (*expression) visit(**expression, visitor);
    }
    if (with_targets && statement.target) visit(*statement.target, visitor);
    for (const auto& parameter : statement.parameters) {
      if (parameter.default_value) visit(*parameter.default_value, visitor);
    }
    if (statement.kind == Statement::Kind::kFor && !into_loops) continue;
    visit_block(statement.body, into_loops, with_targets, visitor);
    visit_block(statement.otherwise, into_loops, with_targets, visitor);
  }
}

}  // namespace

void visit(const Block& block, bool into_loops, const std::function<void(const Expression&)>& visitor) {
  visit_block(block, into_loops, true, visitor);
}

void visit_read(const Block& block, const std::function<void(const Expression&)>& visitor) {
  visit_block(block, true, false, visitor);
}

bool is_identifier(std::string_view text) {
  constexpr std::array<std::string_view, 9> kWords = {"true", "false", "none", "if", "else",
                                                      "and",  "or",    "not",  "is"};
  if (text.empty() || !is_letter(text[0]) || text == "in") return false;
  if (std::find(kWords.begin(), kWords.end(), text) != kWords.end()) return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return is_letter(c) || is_digit(c); });
}

}  // namespace llm2mnn::jinja::tree
