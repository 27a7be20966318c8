#include "jinja/chat.h"

#include <array>
#include <cstdlib>
#include <ctime>

#include "base/error.h"
#include "jinja/evaluator.h"

namespace llm2mnn::jinja {

namespace {

/// Local time, or what LLM2MNN_NOW says.
std::tm current_time() {
  std::tm now{};
  const char* fixed = std::getenv("LLM2MNN_NOW");
  if (fixed != nullptr && strptime(fixed, "%Y-%m-%d %H:%M:%S", &now) != nullptr) {
    std::tm normal = now;
    normal.tm_isdst = -1;
    if (std::mktime(&normal) != -1) return normal;  // fills in the day of the week
  }
  const std::time_t seconds = std::time(nullptr);
  localtime_r(&seconds, &now);
  return now;
}

Value strftime_now(Arguments& arguments) {
  const auto taken = take_arguments("strftime_now", arguments, {"format"});
  if (!taken[0].is_string()) raise("strftime() argument 1 must be str");
  constexpr std::size_t kMaxFormat = 1000;
  if (taken[0].text().size() > kMaxFormat) beyond("a format of the date that is too long");
  const std::tm now = current_time();
  std::array<char, 16 * kMaxFormat> buffer;
  const std::size_t size = std::strftime(buffer.data(), buffer.size(), taken[0].text().c_str(), &now);
  return Value::string(std::string(buffer.data(), size));
}

Value raise_exception(Arguments& arguments) {
  const auto taken = take_arguments("raise_exception", arguments, {"message"});
  raise(to_text(taken[0]));
}

ScopePtr globals_of(const ChatInput& input) {
  const ScopePtr scope = builtin_globals();
  const auto set = [&](const std::string& name, Value value) {
    scope->names.insert_or_assign(name, std::move(value));
  };
  const auto list_or_none = [](const std::optional<JsonValue>& list) {
    return list ? Value::from_json(*list) : Value::none();
  };
  set("raise_exception", Value::function(raise_exception));
  set("strftime_now", Value::function(strftime_now));
  set("messages", Value::from_json(input.messages));
  set("tools", list_or_none(input.tools));
  set("documents", list_or_none(input.documents));
  set("add_generation_prompt", Value::boolean(input.add_generation_prompt));
  for (const auto& [name, value] : input.variables)
    set(name, Value::from_json(value));
  return scope;
}

}  // namespace

ChatPrompt render_chat(const Template& chat_template, const ChatInput& input) {
  try {
    return {false, Evaluator(globals_of(input)).render(chat_template.body)};
  } catch (const TemplateError& error) {
    return {true, error.message};
  }
}

}  // namespace llm2mnn::jinja
