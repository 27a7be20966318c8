// Values as text: str(), repr(), json.dumps().

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "jinja/text.h"
#include "jinja/value.h"
#include "jinja/work_meter.h"

namespace llm2mnn::jinja {

namespace {

using Kind = Value::Kind;
constexpr int kMaxDepth = 200;

/// One value on the way to text.
void visit(int depth) {
  constexpr std::size_t kVisitCost = 64;
  charge_work(kVisitCost);
  if (depth > kMaxDepth) beyond("the text of deep values");
}

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  // The shortest digits that give the value back; Python writes an exponent below 1e-4 and from 1e16 on.
  const double size = std::fabs(value);
  const bool scientific = size != 0 && (size < 1e-4 || size >= 1e16);
  std::array<char, 64> buffer;
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                    scientific ? std::chars_format::scientific : std::chars_format::fixed);
  std::string text(buffer.data(), result.ptr);
  if (!scientific && text.find('.') == std::string::npos) text += ".0";
  return text;
}

std::string string_repr(std::string_view text) {
  charge_work(text.size());
  const bool has_single = text.find('\'') != std::string_view::npos;
  const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  for (std::size_t pos = 0; pos < text.size();) {
    const std::size_t begin = pos;
    const char32_t c = next_code_point(text, pos);
    if (c == static_cast<char32_t>(quote) || c == '\\') {
      out += '\\';
      out += text[begin];
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (is_printable(c)) {
      out += text.substr(begin, pos - begin);
    } else {
      const auto code = static_cast<std::uint32_t>(c);
      out += code < 0x100     ? fmt::format("\\x{:02x}", code)
             : code < 0x10000 ? fmt::format("\\u{:04x}", code)
                              : fmt::format("\\U{:08x}", code);
    }
  }
  return out + quote;
}

std::string repr(const Value& value, int depth);

std::string join_reprs(const std::vector<Value>& items, int depth) {
  std::string out;
  for (std::size_t i = 0; i < items.size(); ++i)
    out += (i == 0 ? "" : ", ") + repr(items[i], depth);
  charge_work(out.size());
  return out;
}

std::string repr(const Value& value, int depth) {
  visit(depth);
  switch (value.kind()) {
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kString:
      return value.is_safe() ? "Markup(" + string_repr(value.text()) + ")" : string_repr(value.text());
    case Kind::kList:
      return "[" + join_reprs(value.items(), depth + 1) + "]";
    case Kind::kTuple:
      return "(" + join_reprs(value.items(), depth + 1) + (value.items().size() == 1 ? ",)" : ")");
    case Kind::kDict: {
      std::string out;
      for (const auto& [key, member] : value.entries().entries) {
        out += (out.empty() ? "" : ", ") + repr(key, depth + 1) + ": " + repr(member, depth + 1);
      }
      charge_work(out.size());
      return "{" + out + "}";
    }
    case Kind::kView:
      return value.text() + "([" + join_reprs(value.items(), depth + 1) + "])";
    default:
      return to_text(value);
  }
}

/// The UTF-16 escapes of one character beyond ASCII.
void append_escapes(std::string& out, std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  char32_t code = character.size() == 2   ? first & 0x1Fu
                  : character.size() == 3 ? first & 0x0Fu
                                          : first & 0x07u;
  for (const char c : character.substr(1))
    code = (code << 6) | (static_cast<unsigned char>(c) & 0x3Fu);
  if (code >= 0x10000) {
    out += fmt::format("\\u{:04x}", 0xD800 + ((static_cast<std::uint32_t>(code) - 0x10000) >> 10));
    code = 0xDC00 + ((code - 0x10000) & 0x3FF);
  }
  out += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(code));
}

