#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>
#include <optional>
#include <vector>

#include "base/error.h"
#include "tokenizer/pattern.h"

namespace llm2mnn {

namespace {

/// Characters that got their general category after Unicode 14, the version of PCRE2 10.42. `tokenizers` has
/// Unicode 16 in its patterns. Naming them twice does no harm to a newer PCRE2.
struct NewCharacters {
  char32_t first, last;
  std::string_view category;
};
constexpr NewCharacters kNewCharacters[] = {
    {0x897, 0x897, "Mn"},     {0xCF3, 0xCF3, "Mc"},     {0xECE, 0xECE, "Mn"},     {0x1B4E, 0x1B4F, "Po"},
    {0x1B7F, 0x1B7F, "Po"},   {0x1C89, 0x1C89, "Lu"},   {0x1C8A, 0x1C8A, "Ll"},   {0x2427, 0x2429, "So"},
    {0x2FFC, 0x2FFF, "So"},   {0x31E4, 0x31E5, "So"},   {0x31EF, 0x31EF, "So"},   {0xA7CB, 0xA7CC, "Lu"},
    {0xA7CD, 0xA7CD, "Ll"},   {0xA7DA, 0xA7DA, "Lu"},   {0xA7DB, 0xA7DB, "Ll"},   {0xA7DC, 0xA7DC, "Lu"},
    {0x105C0, 0x105F3, "Lo"}, {0x10D40, 0x10D49, "Nd"}, {0x10D4A, 0x10D4D, "Lo"}, {0x10D4E, 0x10D4E, "Lm"},
    {0x10D4F, 0x10D4F, "Lo"}, {0x10D50, 0x10D65, "Lu"}, {0x10D69, 0x10D6D, "Mn"}, {0x10D6E, 0x10D6E, "Pd"},
    {0x10D6F, 0x10D6F, "Lm"}, {0x10D70, 0x10D85, "Ll"}, {0x10D8E, 0x10D8F, "Sm"}, {0x10EC2, 0x10EC4, "Lo"},
    {0x10EFC, 0x10EFF, "Mn"}, {0x1123F, 0x11240, "Lo"}, {0x11241, 0x11241, "Mn"}, {0x11380, 0x11389, "Lo"},
    {0x1138B, 0x1138B, "Lo"}, {0x1138E, 0x1138E, "Lo"}, {0x11390, 0x113B5, "Lo"}, {0x113B7, 0x113B7, "Lo"},
    {0x113B8, 0x113BA, "Mc"}, {0x113BB, 0x113C0, "Mn"}, {0x113C2, 0x113C2, "Mc"}, {0x113C5, 0x113C5, "Mc"},
    {0x113C7, 0x113CA, "Mc"}, {0x113CC, 0x113CD, "Mc"}, {0x113CE, 0x113CE, "Mn"}, {0x113CF, 0x113CF, "Mc"},
    {0x113D0, 0x113D0, "Mn"}, {0x113D1, 0x113D1, "Lo"}, {0x113D2, 0x113D2, "Mn"}, {0x113D3, 0x113D3, "Lo"},
    {0x113D4, 0x113D5, "Po"}, {0x113D7, 0x113D8, "Po"}, {0x113E1, 0x113E2, "Mn"}, {0x116D0, 0x116E3, "Nd"},
    {0x1171E, 0x1171E, "Mc"}, {0x11B00, 0x11B09, "Po"}, {0x11BC0, 0x11BE0, "Lo"}, {0x11BE1, 0x11BE1, "Po"},
    {0x11BF0, 0x11BF9, "Nd"}, {0x11F00, 0x11F01, "Mn"}, {0x11F02, 0x11F02, "Lo"}, {0x11F03, 0x11F03, "Mc"},
    {0x11F04, 0x11F10, "Lo"}, {0x11F12, 0x11F33, "Lo"}, {0x11F34, 0x11F35, "Mc"}, {0x11F36, 0x11F3A, "Mn"},
    {0x11F3E, 0x11F3F, "Mc"}, {0x11F40, 0x11F40, "Mn"}, {0x11F41, 0x11F41, "Mc"}, {0x11F42, 0x11F42, "Mn"},
    {0x11F43, 0x11F4F, "Po"}, {0x11F50, 0x11F59, "Nd"}, {0x11F5A, 0x11F5A, "Mn"}, {0x1342F, 0x1342F, "Lo"},
    {0x13439, 0x1343F, "Cf"}, {0x13440, 0x13440, "Mn"}, {0x13441, 0x13446, "Lo"}, {0x13447, 0x13455, "Mn"},
    {0x13460, 0x143FA, "Lo"}, {0x16100, 0x1611D, "Lo"}, {0x1611E, 0x16129, "Mn"}, {0x1612A, 0x1612C, "Mc"},
    {0x1612D, 0x1612F, "Mn"}, {0x16130, 0x16139, "Nd"}, {0x16D40, 0x16D42, "Lm"}, {0x16D43, 0x16D6A, "Lo"},
    {0x16D6B, 0x16D6C, "Lm"}, {0x16D6D, 0x16D6F, "Po"}, {0x16D70, 0x16D79, "Nd"}, {0x18CFF, 0x18CFF, "Lo"},
    {0x1B132, 0x1B132, "Lo"}, {0x1B155, 0x1B155, "Lo"}, {0x1CC00, 0x1CCEF, "So"}, {0x1CCF0, 0x1CCF9, "Nd"},
    {0x1CD00, 0x1CEB3, "So"}, {0x1D2C0, 0x1D2D3, "No"}, {0x1DF25, 0x1DF2A, "Ll"}, {0x1E030, 0x1E06D, "Lm"},
    {0x1E08F, 0x1E08F, "Mn"}, {0x1E4D0, 0x1E4EA, "Lo"}, {0x1E4EB, 0x1E4EB, "Lm"}, {0x1E4EC, 0x1E4EF, "Mn"},
    {0x1E4F0, 0x1E4F9, "Nd"}, {0x1E5D0, 0x1E5ED, "Lo"}, {0x1E5EE, 0x1E5EF, "Mn"}, {0x1E5F0, 0x1E5F0, "Lo"},
    {0x1E5F1, 0x1E5FA, "Nd"}, {0x1E5FF, 0x1E5FF, "Po"}, {0x1F6DC, 0x1F6DC, "So"}, {0x1F774, 0x1F776, "So"},
    {0x1F77B, 0x1F77F, "So"}, {0x1F7D9, 0x1F7D9, "So"}, {0x1F8B2, 0x1F8BB, "So"}, {0x1F8C0, 0x1F8C1, "So"},
    {0x1FA75, 0x1FA77, "So"}, {0x1FA87, 0x1FA89, "So"}, {0x1FA8F, 0x1FA8F, "So"}, {0x1FAAD, 0x1FAAF, "So"},
    {0x1FABB, 0x1FABF, "So"}, {0x1FAC6, 0x1FAC6, "So"}, {0x1FACE, 0x1FACF, "So"}, {0x1FADA, 0x1FADC, "So"},
    {0x1FADF, 0x1FADF, "So"}, {0x1FAE8, 0x1FAE9, "So"}, {0x1FAF7, 0x1FAF8, "So"}, {0x1FBCB, 0x1FBEF, "So"},
    {0x2B739, 0x2B739, "Lo"}, {0x2EBF0, 0x2EE5D, "Lo"}, {0x31350, 0x323AF, "Lo"},
};

// The white space of Unicode: PCRE2's `\s` also has U+180E.
constexpr std::string_view kSpace =
    R"(\t-\r\x20\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";
constexpr std::string_view kNoSpace =
    R"(\x{0}-\x08\x0E-\x1F\x21-\x{84}\x{86}-\x{9F}\x{A1}-\x{167F}\x{1681}-\x{1FFF}\x{200B}-\x{2027})"
    R"(\x{202A}-\x{202E}\x{2030}-\x{205E}\x{2060}-\x{2FFF}\x{3001}-\x{10FFFF})";
constexpr std::string_view kHex = "0-9A-Fa-f";
constexpr std::string_view kNoHex = R"(\x{0}-/:-@G-`g-\x{10FFFF})";

/// Ranges of the new characters whose category starts with `category` ("L", "Lu").
std::string new_characters(std::string_view category) {
  std::string out;
  for (const NewCharacters& c : kNewCharacters) {
    if (!c.category.starts_with(category)) continue;
    out += fmt::format("\\x{{{:X}}}-\\x{{{:X}}}", static_cast<std::uint32_t>(c.first),
                       static_cast<std::uint32_t>(c.last));
  }
  return out;
}

/// Where a character type stands: Oniguruma takes some differently in brackets.
enum class Place { kAlone, kInBrackets, kPosix };

std::string word_characters(Place place) {
  // Numbers of Latin-1 are word characters only outside of brackets.
  const std::string_view latin = place == Place::kAlone ? R"(\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE})" : "";
  return R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})" + std::string(latin) + new_characters("L") +
         new_characters("M") + new_characters("Nd") + new_characters("Pc");
}

