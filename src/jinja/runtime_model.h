#pragma once
// A model of the chat-template engine inside MNN's runtime 3.5 to 3.6.1, its differences from Jinja included.
// It shares no code with the parser and the evaluator of this folder: it is what a lowered template is proved
// on. Facts: MNN 3.6.1, transformers/llm/engine/src/tokenizer/jinja.hpp and tokenizer.cpp
// (apply_chat_template).

#include <string>
#include <string_view>

#include "base/json.h"
#include "jinja/chat.h"

namespace llm2mnn::jinja {

/// What the package gives the engine besides the messages.
struct RuntimeContext {
  std::string bos_token, eos_token;  ///< of tokenizer.mtok
  JsonValue::Object context;         ///< `jinja.context` of llm_config.json; hides the two above at rendering
};

/// Returned where the runtime crashes or does not end on a template, and at the model's limits of work and
/// nesting. No prompt begins with NUL.
inline constexpr std::string_view kRuntimeFails{"\0no answer of the runtime", 25};

/// What the runtime's apply_chat_template returns, the content probe included (the runtime always sets
/// add_generation_prompt). Never throws for what a template does.
std::string render_as_runtime(std::string_view chat_template, const ChatInput& input,
                              const RuntimeContext& context);

}  // namespace llm2mnn::jinja
