// Writes the built-in conversations with which templates are proved, one JSON object in each line: {"kind",
// "plain", "messages", "variables"} (tools among the variables). For the tests beside it.

#include <iostream>

#include "base/json.h"
#include "jinja/template_plan.h"

int main() {
  using llm2mnn::JsonValue;
  for (const llm2mnn::jinja::ProofCase& proof : llm2mnn::jinja::proof_cases()) {
    JsonValue::Object variables = proof.input.variables;
    if (proof.input.tools) variables.emplace_back("tools", *proof.input.tools);
    const JsonValue line = JsonValue::make_object({{"kind", JsonValue::make_string(proof.kind)},
                                                   {"plain", JsonValue::make_bool(proof.is_plain)},
                                                   {"messages", proof.input.messages},
                                                   {"variables", JsonValue::make_object(variables)}});
    std::cout << line.dump() << "\n";
  }
  return 0;
}