/// Lower case, without the blanks, hyphens and underscores that Oniguruma ignores in names.
std::string folded_name(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == ' ' || c == '-' || c == '_') continue;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

/// `\b` or, without `is_border`, `\B`: what PCRE2 takes for a word character is less than Oniguruma's `\w`.
std::string word_border(bool is_border) {
  const std::string word = "[" + word_characters(Place::kAlone) + "]";
  return is_border ? fmt::format("(?:(?<={0})(?!{0})|(?<!{0})(?={0}))", word)
                   : fmt::format("(?:(?<={0})(?={0})|(?<!{0})(?!{0}))", word);
}

struct LongName {
  std::string_view folded, written;
};
constexpr LongName kCategories[] = {
    {"letter", "L"},
    {"uppercaseletter", "Lu"},
    {"lowercaseletter", "Ll"},
    {"titlecaseletter", "Lt"},
    {"modifierletter", "Lm"},
    {"otherletter", "Lo"},
    {"mark", "M"},
    {"combiningmark", "M"},
    {"nonspacingmark", "Mn"},
    {"spacingmark", "Mc"},
    {"enclosingmark", "Me"},
    {"number", "N"},
    {"decimalnumber", "Nd"},
    {"letternumber", "Nl"},
    {"othernumber", "No"},
    {"punctuation", "P"},
    {"connectorpunctuation", "Pc"},
    {"dashpunctuation", "Pd"},
    {"openpunctuation", "Ps"},
    {"closepunctuation", "Pe"},
    {"initialpunctuation", "Pi"},
    {"finalpunctuation", "Pf"},
    {"otherpunctuation", "Po"},
    {"symbol", "S"},
    {"mathsymbol", "Sm"},
    {"currencysymbol", "Sc"},
    {"modifiersymbol", "Sk"},
    {"othersymbol", "So"},
    {"separator", "Z"},
    {"spaceseparator", "Zs"},
    {"lineseparator", "Zl"},
    {"paragraphseparator", "Zp"},
    {"other", "C"},
    {"control", "Cc"},
    {"format", "Cf"},
    {"unassigned", "Cn"},
    {"privateuse", "Co"},
};
constexpr std::string_view kShortCategories =
    " l lu ll lt lm lo m mn mc me n nd nl no p pc pd ps pe pi pf po s sm sc sk so z zs zl zp c cc cf cn co ";

