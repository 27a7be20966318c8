#pragma once
// Rewrites a chat template into the subset of Jinja that MNN's runtime renders as Jinja would.

#include <string>
#include <vector>

#include "jinja/template.h"

namespace llm2mnn::jinja {

struct LoweredTemplate {
  std::string text;  ///< template source for the runtime
  std::vector<std::string>
      changes;                      ///< one line each, unique: "`x or y` as a value became a conditional" ...
  std::vector<std::string> limits;  ///< constructs that have no rewrite, with their lines
};

/// Always the text of a printer: blanks, comments and marks of the source are gone.
/// @throws Error as parse_template.
LoweredTemplate lower_template(std::string_view source);

}  // namespace llm2mnn::jinja
