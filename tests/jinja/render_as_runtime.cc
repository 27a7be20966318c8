// Reads lines of JSON from stdin, {"template", "messages", "context", "bos", "eos"}, and writes the prompt
// that the model of the runtime gives for each as a JSON string. For the test beside it.

#include <iostream>
#include <string>

#include "base/json.h"
#include "jinja/runtime_model.h"

int main() {
  using llm2mnn::JsonValue;
  for (std::string line; std::getline(std::cin, line);) {
    const JsonValue question = llm2mnn::parse_json(line);
    const auto text = [&](const char* key) { return std::string(question.find(key)->as_string()); };
    llm2mnn::jinja::RuntimeContext context{text("bos"), text("eos"), question.find("context")->as_object()};
    llm2mnn::jinja::ChatInput input;
    input.messages = *question.find("messages");
    std::cout << JsonValue::make_string(render_as_runtime(text("template"), input, context)).dump()
              << std::endl;
  }
  return 0;
}
