#pragma once
// Filters, methods, tests, operators and functions of the model of MNN's chat-template engine.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja/runtime_value.h"

namespace llm2mnn::jinja::runtime {

using Arguments = std::vector<std::pair<std::string, Value>>;  ///< label (or empty) and value

/// Each returns what the engine makes of an unknown name too. @throws Halt for results too large.
Value apply_filter(std::string_view name, const Value& value, const Arguments& arguments);
Value apply_method(std::string_view name, const Value& value, const Arguments& arguments);
Value apply_operator(std::string_view name, const Value& left, const Value& right);
bool passes_test(std::string_view name, const Value& value);
Value slice_of(const Value& value, const Value& begin, const Value& end, const Value& step);
/// No value for a name that is no function.
std::optional<Value> call_function(std::string_view name, const Arguments& arguments);

}  // namespace llm2mnn::jinja::runtime
