#include <algorithm>
#include <fmt/format.h>

#include "base/error.h"
#include "base/json.h"
#include "jinja/template_plan.h"

namespace llm2mnn::jinja {

namespace {

constexpr bool kPlain = true, kSpecial = false;

/// A conversation as text: `members` are those of a JSON object: messages, tools, and variables of the
/// template. `@name` stands for one of the texts below, see `expanded`.
struct CaseText {
  std::string_view kind;
  bool is_plain;
  std::string_view members;
};

// The orders of the keys differ on purpose: the runtime's tojson has an order of its own.
constexpr std::string_view kWeather =
    R"({"type":"function","function":{"name":"get_weather","description":"Current weather of a \"city\"",)"
    R"("parameters":{"type":"object","properties":{"city":{"type":"string","description":"Name of the city"},)"
    R"("unit":{"type":"string","enum":["celsius","fahrenheit"],"description":"Unit"}},"required":["city"]}}})";
constexpr std::string_view kSearch =
    R"({"type":"function","function":{"name":"search","description":"Searches","parameters":)"
    R"({"type":"object","required":["query"],"properties":{"query":{"description":"text","type":"string"},)"
    R"("limit":{"type":"integer","default":3},"filters":{"type":"object","properties":)"
    R"({"zone":{"type":"string"},"age":{"type":"number"}}},)"
    R"("tags":{"type":"array","items":{"type":"string"}}}}}})";
constexpr std::string_view kCall = R"({"id":"abcdefghi","type":"function","function":{"name":"get_weather",)"
                                   R"("arguments":{"city":"Paris","unit":"celsius"}}})";
constexpr std::string_view kCallText =
    R"({"id":"abcdefghi","type":"function","function":{"name":"get_weather",)"
    R"("arguments":"{\"city\": \"Paris\", \"unit\": \"celsius\"}"}})";
constexpr std::string_view kSecondCall = R"({"id":"bcdefghij","type":"function","function":{"name":"search",)"
                                         R"("arguments":{"query":"news \"today\"\né","limit":2}}})";
constexpr std::string_view kResult =
    R"({"role":"tool","content":"{\"temp\": 21}","tool_call_id":"abcdefghi","name":"get_weather"})";

