#pragma once
// Python's two ways to format strings.

#include <cstdint>
#include <string>
#include <string_view>

#include "jinja/value.h"

namespace llm2mnn::jinja {

/// `format % values`. Raises as Python does.
Value format_percent(const std::string& format, const Value& values);
/// `format.format(...)` with fields by position or name. Raises as Python does; members and items of fields
/// and specifications within each other are `beyond`.
std::string format_braces(const std::string& format, const Arguments& arguments);

enum class Align : std::uint8_t { kLeft, kRight, kCenter };
/// `text` with `fill`, one character, up to `width` characters. Of two unequal margins the right one is
/// wider.
std::string padded(std::string_view text, std::int64_t width, std::string_view fill, Align align);

}  // namespace llm2mnn::jinja
