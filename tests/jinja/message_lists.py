"""Conversations to render: (kind, plain, messages, variables)."""
import json


def message(role, content, **more):
    return {"role": role, "content": content, **more}


WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "Current weather of a \"city\"",
    "parameters": {"type": "object", "properties": {
        "city": {"type": "string", "description": "Name of the city"},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "description": "Unit"}},
        "required": ["city"]}}}
SEARCH = {"type": "function", "function": {
    "name": "search", "description": "Searches",
    "parameters": {"type": "object", "required": ["query"], "properties": {
        "query": {"description": "text", "type": "string"}, "limit": {"type": "integer", "default": 3},
        "filters": {"type": "object", "properties": {"zone": {"type": "string"}, "age": {"type": "number"}}},
        "tags": {"type": "array", "items": {"type": "string"}}}}}}


def call(name, arguments, identity="abcdefghi", as_text=False):
    arguments = json.dumps(arguments) if as_text else arguments
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


def tool_talk(as_text, second=False):
    calls = [call("get_weather", {"city": "Paris", "unit": "celsius"}, as_text=as_text)]
    results = [message("tool", "{\"temp\": 21}", tool_call_id="abcdefghi", name="get_weather")]
    if second:
        calls.append(call("search", {"query": "news \"today\"\né", "limit": 2}, "bcdefghij", as_text))
        results.append(message("tool", "none found", tool_call_id="bcdefghij", name="search"))
    return [message("user", "Weather in Paris?"), {"role": "assistant", "content": "", "tool_calls": calls}, *results]


LONG = " ".join(f"word{i} <|x|> {{{{ y }}}} {{% z %}}\n" for i in range(300))
TOOLS = [WEATHER, SEARCH]

CASES = [
    ("user", True, [message("user", "Hi there")], {}),
    ("system", True, [message("system", "Be brief."), message("user", "Hello")], {}),
    ("multi-turn", True, [message("user", "a"), message("assistant", "b"), message("user", "c")], {}),
    ("system, multi-turn", True, [message("system", "s"), message("user", "a"), message("assistant", "b"),
                                  message("user", "c"), message("assistant", "d"), message("user", "e")], {}),
    ("blanks", True, [message("system", " s \n"), message("user", "\n a "), message("assistant", " b\n\n"),
                      message("user", "\tc\n")], {}),
    ("empty system", True, [message("system", ""), message("user", "Hello")], {}),
    ("unicode", True, [message("user", "é e\u0301 中文 🙂🏽 العربية \u2028 \u00a0x"), message("assistant", "ÄÖÜ ß"),
                       message("user", "ζ")], {}),
    ("long", True, [message("system", LONG), message("user", LONG), message("assistant", LONG), message("user", "x")], {}),
    ("markup", True, [message("user", "<|im_end|> </s> [INST] \"quotes\" 'single' \\n {{x}}"),
                      message("assistant", "<b>&amp;</b>"), message("user", "`code`")], {}),
    ("thought in answer", False, [message("user", "a"), message("assistant", "<think>\nhm\n</think>\n\nb"),
                                  message("user", "c")], {}),
    ("reasoning_content", False, [message("user", "a"), message("assistant", "b", reasoning_content="hm"),
                                  message("user", "c")], {}),
    ("thinking off", False, [message("user", "a")], {"enable_thinking": False}),
    ("thinking on", False, [message("system", "s"), message("user", "a")], {"enable_thinking": True}),
    ("tools", False, [message("user", "Weather?")], {"tools": TOOLS}),
    ("tools, system", False, [message("system", "s"), message("user", "Weather?")], {"tools": [WEATHER]}),
    ("tool call", False, tool_talk(False), {"tools": TOOLS}),
    ("tool call as text", False, tool_talk(True), {"tools": TOOLS}),
    ("two tool calls", False, tool_talk(False, True), {"tools": TOOLS}),
    ("tool call, then answer", False, [*tool_talk(False), message("assistant", "21 degrees"), message("user", "Thanks")],
     {"tools": TOOLS}),
    ("tool call without tools", False, tool_talk(False), {}),
    ("content parts", False, [message("user", [{"type": "text", "text": "Hi "}, {"type": "text", "text": "there"}])], {}),
    ("content parts, multi-turn", False, [message("system", [{"type": "text", "text": "s"}]),
                                          message("user", [{"type": "text", "text": "a"}]),
                                          message("assistant", [{"type": "text", "text": "b"}]),
                                          message("user", [{"type": "text", "text": "c"}])], {}),
    ("image", False, [message("user", [{"type": "image"}, {"type": "text", "text": "What is it?"}])], {}),
    ("blank characters", True, [message("system", "\u3000s\u00a0\n"), message("user", " \u2003a\u2028"),
                                message("assistant", "\x0bb\x0c\x85"), message("user", "c\u00a0\u00a0")], {}),
    ("empty answer", True, [message("user", "a"), message("assistant", ""), message("user", "c")], {}),
    ("last is assistant", True, [message("user", "a"), message("assistant", "b")], {}),
    ("many turns", True, [message(role, f"{role} {i}") for i in range(12) for role in ("user", "assistant")]
     + [message("user", "end")], {}),
    ("content none", False, [message("user", "a"), message("assistant", None, tool_calls=[call("f", {"x": 1.5, "y": None,
      "z": [True, {"k": "v'\""}], "w": {}})]), message("tool", "1", tool_call_id="abcdefghi", name="f")], {}),
    ("tool without parameters", False, [message("user", "a")], {"tools": [
        {"type": "function", "function": {"name": "now", "description": "Time", "parameters": {
            "type": "object", "properties": {}}}}]}),
    ("thinking off, multi-turn", False, [message("system", "s"), message("user", "a"), message("assistant", "b"),
                                         message("user", "c")], {"enable_thinking": False}),
    ("tool result as parts", False, [*tool_talk(False)[:2], message("tool", [{"type": "text", "text": "21"}],
      tool_call_id="abcdefghi", name="get_weather")], {"tools": TOOLS}),
    ("developer", False, [message("developer", "Be brief."), message("user", "Hello")], {}),
]
