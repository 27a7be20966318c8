#pragma once
// The tree of a Jinja template, as the parser makes it and the evaluator and the lowering read it. The
// grammar is that of Jinja 3.1 with the extensions that Hugging Face switches on (loop controls, `generation`
// blocks).

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace llm2mnn::jinja {

struct Expression;
struct Statement;
using ExpressionPtr = std::unique_ptr<Expression>;
using Block = std::vector<Statement>;

struct Argument {
  std::string name;  ///< of a keyword argument; empty for a positional one
  ExpressionPtr value;
};

/// One expression. Fields that a kind does not name are unused.
struct Expression {
  enum class Kind : std::uint8_t {
    kNone,
    kBool,      ///< bool_value
    kInteger,   ///< int_value
    kFloat,     ///< float_value
    kString,    ///< text, escapes undone
    kName,      ///< text
    kList,      ///< items
    kTuple,     ///< items
    kDict,      ///< items: key, value, key, value ...
    kMember,    ///< items[0] . text
    kIndex,     ///< items[0] [ items[1] ]
    kSlice,     ///< items[0] [ items[1] : items[2] : items[3] ], absent parts null
    kCall,      ///< items[0] ( arguments )
    kFilter,    ///< items[0] | text ( arguments )
    kTest,      ///< items[0] is text ( arguments )
    kNot,       ///< not items[0]
    kNegative,  ///< - items[0]
    kPositive,  ///< + items[0]
    kBinary,    ///< items[0] op items[1]; text: + - * / // % ** ~ and or
    kCompare,   ///< items[0] operators[0] items[1] operators[1] items[2] ...; == != < <= > >= in, "not in"
    kTernary,   ///< items[0] if items[1] else items[2] (null: nothing)
  };
  Kind kind = Kind::kNone;
  std::uint32_t line = 0;  ///< from 1
  bool bool_value = false;
  std::int64_t int_value = 0;
  double float_value = 0;
  std::string text;
  std::vector<ExpressionPtr> items;
  std::vector<std::string> operators;
  std::vector<Argument> arguments;
};

struct Parameter {
  std::string name;
  ExpressionPtr default_value;  ///< may be null
};

/// One piece of a template. Fields that a kind does not name are unused.
struct Statement {
  enum class Kind : std::uint8_t {
    kText,       ///< text, trimmed already (trim_blocks, lstrip_blocks, `-` and `+` marks)
    kOutput,     ///< expression
    kIf,         ///< expression, body, otherwise (an elif is a kIf alone in `otherwise`)
    kFor,        ///< targets, expression, condition (may be null), is_recursive, body, otherwise
    kSet,        ///< target, expression
    kSetBlock,   ///< target, body, filter (an expression whose innermost item is null stands for the body; or
                 ///< null)
    kMacro,      ///< text (the name), parameters, body
    kCallBlock,  ///< parameters, expression (a call), body
    kFilterBlock,  ///< filter, body
    kBreak,
    kContinue,
    kGeneration,  ///< body (Hugging Face's mark around the assistant's tokens: prints its body)
  };
  Kind kind = Kind::kText;
  std::uint32_t line = 0;
  std::string text;
  ExpressionPtr expression;
  ExpressionPtr condition;
  ExpressionPtr filter;
  /// Of kSet and kSetBlock: a name, `ns.attribute` (kMember) or a tuple of names (kTuple).
  ExpressionPtr target;
  std::vector<std::string> targets;  ///< loop variables
  bool is_recursive = false;
  std::vector<Parameter> parameters;
  Block body;
  Block otherwise;
};

}  // namespace llm2mnn::jinja