/// `[[:name:]]` and `\p{name}` of these are the same.
constexpr std::string_view kPosixNames =
    " alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit ";

/// A set of characters for use inside brackets.
struct ClassItems {
  std::string items;
  bool negated = false;  // what is meant is every other character
};

/// The names of POSIX, by Unicode's properties as Oniguruma has them.
ClassItems posix_items(std::string_view name, bool negated) {
  const std::string alpha = "\\p{Alphabetic}" + new_characters("L");
  const std::string digit = "\\p{Nd}" + new_characters("Nd");
  if (name == "alpha") return {alpha, negated};
  if (name == "digit") return {digit, negated};
  if (name == "alnum") return {alpha + digit, negated};
  if (name == "upper") return {"\\p{Uppercase}" + new_characters("Lu"), negated};
  if (name == "lower") return {"\\p{Lowercase}" + new_characters("Ll"), negated};
  if (name == "blank") return {"\\t\\p{Zs}", negated};
  if (name == "cntrl") return {"\\p{Cc}", negated};
  if (name == "graph") return {"\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Cf}\\p{Co}" + new_characters(""), negated};
  return {"[:" + std::string(name) + ":]", negated};
}

ClassItems property_items(std::string_view name, bool negated, Place place) {
  const std::string folded = folded_name(name);
  const std::string padded = " " + folded + " ";
  if (kShortCategories.find(padded) != std::string_view::npos) {
    std::string category(folded);
    category[0] = static_cast<char>(category[0] - 'a' + 'A');
    return {"\\p{" + category + "}" + new_characters(category), negated};
  }
  for (const LongName& long_name : kCategories) {
    if (long_name.folded == folded) {
      return {fmt::format("\\p{{{}}}", long_name.written) + new_characters(long_name.written), negated};
    }
  }
  if (folded == "space" || folded == "whitespace") return {std::string(kSpace), negated};
  if (folded == "word") return {word_characters(place), negated};
  if (folded == "punct" && place != Place::kPosix) {  // `[[:punct:]]` has symbols, too
    return {"\\p{P}" + new_characters("P"), negated};
  }
  if (folded == "any") return {R"(\x{0}-\x{10FFFF})", negated};
  if (kPosixNames.find(padded) != std::string_view::npos) return posix_items(folded, negated);
  std::string items = "\\p{sc:" + std::string(name) + "}";
  if (folded == "han") items += R"(\x{2B739}\x{2EBF0}-\x{2EE5D}\x{31350}-\x{323AF})";
  constexpr std::string_view kBinary =
      " alphabetic lowercase uppercase math dash cased caseignorable emoji extendedpictographic hexdigit "
      "ideographic idcontinue idstart xidcontinue xidstart diacritic extender ";
  if (kBinary.find(padded) != std::string_view::npos) items = "\\p{" + std::string(name) + "}";
  return {items, negated};
}

