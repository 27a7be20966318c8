#include <algorithm>
#include <array>
#include <charconv>

#include "jinja/runtime_value.h"

namespace llm2mnn::jinja::runtime {
namespace {

// A real number as RapidJSON writes it: the shortest digits, plain up to 21 places, then with an exponent.
std::string real_text(double value) {
  std::array<char, 40> buffer{};
  const auto result =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific);
  std::string digits(buffer.data(), result.ptr);
  const bool negative = digits.front() == '-';
  digits.erase(0, negative ? 1 : 0);
  const auto mark = digits.find('e');
  if (mark == std::string::npos)  // not finite: the writer refuses it
    return "";
  const int exponent = std::stoi(digits.substr(mark + 1));
  digits.resize(mark);
  std::erase(digits, '.');
  if (value == 0) return negative ? "-0.0" : "0.0";
  const int count = static_cast<int>(digits.size());
  const int point = exponent + 1;  // digits before the decimal point
  if (count <= point && point <= 21)
    digits.append(static_cast<std::size_t>(point - count), '0').append(".0");
  else if (0 < point && point <= 21)
    digits.insert(static_cast<std::size_t>(point), 1, '.');
  else if (-6 < point && point <= 0)
    digits.insert(0, "0." + std::string(static_cast<std::size_t>(-point), '0'));
  else
    digits = digits.substr(0, 1) + (count > 1 ? "." + digits.substr(1) : "") + "e" + std::to_string(exponent);
  return (negative ? "-" : "") + digits;
}

std::string number_text(const Value& value) {
  if (value.is_real()) return real_text(value.to_real());
  if (value.is_int()) return std::to_string(value.to_int());
  return std::to_string(static_cast<std::uint64_t>(value.to_int()));
}

std::string quoted_json(const std::string& text) {
  constexpr std::string_view kPlain = "\"\\\b\f\n\r\t", kLetters = "\"\\bfnrt", kHex = "0123456789ABCDEF";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (const auto place = kPlain.find(c); place != std::string_view::npos)
      out.append(1, '\\').append(1, kLetters[place]);
    else if (byte < 0x20)
      out.append("\\u00").append(1, kHex[byte >> 4]).append(1, kHex[byte & 15]);
    else
      out += c;
  }
  return out + '"';
}

// Ranks of the keys that come first.
std::size_t rank_of(std::string_view key) {
  constexpr std::array<std::string_view, 8> kFirst = {"type",       "function",   "name",     "description",
                                                      "parameters", "properties", "required", "enum"};
  return static_cast<std::size_t>(std::ranges::find(kFirst, key) - kFirst.begin());
}

std::vector<const Value::Object::value_type*> ordered_members(const Value& value) {
  std::vector<const Value::Object::value_type*> members;
  for (const auto& member : value.members())
    members.push_back(&member);
  std::ranges::sort(members, {}, [](const auto* member) {
    return std::pair(rank_of(member->first), std::string_view(member->first));
  });
  return members;
}

void append_compact(const Value& value, std::string& out) {
  if (value.is_array()) {
    out += '[';
    for (std::size_t i = 0; i < value.items().size(); ++i) {
      out += i == 0 ? "" : ",";
      append_compact(value.items()[i], out);
    }
    out += ']';
  } else if (value.is_object()) {
    out += '{';
    for (std::size_t i = 0; i < value.members().size(); ++i) {
      out.append(i == 0 ? "" : ",").append(quoted_json(value.members()[i].first)).append(":");
      append_compact(value.members()[i].second, out);
    }
    out += '}';
  } else if (value.is_text()) {
    out += quoted_json(value.text());
  } else if (value.is_number()) {
    out += number_text(value);
  } else {
    out += value.is_null() ? "null" : value.is_truthy() ? "true" : "false";
  }
}

void append_ordered(const Value& value, int indent, int level, std::string& out) {
  if (value.size() == 0) {
    append_compact(value, out);
    return;
  }
  const auto line_at = [indent](int depth) {
    return indent < 0 ? std::string() : "\n" + std::string(static_cast<std::size_t>(depth * indent), ' ');
  };
  const std::string separator = indent < 0 ? ", " : "," + line_at(level + 1);
  out.append(value.is_array() ? "[" : "{").append(line_at(level + 1));
  bool first = true;
  for (const auto& item : value.items()) {
    out += first ? "" : separator;
    append_ordered(item, indent, level + 1, out);
    first = false;
  }
  for (const auto* member : ordered_members(value)) {
    out.append(first ? "" : separator).append("\"" + member->first + "\": ");  // the engine escapes no keys
    append_ordered(member->second, indent, level + 1, out);
    first = false;
  }
  out.append(line_at(level)).append(value.is_array() ? "]" : "}");
}

std::string quoted_python(const std::string& text, bool with_breaks) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\')
      out.append(1, '\\').append(1, c);
    else if (with_breaks && (c == '\n' || c == '\r'))
      out += c == '\n' ? "\\n" : "\\r";
    else
      out += c;
  }
  return out + '\'';
}

void append_python(const Value& value, std::string& out) {
  bool first = true;
  if (value.is_array()) {
    out += '[';
    for (const auto& item : value.items()) {
      out += first ? "" : ", ";
      append_python(item, out);
      first = false;
    }
    out += ']';
  } else if (value.is_object()) {
    out += '{';
    for (const auto* member : ordered_members(value)) {
      out.append(first ? "" : ", ").append(quoted_python(member->first, false)).append(": ");
      append_python(member->second, out);
      first = false;
    }
    out += '}';
  } else if (value.is_text()) {
    out += quoted_python(value.text(), true);
  } else if (value.is_number()) {
    out += number_text(value);
  } else {
    out += value.is_null() ? "None" : value.is_truthy() ? "True" : "False";
  }
}

}  // namespace

std::string compact_json(const Value& value) {
  std::string out;
  append_compact(value, out);
  return out;
}

std::string ordered_json(const Value& value, int indent) {
  std::string out;
  append_ordered(value, std::min(indent, 64), 0, out);
  return out;
}

std::string python_text(const Value& value) {
  if (value.is_text()) return value.text();
  std::string out;
  append_python(value, out);
  return out;
}

}  // namespace llm2mnn::jinja::runtime
