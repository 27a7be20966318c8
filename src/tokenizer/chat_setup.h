#pragma once
// What a tokenizer contributes to a chat: its template, and the special tokens that the template sees.

#include <string>

#include "base/json.h"
#include "tokenizer/checkpoint_config.h"

namespace llm2mnn {

/// The template that Hugging Face takes: `tool_use` when there are tools and the checkpoint has it, else
/// `default`. Empty when there is none.
const std::string& chat_template_for(const TokenizerConfig& config, bool has_tools);

/// `bos_token`, `eos_token` ... as variables of the template; tokens that the tokenizer lacks are not
/// defined.
JsonValue::Object special_token_variables(const TokenizerConfig& config);

}  // namespace llm2mnn
