#pragma once
// Numbers derived from config keys: "query_pre_attn_scalar ^ -0.5", "(i + 1) % 6 == 0 ? full : sliding".
// muParser, with these additions: `%` is the remainder, `!` the negation, floor(x) and ceil(x). Comparisons
// give 0 or 1. Assignment and lists, which muParser knows, are refused.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llm2mnn {

/// A parsed expression; immutable, cheap to copy.
class Expression {
 public:
  Expression() = default;
  /// Names of the functions that expressions may call: one argument each, min and max two.
  static std::vector<std::string> functions();
  /// A plain number.
  static Expression constant(double value);
  /// Parses `text`. `words` are constants with their index as value (a menu).
  /// @throws Error(kFormat) with the position for anything that is not one expression.
  static Expression parse(std::string text, std::vector<std::string> words = {});

  /// The names it reads, sorted, without the words.
  const std::vector<std::string>& variables() const { return variables_; }
  /// As written.
  const std::string& text() const { return text_; }
  /// Its value when it reads no name.
  std::optional<double> constant_value() const { return constant_; }
  bool is_zero() const { return constant_ == 0.0; }
  /// Whether it is one name and nothing else.
  bool is_name() const { return variables_.size() == 1 && variables_.front() == text_; }
  /// The value with each variable taken from `value`.
  /// @throws Error(kFormat) when the result is not finite.
  double evaluate(const std::function<double(const std::string&)>& value) const;

 private:
  std::string text_ = "0";
  std::vector<std::string> words_;
  std::vector<std::string> variables_;
  std::optional<double> constant_ = 0;  // the value when there are no variables
};

}  // namespace llm2mnn
