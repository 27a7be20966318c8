#include "jinja/string_format.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "jinja/text.h"
#include "jinja/work_meter.h"

namespace llm2mnn::jinja {

namespace {

using Kind = Value::Kind;

constexpr std::int64_t kMaxPrecision = 300;

/// How a number or a text is written; what both languages of formats can say.
struct Spec {
  std::string fill = " ";
  char align = 0;  ///< one of < > ^ =, or none
  char sign = '-';
  bool alternate = false;
  bool zero = false;
  char grouping = 0;
  std::int64_t width = 0;
  std::int64_t precision = -1;
  char type = 0;
};

bool is_digit_char(char c) { return c >= '0' && c <= '9'; }

/// The number at `pos`, which moves behind it; none without a digit.
std::optional<std::int64_t> take_number(std::string_view text, std::size_t& pos) {
  constexpr std::int64_t kMost = 1 << 20;
  if (pos >= text.size() || !is_digit_char(text[pos])) return std::nullopt;
  std::int64_t number = 0;
  for (; pos < text.size() && is_digit_char(text[pos]); ++pos) {
    number = number * 10 + (text[pos] - '0');
    if (number > kMost) beyond("a format with a large number");
  }
  return number;
}

std::string sign_of(bool negative, char sign) {
  return negative ? "-" : sign == '-' ? std::string() : std::string(1, sign);
}

/// Sign, prefix and digits, filled up.
std::string filled_number(const std::string& head, const std::string& digits, const Spec& spec) {
  const char align = spec.align != 0 ? spec.align : spec.zero ? '=' : '>';
  const std::string fill = spec.zero && spec.fill == " " ? "0" : spec.fill;
  if (align == '=') {
    const auto used = static_cast<std::int64_t>(head.size());
    return head + padded(digits, spec.width - used, fill, Align::kRight);
  }
  return padded(head + digits, spec.width, fill,
                align == '<'   ? Align::kLeft
                : align == '^' ? Align::kCenter
                               : Align::kRight);
}

/// Separators between groups of three digits in front of the point.
std::string grouped(const std::string& digits, char separator) {
  if (separator == 0) return digits;
  const std::size_t whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
  std::string out;
  for (std::size_t i = 0; i < whole; ++i) {
    if (i != 0 && (whole - i) % 3 == 0) out += separator;
    out += digits[i];
  }
  return out + digits.substr(whole);
}

std::string digits_of(std::uint64_t size, char type) {
  switch (type) {
    case 'x':
      return fmt::format("{:x}", size);
    case 'X':
      return fmt::format("{:X}", size);
    case 'o':
      return fmt::format("{:o}", size);
    case 'b':
      return fmt::format("{:b}", size);
    default:
      return fmt::format("{}", size);
  }
}

std::string integer_text(std::int64_t value, const Spec& spec) {
  const auto size = value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
  std::string head = sign_of(value < 0, spec.sign);
  if (spec.alternate && spec.type != 'd' && spec.type != 0) head += {'0', spec.type};
  std::string digits = digits_of(size, spec.type);
  if (spec.precision > static_cast<std::int64_t>(digits.size()))
    digits.insert(0, static_cast<std::size_t>(spec.precision) - digits.size(), '0');
  return filled_number(head, grouped(digits, spec.grouping), spec);
}

/// `type` is one of e f g and their capitals, or '%'.
std::string real_text(double value, Spec spec) {
  const bool is_percent = spec.type == '%';
  const int precision = spec.precision < 0 ? 6 : static_cast<int>(std::min(spec.precision, kMaxPrecision));
  if (spec.precision > kMaxPrecision) beyond("a format with a large number");
  const double size = std::fabs(is_percent ? value * 100 : value);
  const auto write = [&](auto plain, auto alternate) {
    return spec.alternate ? fmt::format(alternate, size, precision) : fmt::format(plain, size, precision);
  };
  std::string digits;
  switch (spec.type) {
    case 'e':
      digits = write(FMT_STRING("{:.{}e}"), FMT_STRING("{:#.{}e}"));
      break;
    case 'E':
      digits = write(FMT_STRING("{:.{}E}"), FMT_STRING("{:#.{}E}"));
      break;
    case 'g':
      digits = write(FMT_STRING("{:.{}g}"), FMT_STRING("{:#.{}g}"));
      break;
    case 'G':
      digits = write(FMT_STRING("{:.{}G}"), FMT_STRING("{:#.{}G}"));
      break;
    case 'F':
      digits = write(FMT_STRING("{:.{}F}"), FMT_STRING("{:#.{}F}"));
      break;
    default:
      digits = write(FMT_STRING("{:.{}f}"), FMT_STRING("{:#.{}f}"));
  }
  if (!std::isfinite(value)) spec.precision = -1;
  return filled_number(sign_of(std::signbit(value) && !std::isnan(value), spec.sign),
                       grouped(digits, spec.grouping) + (is_percent ? "%" : ""), spec);
}

double real_value(const Value& number) {
  constexpr std::int64_t kExact = std::int64_t{1} << 53;
  if (!number.is(Kind::kFloat) && (number.as_integer() > kExact || number.as_integer() < -kExact))
    beyond("a large integer as a float");
  return number.as_real();
}

/// The number without its fraction.
std::int64_t whole_number(const Value& number) {
  if (!number.is(Kind::kFloat)) return number.as_integer();
  constexpr double kLimit = 9.2e18;
  if (!std::isfinite(number.as_real())) raise("cannot convert float infinity or NaN to integer");
  if (!(std::fabs(number.as_real()) < kLimit)) beyond("an integer of more than 64 bits");
  return static_cast<std::int64_t>(number.as_real());
}

std::string cut(const std::string& text, std::int64_t precision) {
  return precision < 0 ? text : text.substr(0, byte_of_character(text, static_cast<std::size_t>(precision)));
}

// --- percent

class PercentFormat {
 public:
  PercentFormat(const std::string& format, const Value& values)
      : format_(format),
        values_(values),
        items_(values.is(Kind::kTuple) ? values.items() : std::vector<Value>{values}),
        // What has items by key or index need not be used up.
        may_be_left_(values.is(Kind::kDict) || values.is(Kind::kList) || values.is_undefined() ||
                     values.is(Kind::kRange)) {}

