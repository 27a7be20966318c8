#include "tokenizer/chat_setup.h"

#include <algorithm>

namespace llm2mnn {

const std::string& chat_template_for(const TokenizerConfig& config, bool has_tools) {
  const auto& templates = config.chat_templates;
  const auto it = std::find_if(templates.begin(), templates.end(),
                               [](const auto& entry) { return entry.first == "tool_use"; });
  return has_tools && it != templates.end() ? it->second : config.chat_template;
}

JsonValue::Object special_token_variables(const TokenizerConfig& config) {
  JsonValue::Object variables;
  for (const auto& [name, text] : config.named_tokens)
    variables.emplace_back(name, JsonValue::make_string(text));
  return variables;
}

}  // namespace llm2mnn