void append_json_string(std::string& out, std::string_view text, bool ensure_ascii) {
  out += '"';
  for (const std::string_view character : characters(text)) {
    if (character.size() > 1 || (character[0] & 0x80) != 0) {
      if (ensure_ascii && character.size() > 1) {
        append_escapes(out, character);
      } else {
        out += character;
      }
      continue;
    }
    const char c = character[0];
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || (c == 0x7F && ensure_ascii)) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

class JsonWriter {
 public:
  explicit JsonWriter(const JsonFormat& format) : format_(format) {}

  void write(const Value& value, int depth) {
    visit(depth);
    switch (value.kind()) {
      case Kind::kNone:
        out += "null";
        break;
      case Kind::kBool:
        out += value.truth() ? "true" : "false";
        break;
      case Kind::kInteger:
        out += fmt::format("{}", value.as_integer());
        break;
      case Kind::kFloat:
        out += std::isnan(value.as_real())   ? "NaN"
               : std::isinf(value.as_real()) ? (value.as_real() > 0 ? "Infinity" : "-Infinity")
                                             : float_text(value.as_real());
        break;
      case Kind::kString:
        append_json_string(out, value.text(), format_.ensure_ascii);
        break;
      case Kind::kList:
      case Kind::kTuple:
        write_list(value.items(), depth);
        break;
      case Kind::kDict:
        write_dict(value.entries(), depth);
        break;
      default:
        raise(fmt::format("Object of type {} is not JSON serializable", value.type_name()));
    }
  }

  std::string out;

 private:
  void append(const std::string& separator) {
    charge_work(separator.size());
    out += separator;
  }

  void break_line(int depth) {
    if (!format_.indent) return;
    out += '\n';
    charge_work(format_.indent->size() * static_cast<std::size_t>(depth));
    for (int i = 0; i < depth; ++i)
      out += *format_.indent;
  }

  void write_list(const std::vector<Value>& items, int depth) {
    out += '[';
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i != 0) append(format_.item_separator);
      break_line(depth + 1);
      write(items[i], depth + 1);
    }
    if (!items.empty()) break_line(depth);
    out += ']';
  }

  void write_dict(const Dict& dict, int depth) {
    std::vector<const std::pair<Value, Value>*> entries;
    for (const auto& entry : dict.entries)
      entries.push_back(&entry);
    if (format_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(),
                       [](const auto* a, const auto* b) { return less_than(a->first, b->first); });
    }
    out += '{';
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (i != 0) append(format_.item_separator);
      break_line(depth + 1);
      const Value& key = entries[i]->first;
      if (key.is_string()) {
        append_json_string(out, key.text(), format_.ensure_ascii);
      } else {
        if (!key.is_number() && !key.is(Kind::kNone))
          raise(fmt::format("keys must be str, int, float, bool or None, not {}", key.type_name()));
        JsonWriter number(format_);
        number.write(key, depth + 1);
        append_json_string(out, number.out, format_.ensure_ascii);
      }
      append(format_.key_separator);
      write(entries[i]->second, depth + 1);
    }
    if (!entries.empty()) break_line(depth);
    out += '}';
  }

  const JsonFormat& format_;
};

}  // namespace

std::string to_text(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return {};
    case Kind::kNone:
      return "None";
    case Kind::kBool:
      return value.truth() ? "True" : "False";
    case Kind::kInteger:
      return fmt::format("{}", value.as_integer());
    case Kind::kFloat:
      return float_text(value.as_real());
    case Kind::kString:
      charge_search(value.text().size(), 0);
      return value.text();
    case Kind::kRange:
      if (value.text().empty()) beyond("the text of a part of a range");
      return value.text();
    case Kind::kGenerator:
    case Kind::kNamespace:
    case Kind::kObject:
    case Kind::kFunction:
      beyond(fmt::format("the text of a {}", value.type_name()));
    default:
      return repr(value, 0);
  }
}

std::string html_escaped(const std::string& text) {
  charge_work(text.size());
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&#34;";
    } else if (c == '\'') {
      out += "&#39;";
    } else {
      out += c;
    }
  }
  return out;
}

std::string to_repr(const Value& value) { return repr(value, 0); }

std::string to_json(const Value& value, const JsonFormat& format) {
  JsonWriter writer(format);
  writer.write(value, 0);
  return std::move(writer.out);
}

}  // namespace llm2mnn::jinja