  std::string run() {
    std::string out;
    while (pos_ < format_.size()) {
      const std::size_t sign = std::min(format_.find('%', pos_), format_.size());
      out.append(format_, pos_, sign - pos_);
      pos_ = sign + 1;
      if (sign < format_.size()) out += field();
      charge_work(out.size() / 16);
    }
    if (next_ < items_.size() && !may_be_left_) raise("not all arguments converted during string formatting");
    return out;
  }

 private:
  char look() const {
    if (pos_ >= format_.size()) raise("incomplete format");
    return format_[pos_];
  }

  const Value& take() {
    if (next_ >= items_.size()) raise("not enough arguments for format string");
    return items_[next_++];
  }

  std::int64_t take_width() {
    if (look() != '*') return take_number(format_, pos_).value_or(0);
    ++pos_;
    const Value& width = take();
    if (!width.is(Kind::kInteger) && !width.is(Kind::kBool)) raise("* wants int");
    if (std::abs(width.as_integer()) > kMaxPrecision) beyond("a format with a large number");
    return width.as_integer();
  }

  std::string field() {
    if (look() == '%') {
      ++pos_;
      return "%";
    }
    std::optional<Value> keyed;
    if (look() == '(') keyed = take_keyed();
    Spec spec;
    constexpr std::string_view kFlags = "-+ #0";
    for (; kFlags.find(look()) != std::string_view::npos; ++pos_) {
      const char flag = look();
      if (flag == '-') spec.align = '<';
      if (flag == '+' || (flag == ' ' && spec.sign != '+')) spec.sign = flag;
      if (flag == '#') spec.alternate = true;
      if (flag == '0') spec.zero = true;
    }
    spec.width = take_width();
    if (spec.width < 0) {
      spec.align = '<';
      spec.width = -spec.width;
    }
    if (look() == '.') {
      ++pos_;
      spec.precision = std::max<std::int64_t>(take_width(), 0);
    }
    if (look() == 'h' || look() == 'l' || look() == 'L') ++pos_;
    spec.type = look();
    ++pos_;
    if (spec.type == '%') beyond("a sign of percent with a width");
    return converted(keyed ? *keyed : take(), spec);
  }

  Value take_keyed() {
    if (!values_.is(Kind::kDict)) raise("format requires a mapping");
    const std::size_t end = format_.find(')', pos_);
    if (end == std::string::npos) raise("incomplete format key");
    const std::string key = format_.substr(pos_ + 1, end - pos_ - 1);
    if (key.find('(') != std::string::npos) beyond("a format with brackets in a key");
    const Value* found = values_.entries().find(Value::string(key));
    if (found == nullptr) raise(fmt::format("'{}'", key));
    pos_ = end + 1;
    next_ = items_.size();
    return *found;
  }

