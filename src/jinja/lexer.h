#pragma once
// Cuts a template into text and the tokens of its tags, with the whitespace rules of Jinja 3.1 under
// trim_blocks and lstrip_blocks.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace llm2mnn::jinja {

struct Token {
  enum class Kind : std::uint8_t {
    kText,         ///< text between tags, trimmed
    kOutputBegin,  ///< {{
    kOutputEnd,    ///< }}
    kBlockBegin,   ///< {%
    kBlockEnd,     ///< %}
    kName,
    kString,  ///< escapes undone
    kInteger,
    kFloat,
    kOperator,  ///< text: one of + - * / // % ** ~ == != < <= > >= = . : | , ; ( ) [ ] { }
    kEnd,
  };
  Kind kind = Kind::kEnd;
  std::uint32_t line = 0;  ///< from 1
  std::string text;        ///< of a number: its digits without underscores
};

/// The tokens of `source`, kEnd last. Comments are gone; raw blocks are text.
/// @throws Error kFormat "line N: ...".
std::vector<Token> tokenize(std::string_view source);

}  // namespace llm2mnn::jinja