/// Reads Oniguruma's syntax and writes PCRE2's, piece by piece.
class Translator {
 public:
  explicit Translator(std::string_view pattern) : in_(pattern) {}

  std::string run() {
    while (pos_ < in_.size())
      element();
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    fail(ErrorKind::kUnsupported, "pattern {}: {} at byte {}", shown(in_), what, pos_);
  }
  bool at(std::string_view text) const { return in_.substr(pos_).starts_with(text); }
  void copy(std::size_t count) {
    out_ += in_.substr(pos_, count);
    pos_ += count;
  }

  void element();
  void group();
  void quantifier();
  void interval();
  void escape();
  std::optional<ClassItems> type_escape(Place place);
  std::string code_point_escape();
  std::string class_expression(int depth);
  std::string class_operand(std::string& items);
  void put_atom(const std::string& text) {
    atom_ = out_.size();
    out_ += text;
  }

  std::string_view in_;
  std::size_t pos_ = 0;
  std::string out_;
  std::size_t atom_ = std::string::npos;  // where the latest atom starts in out_
  std::vector<std::size_t> groups_;       // where each open group starts in out_
};

void Translator::element() {
  const char c = in_[pos_];
  if (c == '\\') {
    escape();
  } else if (c == '[') {
    put_atom(class_expression(0));
  } else if (c == '(') {
    group();
  } else if (c == ')') {
    if (!groups_.empty()) {
      atom_ = groups_.back();
      groups_.pop_back();
    }
    copy(1);
  } else if (c == '*' || c == '+' || c == '?') {
    quantifier();
  } else if (c == '{') {
    interval();
  } else {
    if (c != '|' && c != '^') atom_ = out_.size();
    const std::size_t begin = pos_;
    next_code_point(in_, pos_);
    out_ += in_.substr(begin, pos_ - begin);
  }
}

/// `(`, with options: Oniguruma's m lets the point match newlines, which PCRE2 calls s.
void Translator::group() {
  groups_.push_back(out_.size());
  if (at("(?#")) {
    const std::size_t end = in_.find(')', pos_);
    if (end == std::string_view::npos) refuse("a comment without an end");
    pos_ = end + 1;
    groups_.pop_back();
    return;
  }
  if (at("(?~")) refuse("the absence operator is not known");
  if (!at("(?") || pos_ + 2 >= in_.size() || in_[pos_ + 2] == '<' || in_[pos_ + 2] == '\'') {
    copy(at("(?<=") || at("(?<!") ? 4 : at("(?") ? 3 : 1);
    return;
  }
  copy(2);
  while (pos_ < in_.size() && (in_[pos_] == '-' || (in_[pos_] >= 'a' && in_[pos_] <= 'z'))) {
    const char option = in_[pos_++];
    if (option == 'x') refuse("the option x is not known");
    if (option != 'i' && option != 'm' && option != '-') refuse("an unknown option");
    out_ += option == 'm' ? 's' : option;
  }
  if (pos_ < in_.size() && in_[pos_] == ')') {
    copy(1);
    groups_.pop_back();
    atom_ = std::string::npos;
  } else if (pos_ < in_.size()) {
    copy(1);
  }
}