  static std::string converted(const Value& item, Spec spec) {
    switch (spec.type) {
      case 's':
      case 'r':
      case 'a':
      case 'c':
        return text_field(item, spec);
      case 'd':
      case 'i':
      case 'u':
        if (!item.is_number())
          raise(fmt::format("%d format: a real number is required, not {}", item.type_name()));
        spec.type = 'd';
        break;
      case 'x':
      case 'X':
      case 'o':
        if (!item.is(Kind::kInteger) && !item.is(Kind::kBool))
          raise(fmt::format("%{} format: an integer is required, not {}", spec.type, item.type_name()));
        break;
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        if (!item.is_number()) raise(fmt::format("must be real number, not {}", item.type_name()));
        if (spec.align == '<') spec.zero = false;
        return real_text(real_value(item), spec);
      default:
        raise(fmt::format("unsupported format character '{}'", spec.type));
    }
    if (spec.align == '<') spec.zero = false;
    return integer_text(whole_number(item), spec);
  }

  static std::string text_field(const Value& item, const Spec& spec) {
    std::string text;
    if (spec.type == 's') {
      text = to_text(item);
    } else if (spec.type == 'c') {
      if (!item.is_string() || num_characters(item.text()) != 1) beyond("the format character c");
      text = item.text();
    } else {
      text = to_repr(item);
      const bool is_ascii = std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
      if (spec.type == 'a' && !is_ascii) beyond("the format character a");
    }
    return padded(cut(text, spec.type == 'c' ? -1 : spec.precision), spec.width, " ",
                  spec.align == '<' ? Align::kLeft : Align::kRight);
  }

  const std::string& format_;
  const Value& values_;
  std::vector<Value> items_;
  bool may_be_left_;
  std::size_t pos_ = 0;
  std::size_t next_ = 0;
};

// --- braces

Spec parse_spec(std::string_view text) {
  const auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  Spec spec;
  std::size_t pos = 0;
  const std::size_t first = byte_of_character(text, 1);
  if (first < text.size() && is_align(text[first])) {
    spec.fill = text.substr(0, first);
    spec.align = text[first];
    pos = first + 1;
  } else if (!text.empty() && is_align(text[0])) {
    spec.align = text[pos++];
  }
  const auto take_one = [&](std::string_view choices) {
    const bool found = pos < text.size() && choices.find(text[pos]) != std::string_view::npos;
    return found ? text[pos++] : '\0';
  };
  if (const char sign = take_one("+- ")) spec.sign = sign;
  if (take_one("z") != 0) beyond("a format with z");
  spec.alternate = take_one("#") != 0;
  spec.zero = take_one("0") != 0;
  spec.width = take_number(text, pos).value_or(0);
  spec.grouping = take_one(",_");
  if (take_one(".") != 0) {
    const auto precision = take_number(text, pos);
    if (!precision) raise("Format specifier missing precision");
    spec.precision = *precision;
  }
  if (pos < text.size()) spec.type = text[pos++];
  if (pos < text.size()) raise("Invalid format specifier");
  return spec;
}

std::string text_with(const std::string& text, const Spec& spec) {
  if (spec.type != 0 && spec.type != 's')
    raise(fmt::format("Unknown format code '{}' for object of type 'str'", spec.type));
  if (spec.sign != '-' || spec.alternate || spec.grouping != 0 || spec.align == '=')
    raise("a format of numbers for a string");
  const std::string fill = spec.zero && spec.fill == " " ? "0" : spec.fill;
  return padded(cut(text, spec.precision), spec.width, fill,
                spec.align == '>'   ? Align::kRight
                : spec.align == '^' ? Align::kCenter
                                    : Align::kLeft);
}

std::string number_with(const Value& value, Spec spec) {
  constexpr std::string_view kReal = "eEfFgG%";
  constexpr std::string_view kWhole = "dxXob";
  if (spec.type == 'n' || spec.type == 'c') beyond(fmt::format("the format {}", spec.type));
  if (spec.grouping != 0 && spec.zero) beyond("a format with separators and zeros");
  const bool is_real = kReal.find(spec.type) != std::string_view::npos && spec.type != 0;
  const bool is_whole = spec.type == 0 || kWhole.find(spec.type) != std::string_view::npos;
  if (is_real) return real_text(real_value(value), spec);
  if (!is_whole || (value.is(Kind::kFloat) && spec.type != 0)) {
    raise(fmt::format("Unknown format code '{}' for object of type '{}'", spec.type, value.type_name()));
  }
  if (!value.is(Kind::kFloat)) {
    if (spec.precision >= 0) raise("Precision not allowed in integer format specifier");
    if (spec.grouping != 0 && spec.type != 0 && spec.type != 'd') beyond("separators of digits");
    return integer_text(value.as_integer(), spec);
  }
  if (spec.precision >= 0 || spec.alternate) beyond("a format of a float without a type");
  const bool negative = std::signbit(value.as_real()) && !std::isnan(value.as_real());
  const std::string digits = to_text(Value::real(std::fabs(value.as_real())));
  return filled_number(sign_of(negative, spec.sign), grouped(digits, spec.grouping), spec);
}

std::string formatted(const Value& value, const std::string& spec_text, char conversion) {
  if (spec_text.find_first_of("{}") != std::string::npos) beyond("a format within a format");
  if (conversion != 0 && conversion != 's' && conversion != 'r')
    beyond(fmt::format("the conversion !{}", conversion));
  const bool as_text = conversion == 's' || value.is_string();
  if (conversion == 'r') return text_with(to_repr(value), parse_spec(spec_text));
  if (spec_text.empty()) return to_text(value);
  if (as_text) return text_with(to_text(value), parse_spec(spec_text));
  if (value.is_number()) return number_with(value, parse_spec(spec_text));
  raise(fmt::format("unsupported format string passed to {}.__format__", value.type_name()));
}

class BraceFormat {
 public:
  BraceFormat(const std::string& format, const Arguments& arguments)
      : format_(format), arguments_(arguments) {}

