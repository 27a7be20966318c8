#include "convert/chat_prompt.h"

#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "convert/inspect.h"
#include "convert/package_names.h"
#include "tokenizer/chat_setup.h"
#include "tokenizer/source.h"
#include "tokenizer/tokenizer_package.h"
#include "verify/runtime_tokenizer.h"

namespace llm2mnn {

namespace {

const JsonValue& list_member(const JsonValue& value, std::string_view key) {
  if (!value.is_array()) fail(ErrorKind::kFormat, "{}: expected a list", key);
  return value;
}

std::string_view text_of(const JsonValue* value) {
  return value != nullptr && value->is_string() ? value->as_string() : std::string_view();
}

// What the package gives the runtime: llm_config.json first, then the tokenizer's own tail.
struct PackageTemplate {
  std::string text;
  jinja::RuntimeContext context;
};

PackageTemplate load_package_template(const std::filesystem::path& dir) {
  PackageTemplate found;
  if (path_exists(dir / kMtokName)) {
    constexpr std::uint64_t kMaxMtokBytes = 64u << 20;  // as for `tokenize`
    const auto tokenizer = verify::RuntimeTokenizer::parse(read_text_file(dir / kMtokName, kMaxMtokBytes));
    found.text = tokenizer.chat_template();
    found.context.bos_token = tokenizer.bos_token();
    found.context.eos_token = tokenizer.eos_token();
  }
  const JsonValue config = load_json(dir / kLlmConfigName);
  const JsonValue* jinja = config.find("jinja");
  if (jinja == nullptr) return found;
  if (const auto text = text_of(jinja->find("chat_template")); !text.empty()) found.text = text;
  if (const auto bos = text_of(jinja->find("bos")); !bos.empty()) found.context.bos_token = bos;
  if (const auto eos = text_of(jinja->find("eos")); !eos.empty()) found.context.eos_token = eos;
  if (const JsonValue* context = jinja->find("context"); context != nullptr && context->is_object()) {
    found.context.context = context->as_object();
  }
  return found;
}

std::string render_package_prompt(const std::filesystem::path& dir, const jinja::ChatInput& input) {
  if (!input.add_generation_prompt) {
    fail(ErrorKind::kUnsupported,
         "add_generation_prompt: false is not possible in a package: the runtime always adds the generation "
         "prompt");
  }
  const PackageTemplate found = load_package_template(dir);
  if (found.text.empty())
    fail(ErrorKind::kFormat, "the package {} has no chat template", shown(dir.string()));
  std::string prompt = jinja::render_as_runtime(found.text, input, found.context);
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