void Translator::quantifier() {
  copy(1);
  if (pos_ < in_.size() && (in_[pos_] == '?' || in_[pos_] == '+')) copy(1);
}

/// `{n,m}`: a `+` behind it repeats the whole once more instead of making it possessive, `{n}?` is optional
/// instead of lazy, and the lower bound may be missing.
void Translator::interval() {
  const std::size_t close = in_.find('}', pos_);
  const std::string_view body =
      close == std::string_view::npos ? std::string_view() : in_.substr(pos_ + 1, close - pos_ - 1);
  const std::size_t comma = body.find(',');
  const std::string_view low = body.substr(0, comma);
  const std::string_view high = comma == std::string_view::npos ? std::string_view() : body.substr(comma + 1);
  const auto is_number = [](std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  };
  if (atom_ == std::string::npos || (low.empty() && high.empty()) || !is_number(low) || !is_number(high)) {
    put_atom("\\{");
    ++pos_;
    return;
  }
  out_ +=
      fmt::format("{{{}{}{}}}", low.empty() ? "0" : low, comma == std::string_view::npos ? "" : ",", high);
  pos_ = close + 1;
  if (at("?") && comma != std::string_view::npos) {
    copy(1);
  } else if (at("+") || at("?")) {
    out_.insert(atom_, "(?:");
    out_ += ')';
    copy(1);
  }
}

/// `\s`, `\p{..}` and the like; nothing when the escape is another one.
std::optional<ClassItems> Translator::type_escape(Place place) {
  const char c = pos_ + 1 < in_.size() ? in_[pos_ + 1] : '\0';
  std::optional<ClassItems> found;
  switch (c) {
    case 's':
    case 'S':
      found = {std::string(kSpace), c == 'S'};
      break;
    case 'w':
    case 'W':
      found = {word_characters(place), c == 'W'};
      break;
    case 'd':
    case 'D':
      found = {"\\p{Nd}" + new_characters("Nd"), c == 'D'};
      break;
    case 'h':
    case 'H':
      found = {std::string(kHex), c == 'H'};
      break;
    case 'p':
    case 'P': {
      const std::size_t close = in_.find('}', pos_);
      if (pos_ + 2 >= in_.size() || in_[pos_ + 2] != '{' || close == std::string_view::npos) {
        refuse("a property without braces");
      }
      std::string_view name = in_.substr(pos_ + 3, close - pos_ - 3);
      const bool caret = name.starts_with('^');
      if (caret) name.remove_prefix(1);
      found = property_items(name, (c == 'P') != caret, place);
      pos_ = close + 1;
      return found;
    }
    default:
      return found;
  }
  pos_ += 2;
  return found;
}

/// An escape that stands for one character, inside or outside of brackets.
std::string Translator::code_point_escape() {
  const char c = in_[pos_ + 1];
  const auto hex = [&](std::size_t digits) {
    const std::string_view text = in_.substr(pos_ + 2, digits);
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (error != std::errc{} || text.empty()) refuse("an escape without digits");
    pos_ += 2 + static_cast<std::size_t>(end - text.data());
    return fmt::format("\\x{{{:X}}}", value);
  };
  if (c == 'u') return hex(4);
  if (c == 'x' && pos_ + 2 < in_.size() && in_[pos_ + 2] != '{') return hex(2);
  if (c == 'v') {
    pos_ += 2;
    return "\\x0B";
  }
  const std::size_t begin = pos_++;
  next_code_point(in_, pos_);
  return std::string(in_.substr(begin, pos_ - begin));
}

void Translator::escape() {
  if (pos_ + 1 >= in_.size()) refuse("a backslash at the end");
  if (const auto type = type_escape(Place::kAlone)) {
    put_atom((type->negated ? "[^" : "[") + type->items + "]");
    return;
  }
  const char c = in_[pos_ + 1];
  if (c == 'b' || c == 'B') {
    put_atom(word_border(c == 'b'));
    pos_ += 2;
    return;
  }
  if (c == 'x' && pos_ + 2 < in_.size() && in_[pos_ + 2] == '{') {
    atom_ = out_.size();
    copy(2);
    return;
  }
  if (c == 'Q' || c == 'E' || c == 'C' || c == 'O' || c == 'N' || c == 'y' || c == 'Y' || c == 'g') {
    refuse("an escape that is not known");
  }
  put_atom(code_point_escape());
}

