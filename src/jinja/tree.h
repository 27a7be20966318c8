#pragma once
// Small builders and questions for the tree of a template, used by the passes of the lowering.

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja/ast.h"

namespace llm2mnn::jinja::tree {

using Kind = Expression::Kind;

ExpressionPtr clone(const Expression& expression);
ExpressionPtr clone(const ExpressionPtr& expression);  ///< null gives null

ExpressionPtr make(Kind kind);
ExpressionPtr none();
ExpressionPtr boolean(bool value);
ExpressionPtr integer(std::int64_t value);
ExpressionPtr string(std::string value);
ExpressionPtr name(std::string value);
ExpressionPtr member(ExpressionPtr object, std::string attribute);
ExpressionPtr index(ExpressionPtr object, ExpressionPtr key);
/// `object[start:]`.
ExpressionPtr slice_from(ExpressionPtr object, ExpressionPtr start);
ExpressionPtr binary(ExpressionPtr left, std::string op, ExpressionPtr right);
ExpressionPtr compare(ExpressionPtr left, std::string op, ExpressionPtr right);
ExpressionPtr negated(ExpressionPtr value);
ExpressionPtr test(ExpressionPtr value, std::string name);
ExpressionPtr filter(ExpressionPtr value, std::string name);
ExpressionPtr ternary(ExpressionPtr value, ExpressionPtr condition, ExpressionPtr otherwise);
ExpressionPtr list(std::vector<ExpressionPtr> items);

template <typename... Values>
ExpressionPtr call(ExpressionPtr callee, Values... values) {
  auto result = make(Kind::kCall);
  result->items.push_back(std::move(callee));
  (result->arguments.push_back({"", std::move(values)}), ...);
  return result;
}

/// `object.method(values...)`.
template <typename... Values>
ExpressionPtr method(ExpressionPtr object, std::string method_name, Values... values) {
  return call(member(std::move(object), std::move(method_name)), std::move(values)...);
}

Statement output(ExpressionPtr value);
Statement set(ExpressionPtr target, ExpressionPtr value);
Statement conditional(ExpressionPtr condition, Block body);
Statement loop(std::vector<std::string> targets, ExpressionPtr iterable, Block body);
Statement macro(std::string name, std::vector<std::string> parameters, Block body);

template <typename... Statements>
Block block(Statements... statements) {
  Block result;
  (result.push_back(std::move(statements)), ...);
  return result;
}

bool is_name(const Expression& expression, std::string_view name);
/// A name, member or index chain: cheap to repeat, without calls.
bool is_chain(const Expression& expression);
/// A variable that holds messages, as its name says.
bool is_messages(const Expression& expression);
bool equal(const Expression& a, const Expression& b);
std::size_t num_nodes(const Expression& expression);
/// Calls `visit` for the expression and all below it.
void visit(const Expression& expression, const std::function<void(const Expression&)>& visit);
/// Calls `visit` for all expressions of a block, those of inner loops only when `into_loops`.
void visit(const Block& block, bool into_loops, const std::function<void(const Expression&)>& visit);
/// Calls `visit` for all expressions of a block but the targets of its assignments.
void visit_read(const Block& block, const std::function<void(const Expression&)>& visit);
/// Whether `text` is an identifier that the runtime reads as one (no literal, no operator word).
bool is_identifier(std::string_view text);

}  // namespace llm2mnn::jinja::tree
