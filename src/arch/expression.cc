#include "arch/expression.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <muParser.h>

#include "base/error.h"

namespace llm2mnn {
namespace {

constexpr std::size_t kMaxExpressionBytes = 1000;  // a longer formula is a mistake or an attack

double remainder_of(double a, double b) { return std::fmod(a, b); }
double negation(double a) { return a == 0 ? 1 : 0; }

struct Function {
  std::string_view name;
  double (*compute)(double);
};
constexpr std::array kFunctions = {
    Function{"sqrt", [](double a) { return std::sqrt(a); }},
    Function{"exp", [](double a) { return std::exp(a); }},
    Function{"ln", [](double a) { return std::log(a); }},
    Function{"abs", [](double a) { return std::abs(a); }},
    Function{"floor", [](double a) { return std::floor(a); }},
    Function{"ceil", [](double a) { return std::ceil(a); }},
};
double min_of(double a, double b) { return std::min(a, b); }
double max_of(double a, double b) { return std::max(a, b); }

mu::Parser make_parser(const std::string& text, const std::vector<std::string>& words) {
  mu::Parser parser;
  parser.ClearFun();    // muParser has more; a file uses what the guide lists
  parser.ClearConst();  // _pi, _e
  parser.DefineOprt("%", remainder_of, mu::prMUL_DIV, mu::oaLEFT);
  parser.DefineInfixOprt("!", negation);
  for (const Function& function : kFunctions)
    parser.DefineFun(std::string(function.name), function.compute);
  parser.DefineFun("min", min_of);
  parser.DefineFun("max", max_of);
  for (std::size_t i = 0; i < words.size(); ++i)
    parser.DefineConst(words[i], static_cast<double>(i));
  parser.SetExpr(text);
  return parser;
}

void refuse_what_we_do_not_offer(const std::string& text) {
  if (text.empty()) fail(ErrorKind::kFormat, "the expression is empty");
  if (text.size() > kMaxExpressionBytes)
    fail(ErrorKind::kFormat, "the expression has {} characters, at most {} are read", text.size(),
         kMaxExpressionBytes);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c < 0x20 || c > 0x7E || c == '"')
      fail(ErrorKind::kFormat, "character {} of expression {} is not allowed", i + 1, shown(text));
    if (c != '=') continue;
    if (i + 1 < text.size() && text[i + 1] == '=') {
      ++i;
    } else if (i == 0 || std::string_view("<>!").find(text[i - 1]) == std::string_view::npos) {
      fail(ErrorKind::kFormat, "expression {} assigns with '='; compare with '=='", shown(text));
    }
  }
}

[[noreturn]] void fail_parser(const std::string& text, const mu::Parser::exception_type& error) {
  // muParser counts from 0 and says -1 for the expression as a whole.
  std::string what = error.GetMsg();
  while (!what.empty() && (what.back() == '.' || what.back() == '\n'))
    what.pop_back();
  fail(ErrorKind::kFormat, "expression {}: {}", shown(text), shown(what));
}

}  // namespace

std::vector<std::string> Expression::functions() {
  std::vector<std::string> names = {"min", "max"};
  for (const Function& function : kFunctions)
    names.emplace_back(function.name);
  return names;
}

Expression Expression::constant(double value) {
  Expression result;
  result.text_ = fmt::format("{}", value);
  result.constant_ = value;
  return result;
}

Expression Expression::parse(std::string text, std::vector<std::string> words) {
  refuse_what_we_do_not_offer(text);
  Expression result;
  result.constant_.reset();
  result.text_ = std::move(text);
  result.words_ = std::move(words);
  try {
    mu::Parser parser = make_parser(result.text_, result.words_);
    for (const auto& [name, pointer] : parser.GetUsedVar())
      result.variables_.push_back(name);
    // Names alone do not exercise the whole grammar: evaluate once, with ones.
    std::vector<double> ones(result.variables_.size(), 1.0);
    for (std::size_t i = 0; i < ones.size(); ++i)
      parser.DefineVar(result.variables_[i], &ones[i]);
    int num_results = 0;
    const double* values = parser.Eval(num_results);
    if (result.variables_.empty() && num_results == 1 && std::isfinite(values[0]))
      result.constant_ = values[0];
    if (num_results != 1) fail(ErrorKind::kFormat, "expression {} is a list", shown(result.text_));
  } catch (const mu::Parser::exception_type& error) {
    fail_parser(result.text_, error);
  }
  return result;
}

double Expression::evaluate(const std::function<double(const std::string&)>& value) const {
  // Most are a number or a name, and building a parser costs more than all the rest.
  if (constant_.has_value()) return *constant_;
  if (is_name()) return value(text_);
  std::vector<double> values;
  values.reserve(variables_.size());
  for (const std::string& name : variables_)
    values.push_back(value(name));
  try {
    mu::Parser parser = make_parser(text_, words_);
    for (std::size_t i = 0; i < values.size(); ++i)
      parser.DefineVar(variables_[i], &values[i]);
    const double result = parser.Eval();
    if (std::isfinite(result)) return result;
  } catch (const mu::Parser::exception_type& error) {
    fail_parser(text_, error);
  }
  constexpr std::size_t kMaxShown = 4;
  std::string inputs;
  for (std::size_t i = 0; i < std::min(values.size(), kMaxShown); ++i)
    inputs += fmt::format("{}{} = {}", i == 0 ? " with " : ", ", variables_[i], values[i]);
  fail(ErrorKind::kFormat, "expression {}{} has no finite value", shown(text_), inputs);
}

}  // namespace llm2mnn