/// Reads what stands between two `&&`; plain items go to `items`, the result are nested sets as alternatives.
std::string negated_items(const ClassItems& type) {
  if (type.items == kSpace) return std::string(kNoSpace);
  if (type.items == kHex) return std::string(kNoHex);
  return {};
}

constexpr std::string_view kAnyCharacter = R"([\x{0}-\x{10FFFF}])";

std::string Translator::class_operand(std::string& items) {
  std::string sets;  // alternatives that are no plain items
  if (in_[pos_] == '\\') {
    if (pos_ + 1 >= in_.size()) refuse("a backslash at the end");
    if (const auto type = type_escape(Place::kInBrackets)) {
      if (!type->negated) {
        items += type->items;
      } else if (const std::string others = negated_items(*type); !others.empty()) {
        items += others;
      } else {
        sets = "[^" + type->items + "]";
      }
    } else if (in_[pos_ + 1] == 'x' && pos_ + 2 < in_.size() && in_[pos_ + 2] == '{') {
      const std::size_t close = in_.find('}', pos_);
      if (close == std::string_view::npos) refuse("an escape without an end");
      items += in_.substr(pos_, close + 1 - pos_);
      pos_ = close + 1;
    } else {
      items += code_point_escape();
    }
    return sets;
  }
  const std::size_t begin = pos_;
  next_code_point(in_, pos_);
  items += in_.substr(begin, pos_ - begin);
  return sets;
}

/// A bracket expression, at `[`, as one PCRE2 class or, with nested sets or `&&`, as a group that matches one
/// character.
std::string Translator::class_expression(int depth) {
  constexpr int kMaxDepth = 20;
  if (depth > kMaxDepth) refuse("sets are nested too deeply");
  ++pos_;
  const bool negated = at("^");
  if (negated) ++pos_;
  std::vector<std::string> operands;  // of `&&`
  std::string items, sets;
  bool is_first = true;
  const auto operand = [&] {
    if (sets.empty()) return items.empty() ? std::string("(?!)") : "[" + items + "]";
    return "(?:" + (items.empty() ? std::string() : "[" + items + "]|") + sets + ")";
  };
  for (;; is_first = false) {
    if (pos_ >= in_.size()) refuse("a set without an end");
    if (in_[pos_] == ']' && !is_first) break;
    if (at("]")) {
      items += "\\]";
      ++pos_;
    } else if (at("&&")) {
      operands.push_back(operand());
      items.clear();
      sets.clear();
      pos_ += 2;
    } else if (at("[:") && in_.find(":]", pos_) != std::string_view::npos) {
      const std::size_t close = in_.find(":]", pos_);
      std::string_view name = in_.substr(pos_ + 2, close - pos_ - 2);
      const bool caret = name.starts_with('^');
      const ClassItems set = property_items(caret ? name.substr(1) : name, caret, Place::kPosix);
      pos_ = close + 2;
      if (set.negated) {
        sets += (sets.empty() ? "[^" : "|[^") + set.items + "]";
      } else {
        items += set.items;
      }
    } else {
      const std::string set = at("[") ? class_expression(depth + 1) : class_operand(items);
      if (!set.empty()) sets += (sets.empty() ? "" : "|") + set;
    }
  }
  ++pos_;
  if (operands.empty() && sets.empty()) {
    return items.empty() ? (negated ? std::string(kAnyCharacter) : std::string("(?!)"))
                         : (negated ? "[^" : "[") + items + "]";
  }
  operands.push_back(operand());
  std::string all;
  for (const std::string& part : operands)
    all += "(?=" + part + ")";
  return negated ? "(?:(?!" + all + ")" + std::string(kAnyCharacter) + ")"
                 : "(?:" + all + std::string(kAnyCharacter) + ")";
}

}  // namespace

std::string to_pcre2_pattern(std::string_view pattern) { return Translator(pattern).run(); }

}  // namespace llm2mnn
