#pragma once
// Parses Jinja templates.

#include <string>
#include <string_view>

#include "jinja/ast.h"

namespace llm2mnn::jinja {

/// A parsed template. Nesting is limited, so that no template overflows the stack.
struct Template {
  Block body;
};

/// Parses with `trim_blocks` and `lstrip_blocks`, as Hugging Face's `apply_chat_template` does; one final
/// newline of the source is dropped (Jinja's keep_trailing_newline is off).
/// @throws Error kFormat "line N: ..." for a syntax error; kUnsupported names a statement that chat templates
/// cannot use (include, import, extends, block).
Template parse_template(std::string_view source);

}  // namespace llm2mnn::jinja