  std::string run() {
    std::string out;
    for (std::size_t i = 0; i < format_.size(); ++i) {
      const char c = format_[i];
      if (c != '{' && c != '}') {
        out += c;
      } else if (i + 1 < format_.size() && format_[i + 1] == c) {
        out += c;
        ++i;
      } else if (c == '}') {
        raise("Single '}' encountered in format string");
      } else {
        const std::size_t end = end_of_field(i + 1);
        out += field(format_.substr(i + 1, end - i - 1));
        charge_work(out.size() / 16);
        i = end;
      }
    }
    return out;
  }

 private:
  std::size_t end_of_field(std::size_t pos) const {
    for (int depth = 1; pos < format_.size(); ++pos) {
      depth += format_[pos] == '{' ? 1 : format_[pos] == '}' ? -1 : 0;
      if (depth == 0) return pos;
    }
    raise("expected '}' before end of string");
  }

  std::string field(const std::string& text) {
    const std::size_t end = std::min(text.find_first_of("!:"), text.size());
    const std::string name = text.substr(0, end);
    if (name.find_first_of(".[{") != std::string::npos) beyond("a format with members or items");
    std::size_t pos = end;
    char conversion = 0;
    if (pos < text.size() && text[pos] == '!') {
      if (pos + 1 >= text.size()) raise("end of string while looking for conversion specifier");
      conversion = text[pos + 1];
      pos += 2;
      if (pos < text.size() && text[pos] != ':') raise("expected ':' after conversion specifier");
    }
    return formatted(named(name), pos < text.size() ? text.substr(pos + 1) : std::string(), conversion);
  }

  const Value& named(const std::string& name) {
    const bool is_index = name.find_first_not_of("0123456789") == std::string::npos;
    if (is_index) {
      std::size_t index = next_;
      if (name.empty() ? counts_ == Counting::kByHand : counts_ == Counting::kByItself)
        raise("cannot switch between manual and automatic field numbering");
      counts_ = name.empty() ? Counting::kByItself : Counting::kByHand;
      std::size_t pos = 0;
      if (name.empty()) {
        ++next_;
      } else {
        index = static_cast<std::size_t>(*take_number(name, pos));
      }
      if (index >= arguments_.positional.size())
        raise(fmt::format("Replacement index {} out of range for positional args tuple", index));
      return arguments_.positional[index];
    }
    const auto it = std::find_if(arguments_.named.begin(), arguments_.named.end(),
                                 [&](const auto& argument) { return argument.first == name; });
    if (it == arguments_.named.end()) raise(fmt::format("'{}'", name));
    return it->second;
  }

  enum class Counting : std::uint8_t { kUnknown, kByHand, kByItself };
  const std::string& format_;
  const Arguments& arguments_;
  std::size_t next_ = 0;
  Counting counts_ = Counting::kUnknown;
};

}  // namespace

std::string padded(std::string_view text, std::int64_t width, std::string_view fill, Align align) {
  const auto size = static_cast<std::int64_t>(num_characters(text));
  if (width <= size) return std::string(text);
  const std::int64_t room = width - size;
  charge_work(text.size() + static_cast<std::size_t>(room) * fill.size());
  const auto repeated = [&](std::int64_t count) {
    std::string out;
    for (std::int64_t i = 0; i < count; ++i)
      out += fill;
    return out;
  };
  const std::int64_t left = align == Align::kLeft ? 0 : align == Align::kRight ? room : room / 2;
  return repeated(left) + std::string(text) + repeated(room - left);
}

Value format_percent(const std::string& format, const Value& values) {
  return Value::string(PercentFormat(format, values).run());
}

std::string format_braces(const std::string& format, const Arguments& arguments) {
  return BraceFormat(format, arguments).run();
}

}  // namespace llm2mnn::jinja
