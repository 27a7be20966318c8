#include "convert/chat_prompt.h"

#include <utility>

#include "base/error.h"
#include "convert/inspect.h"
#include "convert/package_tokenizer.h"
#include "tokenizer/chat_setup.h"
#include "tokenizer/source.h"
#include "tokenizer/tokenizer_package.h"

namespace llm2mnn {

namespace {

const JsonValue& list_member(const JsonValue& value, std::string_view key) {
  if (!value.is_array()) fail(ErrorKind::kFormat, "{}: expected a list", key);
  return value;
}

std::string render_package_prompt(const std::filesystem::path& dir, const jinja::ChatInput& input) {
  if (!input.add_generation_prompt) {
    fail(ErrorKind::kUnsupported,
         "add_generation_prompt: false is not possible in a package: the runtime always adds the generation "
         "prompt");
  }
  const PackageTokenizer package = load_package_tokenizer(dir);
  if (package.chat_template.empty())
    fail(ErrorKind::kFormat, "the package {} has no chat template", shown(dir.string()));
  std::string prompt = jinja::render_as_runtime(package.chat_template, input, package.context);
  if (prompt == jinja::kRuntimeFails) {
    fail(ErrorKind::kUnsupported,
         "the chat template of the package {}: expected one that the runtime renders, found one on which it "
         "crashes or "
         "does not end; export again with --chat_template FILE",
         shown(dir.string()));
  }
  return prompt;
}

}  // namespace

jinja::ChatInput parse_chat_input(const JsonValue& value) {
  jinja::ChatInput input;
  if (value.is_array()) {
    input.messages = value;
    return input;
  }
  if (!value.is_object() || value.find("messages") == nullptr) {
    fail(ErrorKind::kFormat, "expected a list of messages, or an object with 'messages'");
  }
  for (const auto& [key, member] : value.as_object()) {
    if (key == "messages") {
      input.messages = list_member(member, key);
    } else if (key == "tools" || key == "documents") {
      if (!member.is_null()) (key == "tools" ? input.tools : input.documents) = list_member(member, key);
    } else if (key == "add_generation_prompt") {
      if (!member.is_bool()) fail(ErrorKind::kFormat, "{}: expected true or false", key);
      input.add_generation_prompt = member.as_bool();
    } else {
      input.variables.emplace_back(key, member);
    }
  }
  return input;
}

std::string render_prompt(const std::filesystem::path& dir, const jinja::ChatInput& input) {
  if (is_package(dir)) return render_package_prompt(dir, input);
  const TokenizerConfig config = load_tokenizer_config(dir);
  const std::string& source = chat_template_for(config, input.tools.has_value());
  if (source.empty()) fail(ErrorKind::kFormat, "the checkpoint {} has no chat template", shown(dir.string()));
  jinja::ChatInput full = input;
  full.variables = special_token_variables(config);
  for (const auto& variable : input.variables) {  // the caller's hide the tokenizer's
    std::erase_if(full.variables, [&](const auto& known) { return known.first == variable.first; });
    full.variables.push_back(variable);
  }
  const jinja::ChatPrompt prompt = jinja::render_chat(jinja::parse_template(source), full);
  if (prompt.refused) fail(ErrorKind::kFormat, "the chat template refuses this: {}", shown(prompt.text, 300));
  return prompt.text;
}

jinja::TemplatePlan plan_template_of(const std::filesystem::path& dir) {
  if (is_package(dir))
    fail(ErrorKind::kInvalidArgument, "--lowered: {} is a package; give the checkpoint", shown(dir.string()));
  const TokenizerSource source = load_tokenizer_source(dir);
  if (source.config.chat_template.empty()) {
    fail(ErrorKind::kFormat, "the checkpoint {} has no chat template", shown(dir.string()));
  }
  return plan_chat_template(source);
}

}  // namespace llm2mnn
