#pragma once
// A conversation and what a chat template makes of it: the full evaluator with the environment of Hugging
// Face's `apply_chat_template` (transformers 4.57).

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "jinja/template.h"

namespace llm2mnn::jinja {

/// What `apply_chat_template` is called with.
struct ChatInput {
  JsonValue messages;              ///< a list of objects
  std::optional<JsonValue> tools;  ///< a list of JSON schemas
  std::optional<JsonValue> documents;
  bool add_generation_prompt = true;
  /// Further variables (enable_thinking, bos_token, eos_token, ...); they hide what is above.
  JsonValue::Object variables;
};

struct ChatPrompt {
  bool refused =
      false;         ///< the template called raise_exception, or an operation failed as it would in Python
  std::string text;  ///< the prompt, or the message of the refusal
};

/// Renders. Loops and the size of the output are limited (kUnsupported beyond), so a hostile template ends.
/// `strftime_now` uses the local time, or LLM2MNN_NOW ("2026-01-31 12:00:00") when it is set, for tests.
ChatPrompt render_chat(const Template& chat_template, const ChatInput& input);

}  // namespace llm2mnn::jinja
