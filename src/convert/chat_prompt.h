#pragma once
// The chat template of a checkpoint or of a package, for the `template` command.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/chat.h"
#include "jinja/template_plan.h"

namespace llm2mnn {

/// A conversation as `template --messages` takes it: a list of messages, or an object with `messages` and, if
/// wanted, `tools`, `documents`, `add_generation_prompt` (true by default) and further template variables.
/// @throws Error kFormat for anything else.
jinja::ChatInput parse_chat_input(const JsonValue& value);

/// The prompt. A checkpoint's template is rendered as Hugging Face does it; a package's as MNN's runtime
/// does. Reads no weights.
/// @throws Error kFormat when there is no template, when the template refuses the conversation (its message
/// is the error's), or for a package that is asked for `add_generation_prompt` false, which the runtime
/// cannot.
std::string render_prompt(const std::filesystem::path& dir, const jinja::ChatInput& input);

/// What an export of the checkpoint `dir` writes as its template, and why.
jinja::TemplatePlan plan_template_of(const std::filesystem::path& dir);

}  // namespace llm2mnn
