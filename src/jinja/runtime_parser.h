#pragma once
// Syntax trees of the model of MNN's chat-template engine. Nodes refer to each other by index.

#include <string>
#include <string_view>
#include <vector>

#include "jinja/runtime_value.h"

namespace llm2mnn::jinja::runtime {

inline constexpr int kNone = -1;

struct Expression {
  enum class Kind {
    kLiteral,
    kVariable,
    kMember,  ///< a.name
    kItem,    ///< a[b]
    kSlice,   ///< a[b:c:d]
    kCall,    ///< name(...)
    kMethod,  ///< a.name(...)
    kFilter,  ///< a | name(...)
    kBinary,  ///< a name b
    kTest,    ///< a is name
    kChoice,  ///< b if a else c
    kList,
    kObject  ///< keys and values in turn
  };
  Kind kind = Kind::kLiteral;
  std::string name;
  Value literal;
  std::vector<int> operands;        ///< the object first, then arguments; kNone for a missing bound
  std::vector<std::string> labels;  ///< of a call's arguments; empty for one by position
  bool negated = false;
};

struct Statement {
  enum class Kind { kText, kPrint, kSet, kFor, kIf, kMacro };
  Kind kind = Kind::kText;
  std::string text;                ///< or the macro's name
  std::vector<std::string> names;  ///< loop variables or parameters
  int subject = kNone;             ///< printed, looped over, tested or set
  int value = kNone;               ///< a set's value or a loop's filter
  std::vector<int> body, otherwise;
};

struct Program {
  std::vector<Expression> expressions;
  std::vector<Statement> statements;
  std::vector<int> roots;
};

/// Reads anything. @throws Halt where the runtime would hang, or for a nesting beyond 200.
Program parse_program(std::string_view source);

}  // namespace llm2mnn::jinja::runtime
