#pragma once
// Writes a tree as template source in the dialect of MNN's runtime: every text is a string literal between
// trimmed tags (so that no rule about blanks can matter), every operand that is not simple has parentheses,
// and a member, index or call of anything but a chain of names goes through `namespace(v=...).v`, because the
// runtime ignores what follows a parenthesis or a literal.

#include <string>

#include "jinja/ast.h"

namespace llm2mnn::jinja {

std::string print_template(const Block& block);
std::string print_expression(const Expression& expression);

}  // namespace llm2mnn::jinja
