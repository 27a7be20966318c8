// Templates from hostile bytes rendered with a small conversation: an end in bounded time, whatever they say.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "jinja/chat.h"
#include "jinja/template.h"

namespace {

llm2mnn::jinja::ChatInput make_input() {
  using llm2mnn::parse_json;
  llm2mnn::jinja::ChatInput input;
  input.messages = parse_json(R"([
    {"role": "user", "content": "What is <b>1 + 1</b>?\n"},
    {"role": "assistant", "content": [{"type": "text", "text": " caf\u00e9 \ud83d\ude00"}],
     "tool_calls": [{"type": "function", "function": {"name": "add", "arguments": {"a": 1, "b": -2.5, "c": null}}}]}])");
  input.tools = parse_json(R"([{"type": "function", "function": {"name": "add", "description": "Adds.",
    "parameters": {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]}}}])");
  input.variables =
      parse_json(R"({"bos_token": "<s>", "eos_token": "</s>", "enable_thinking": true})").as_object();
  return input;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kMaxSize = 1 << 14;  // more takes time and shows nothing new
  if (size > kMaxSize) return 0;
  static const llm2mnn::jinja::ChatInput kInput = make_input();
  try {
    llm2mnn::jinja::render_chat(
        llm2mnn::jinja::parse_template(std::string_view(reinterpret_cast<const char*>(data), size)), kInput);
  } catch (const llm2mnn::Error& error) {
    if (error.kind() == llm2mnn::ErrorKind::kInternal) __builtin_trap();  // hostile input is no bug of ours
  }
  return 0;
}
