#pragma once
// Tokens of the model of MNN's chat-template engine, with that engine's rules for blanks around tags.

#include <string>
#include <string_view>
#include <vector>

namespace llm2mnn::jinja::runtime {

enum class TokenKind {
  kText,
  kPrintBegin,
  kPrintEnd,
  kTagBegin,
  kTagEnd,
  kName,
  kString,
  kNumber,
  kSymbol,
  kMark,
  kEnd
};

/// `kMark` are brackets, comma, colon and dot; `kSymbol` is any other character (or one of == != <= >=).
struct Token {
  TokenKind kind;
  std::string text;
};

/// Ends with kEnd. Accepts any bytes.
std::vector<Token> read_tokens(std::string_view source);

}  // namespace llm2mnn::jinja::runtime