constexpr CaseText kCases[] = {
    {"user", kPlain, R"("messages":[{"role":"user","content":"Hi there"}])"},
    {"system", kPlain,
     R"("messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hello"}])"},
    {"multi-turn", kPlain,
     R"("messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},)"
     R"({"role":"user","content":"c"}])"},
    {"system, multi-turn", kPlain,
     R"("messages":[{"role":"system","content":"s"},{"role":"user","content":"a"},)"
     R"({"role":"assistant","content":"b"},{"role":"user","content":"c"},)"
     R"({"role":"assistant","content":"d"},{"role":"user","content":"e"}])"},
    {"blanks", kPlain,
     R"("messages":[{"role":"system","content":" s \n"},{"role":"user","content":"\n a "},)"
     R"({"role":"assistant","content":" b\n\n"},{"role":"user","content":"\tc\n"}])"},
    {"blanks of Unicode", kPlain,
     R"("messages":[{"role":"system","content":"\u3000s\u00a0\n"},)"
     R"({"role":"user","content":" \u2003a\u2028"},{"role":"assistant","content":"\u000bb\u000c\u0085"},)"
     R"({"role":"user","content":"c\u00a0\u00a0"}])"},
    {"empty system", kPlain,
     R"("messages":[{"role":"system","content":""},{"role":"user","content":"Hello"}])"},
    {"empty answer", kPlain,
     R"("messages":[{"role":"user","content":"a"},{"role":"assistant","content":""},)"
     R"({"role":"user","content":"c"}])"},
    {"unicode", kPlain,
     R"("messages":[{"role":"user","content":"é e\u0301 中文 🙂🏽 العربية \u2028 \u00a0x"},)"
     R"({"role":"assistant","content":"ÄÖÜ ß"},{"role":"user","content":"ζ"}])"},
    {"long", kPlain,
     R"("messages":[{"role":"system","content":"@long"},{"role":"user","content":"@long"},)"
     R"({"role":"assistant","content":"@long"},{"role":"user","content":"x"}])"},
    {"many turns", kPlain,
     R"("messages":[{"role":"user","content":"1"},{"role":"assistant","content":"2"},)"
     R"({"role":"user","content":"3"},{"role":"assistant","content":"4"},{"role":"user","content":"5"},)"
     R"({"role":"assistant","content":"6"},{"role":"user","content":"7"},)"
     R"({"role":"assistant","content":"8"},{"role":"user","content":"9"}])"},
    {"markup", kPlain,
     R"("messages":[{"role":"user","content":"<|im_end|> </s> [INST] \"quotes\" 'single' \\n {{x}}"},)"
     R"({"role":"assistant","content":"<b>&amp;</b>"},{"role":"user","content":"`code`"}])"},
    {"last is assistant", kPlain,
     R"("messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}])"},
    {"thought in answer", kSpecial,
     R"("messages":[{"role":"user","content":"a"},)"
     R"({"role":"assistant","content":"<think>\nhm\n</think>\n\nb"},{"role":"user","content":"c"}])"},
    {"reasoning_content", kSpecial,
     R"("messages":[{"role":"user","content":"a"},)"
     R"({"role":"assistant","content":"b","reasoning_content":"hm"},{"role":"user","content":"c"}])"},
    {"thinking off", kSpecial, R"("messages":[{"role":"user","content":"a"}],"enable_thinking":false)"},
    {"thinking on", kSpecial,
     R"("messages":[{"role":"system","content":"s"},{"role":"user","content":"a"}],"enable_thinking":true)"},
    {"thinking off, multi-turn", kSpecial,
     R"("messages":[{"role":"system","content":"s"},{"role":"user","content":"a"},)"
     R"({"role":"assistant","content":"b"},{"role":"user","content":"c"}],"enable_thinking":false)"},
    {"tools", kSpecial, R"("messages":[{"role":"user","content":"Weather?"}],"tools":[@weather,@search])"},
    {"tools, system", kSpecial,
     R"("messages":[{"role":"system","content":"s"},{"role":"user","content":"Weather?"}],)"
     R"("tools":[@weather])"},
    {"tool without parameters", kSpecial,
     R"("messages":[{"role":"user","content":"a"}],"tools":[{"type":"function","function":{"name":"now",)"
     R"("description":"Time","parameters":{"type":"object","properties":{}}}}])"},
    {"tool call", kSpecial,
     R"("messages":[{"role":"user","content":"Weather in Paris?"},)"
     R"({"role":"assistant","content":"","tool_calls":[@call]},@result],"tools":[@weather,@search])"},
    {"tool call as text", kSpecial,
     R"("messages":[{"role":"user","content":"Weather in Paris?"},)"
     R"({"role":"assistant","content":"","tool_calls":[@text_call]},@result],"tools":[@weather,@search])"},
    {"two tool calls", kSpecial,
     R"("messages":[{"role":"user","content":"Weather in Paris?"},)"
     R"({"role":"assistant","content":"","tool_calls":[@call,@second_call]},@result,{"role":"tool",)"
     R"("content":"none found","tool_call_id":"bcdefghij","name":"search"}],"tools":[@weather,@search])"},
    {"tool call, then answer", kSpecial,
     R"("messages":[{"role":"user","content":"Weather in Paris?"},)"
     R"({"role":"assistant","content":"","tool_calls":[@call]},@result,)"
     R"({"role":"assistant","content":"21 degrees"},{"role":"user","content":"Thanks"}],)"
     R"("tools":[@weather,@search])"},
    {"tool call without tools", kSpecial,
     R"("messages":[{"role":"user","content":"Weather in Paris?"},)"
     R"({"role":"assistant","content":"","tool_calls":[@call]},@result])"},
    {"tool call without content", kSpecial,
     R"("messages":[{"role":"user","content":"a"},{"role":"assistant","content":null,"tool_calls":[)"
     R"({"id":"abcdefghi","type":"function","function":{"name":"f","arguments":)"
     R"({"x":1.5,"y":null,"z":[true,{"k":"v'\""}],"w":{}}}}]},)"
     R"({"role":"tool","content":"1","tool_call_id":"abcdefghi","name":"f"}])"},
    {"tool result as parts", kSpecial,
     R"("messages":[{"role":"user","content":"Weather in Paris?"},)"
     R"({"role":"assistant","content":"","tool_calls":[@call]},{"role":"tool","content":)"
     R"([{"type":"text","text":"21"}],"tool_call_id":"abcdefghi","name":"get_weather"}],)"
     R"("tools":[@weather,@search])"},
    {"content parts", kSpecial,
     R"("messages":[{"role":"user","content":[{"type":"text","text":"Hi "},)"
     R"({"type":"text","text":"there"}]}])"},
    {"content parts, multi-turn", kSpecial,
     R"("messages":[{"role":"system","content":[{"type":"text","text":"s"}]},)"
     R"({"role":"user","content":[{"type":"text","text":"a"}]},)"
     R"({"role":"assistant","content":[{"type":"text","text":"b"}]},)"
     R"({"role":"user","content":[{"type":"text","text":"c"}]}])"},
    {"image", kSpecial,
     R"("messages":[{"role":"user","content":[{"type":"image"},{"type":"text","text":"What is it?"}]}])"},
    {"developer", kSpecial,
     R"("messages":[{"role":"developer","content":"Be brief."},{"role":"user","content":"Hello"}])"},
};

std::string long_text() {
  constexpr int kNumLines = 100;
  std::string text;
  for (int i = 0; i < kNumLines; ++i)
    text += fmt::format("word{} <|x|> {{{{ y }}}} {{% z %}}\\n", i);
  return text;
}

/// Replaces the `@name`s.
std::string expanded(std::string_view members) {
  static const std::vector<std::pair<std::string_view, std::string>> kNames = {
      {"weather", std::string(kWeather)},
      {"search", std::string(kSearch)},
      {"call", std::string(kCall)},
      {"text_call", std::string(kCallText)},
      {"result", std::string(kResult)},
      {"second_call", std::string(kSecondCall)},
      {"long", long_text()},
  };
  std::string text;
  for (std::size_t at = 0; at < members.size();) {
    const std::size_t sign = std::min(members.find('@', at), members.size());
    text += members.substr(at, sign - at);
    if (sign == members.size()) break;
    const std::size_t end = members.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", sign + 1);
    const std::string_view name = members.substr(sign + 1, end - sign - 1);
    const auto found =
        std::find_if(kNames.begin(), kNames.end(), [&](const auto& entry) { return entry.first == name; });
    LLM2MNN_CHECK(found != kNames.end());
    text += found->second;
    at = std::min(end, members.size());
  }
  return text;
}

ProofCase parsed(const CaseText& text) {
  ProofCase proof{std::string(text.kind), text.is_plain, {}};
  const JsonValue object = parse_json("{" + expanded(text.members) + "}");
  for (const auto& [key, value] : object.as_object()) {
    if (key == "messages") {
      proof.input.messages = value;
    } else if (key == "tools") {
      proof.input.tools = value;
    } else {
      proof.input.variables.emplace_back(key, value);
    }
  }
  return proof;
}

}  // namespace

const std::vector<ProofCase>& proof_cases() {
  static const std::vector<ProofCase> kParsed = [] {
    std::vector<ProofCase> cases;
    for (const CaseText& text : kCases)
      cases.push_back(parsed(text));
    return cases;
  }();
  return kParsed;
}

}  // namespace llm2mnn::jinja
