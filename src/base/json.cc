#include "base/json.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <simdjson.h>

#include "base/file.h"
#include "base/utf8.h"

namespace llm2mnn {
namespace {

namespace ondemand = simdjson::ondemand;

// simdjson reads this far beyond the text's end (64 in 3.0, 64 in 3.6).
constexpr std::size_t kSpareBytes = 64;
static_assert(kSpareBytes >= simdjson::SIMDJSON_PADDING);

[[noreturn]] void fail_at(std::size_t offset, std::string_view problem) {
  fail(ErrorKind::kFormat, "not valid JSON at byte {}: {}", offset, problem);
}

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && is_space(text.back()))
    text.remove_suffix(1);
  return text;
}

// RFC 8259, section 6.
bool is_json_number(std::string_view text) {
  std::size_t i = 0;
  const auto digits = [&] {
    const std::size_t start = i;
    while (i < text.size() && is_digit(text[i]))
      ++i;
    return i - start;
  };
  if (i < text.size() && text[i] == '-') ++i;
  const bool leading_zero = i < text.size() && text[i] == '0';
  const std::size_t whole = digits();
  if (whole == 0 || (leading_zero && whole > 1)) return false;
  if (i < text.size() && text[i] == '.') {
    ++i;
    if (digits() == 0) return false;
  }
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
    if (digits() == 0) return false;
  }
  return i == text.size();
}

// Offset of the first byte that is not UTF-8, or the size of `text`. By blocks, because the validator of
// simdjson is a hundred times faster than one call for each character.
std::size_t utf8_fault(std::string_view text) {
  constexpr std::size_t kBlockBytes = 4096;
  std::size_t start = 0;
  std::size_t length = kBlockBytes;
  while (start < text.size()) {
    std::size_t end = std::min(text.size(), start + length);
    while (end < text.size() && end > start && continues_character(text[end]))
      --end;  // back to the start of a character
    if (end > start && is_utf8(text.substr(start, end - start))) {
      start = end;
    } else if (length > 4) {
      length /= 2;
    } else {
      break;
    }
  }
  // The fault is in the first character from here; one of at most three bytes may still be good.
  for (std::size_t size = 1; size <= std::min<std::size_t>(4, text.size() - start); ++size) {
    if (!is_utf8(text.substr(start, size))) continue;
    start += size;
    size = 0;
  }
  return start;
}

// Where and why simdjson's first stage refused: it reports neither.
[[noreturn]] void fail_in_first_stage(std::string_view text, simdjson::error_code code) {
  const std::size_t fault = utf8_fault(text);
  if (fault < text.size()) fail_at(fault, "invalid UTF-8");
  bool in_string = false;
  std::size_t string_start = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string && static_cast<unsigned char>(c) < 0x20) {
      fail_at(i, "a control character inside a string (it must be escaped)");
    } else if (c == '"') {
      in_string = !in_string;
      string_start = i;
    } else if (c == '\\' && in_string && i + 1 < text.size() &&
               static_cast<unsigned char>(text[i + 1]) >= 0x20) {
      ++i;
    }
  }
  if (in_string) fail_at(string_start, "a string without a closing quote");
  if (code == simdjson::MEMALLOC || code == simdjson::CAPACITY) fail_at(0, "no memory to read it");
  fail_at(text.size(), "the document ends too early");
}

// Refuses a document whose index would take too much memory, before the index is made.
void check_num_tokens(std::string_view text, std::uint64_t max_tokens) {
  if (text.size() <= max_tokens) return;
  std::uint64_t count = 0;
  bool in_scalar = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      ++count;
      in_scalar = false;
      for (++i; i < text.size() && text[i] != '"'; ++i) {
        if (text[i] == '\\') ++i;
      }
    } else if (c == ',' || c == ':' || c == '[' || c == ']' || c == '{' || c == '}') {
      ++count;
      in_scalar = false;
    } else if (is_space(c)) {
      in_scalar = false;
    } else if (!in_scalar) {
      ++count;
      in_scalar = true;
    }
  }
  if (count > max_tokens) {
    fail(ErrorKind::kFormat, "{} JSON tokens, more than the limit of {} for this document", count,
         max_tokens);
  }
}

// simdjson 3.6 asks whether lone surrogates may be replaced, 3.0 always refuses them.
template <typename Field>
auto unescaped_key(Field& field) {
  if constexpr (requires { field.unescaped_key(false); }) {
    return field.unescaped_key(false);
  } else {
    return field.unescaped_key();
  }
}

// Visits every value of one document. On-Demand parses lazily, so each value is consumed and checked here:
// strings by simdjson, numbers and words from their raw text.
class Walker {
 public:
  Walker(std::string_view text, JsonHandler& handler, int max_depth)
      : text_(text), handler_(handler), max_depth_(max_depth) {}

  void run() {
    const simdjson::error_code code =
        parser_.iterate(text_.data(), text_.size(), text_.size() + kSpareBytes).get(document_);
    if (code != simdjson::SUCCESS) fail_in_first_stage(text_, code);
    const std::string_view root = trimmed(text_);
    check_last_character(root);
    if (root.front() == '{') {
      ondemand::object object;
      check(document_.get_object().get(object));
      walk_object(object, 1);
    } else if (root.front() == '[') {
      ondemand::array array;
      check(document_.get_array().get(array));
      walk_array(array, 1);
    } else if (root.front() == '"') {
      std::string_view string;
      check(document_.get_string().get(string));
      handler_.on_string(string);
    } else {
      on_scalar(root);
      return;
    }
    const char* rest = nullptr;
    if (document_.current_location().get(rest) == simdjson::SUCCESS) {
      fail_at(offset_of(rest), "text after the end of the document");
    }
  }

 private:
  // simdjson refuses these too, with the place of the first bracket.
  void check_last_character(std::string_view root) const {
    const char close = root.front() == '{' ? '}' : root.front() == '[' ? ']' : '\0';
    if (close == '\0' || root.back() == close) return;
    fail_at(offset_of(&root.back()),
            fmt::format(
                "the document must end with the '{}' of its first bracket: it is cut off, or text follows",
                close));
  }

  std::size_t offset_of(const char* place) const {
    const std::ptrdiff_t offset = place - text_.data();
    return std::min(text_.size(), offset < 0 ? 0 : static_cast<std::size_t>(offset));
  }

  void check(simdjson::error_code code) {
    if (code == simdjson::SUCCESS) return;
    const char* place = nullptr;
    if (document_.current_location().get(place) != simdjson::SUCCESS) place = text_.data() + text_.size();
    const std::size_t offset = offset_of(place);
    if (code == simdjson::TRAILING_CONTENT) fail_at(offset, "text after the end of the document");
    if (code == simdjson::STRING_ERROR) {
      fail_at(offset, "an invalid escape in the string before this place");
    }
    if (offset >= text_.size() || code == simdjson::INCOMPLETE_ARRAY_OR_OBJECT) {
      fail_at(offset, "an array or object is not closed");
    }
    fail_at(offset, "a value, ',', ':' or a closing bracket is missing or misplaced");
  }

  void enter(int depth) {
    if (depth > max_depth_) fail(ErrorKind::kFormat, "JSON nested deeper than the limit of {}", max_depth_);
  }

  void walk_object(ondemand::object object, int depth) {
    enter(depth);
    handler_.on_begin_object();
    for (auto item : object) {
      ondemand::field field;
      check(std::move(item).get(field));
      // Few keys have escapes: the others are shown where they stand, without simdjson's copy.
      const char* raw = field.key().raw();
      std::string_view key = raw_string(raw);
      if (key.data() == nullptr) check(unescaped_key(field).get(key));
      handler_.on_key(key);
      walk_value(field.value(), depth);
    }
    handler_.on_end_object();
  }

  void walk_array(ondemand::array array, int depth) {
    enter(depth);
    handler_.on_begin_array();
    for (auto item : array) {
      ondemand::value value;
      check(std::move(item).get(value));  // NOLINT(performance-move-const-arg): get() asks for an rvalue
      walk_value(value, depth);
    }
    handler_.on_end_array();
  }

  void walk_value(ondemand::value value, int depth) {
    const std::string_view token = value.raw_json_token();
    switch (token.empty() ? '\0' : token.front()) {
      case '{': {
        ondemand::object object;
        check(value.get_object().get(object));
        walk_object(object, depth + 1);
        return;
      }
      case '[': {
        ondemand::array array;
        check(value.get_array().get(array));
        walk_array(array, depth + 1);
        return;
      }
      case '"':
        walk_string(value, token.data() + 1);
        return;
      default:
        on_scalar(trimmed(token));
    }
  }

  void walk_string(ondemand::value value, const char* raw) {
    std::string_view string = raw_string(raw);
    if (string.data() == nullptr) {
      check(value.get_string().get(string));
    } else {
      ondemand::raw_json_string consumed;
      check(value.get_raw_json_string().get(consumed));
    }
    handler_.on_string(string);
  }

  // The string that starts at `raw`, when it has no escapes; a null view otherwise. The first stage has
  // checked its UTF-8, its control characters and that it is closed.
  std::string_view raw_string(const char* raw) const {
    const char* end = text_.data() + text_.size();
    for (const char* c = raw; c < end; ++c) {
      if (*c == '"') return {raw, static_cast<std::size_t>(c - raw)};
      if (*c == '\\') break;
    }
    return {};
  }

  void on_scalar(std::string_view token) {
    if (token == "null") {
      handler_.on_null();
    } else if (token == "true") {
      handler_.on_bool(true);
    } else if (token == "false") {
      handler_.on_bool(false);
    } else if (is_json_number(token)) {
      handler_.on_number(token);
    } else {
      fail_at(offset_of(token.data()), fmt::format("expected a value, found {}", shown(token, 20)));
    }
  }

  std::string_view text_;
  JsonHandler& handler_;
  int max_depth_;
  ondemand::parser parser_;
  ondemand::document document_;
};

// `text` has kSpareBytes readable bytes behind it.
void parse_padded(std::string_view text, JsonHandler& handler, const JsonLimits& limits) {
  if (trimmed(text).empty())
    fail(ErrorKind::kFormat, "the file is empty or blank, a JSON document was expected");
  if (text.substr(0, 3) == "\xEF\xBB\xBF") {
    fail_at(0, "a byte-order mark; save the file as UTF-8 without it");
  }
  check_num_tokens(text, limits.max_tokens);
  Walker(text, handler, limits.max_depth).run();
}

void check_num_bytes(std::uint64_t num_bytes, const JsonLimits& limits) {
  if (num_bytes > limits.max_bytes) {
    fail(ErrorKind::kFormat, "{} bytes of JSON, more than the limit of {} bytes", num_bytes,
         limits.max_bytes);
  }
}

}  // namespace

bool is_utf8(std::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

JsonBuffer::JsonBuffer(std::size_t num_bytes)
    : data_(std::make_unique_for_overwrite<char[]>(num_bytes + kSpareBytes)), num_bytes_(num_bytes) {
  std::memset(data_.get() + num_bytes, 0, kSpareBytes);
}

std::span<std::byte> JsonBuffer::bytes() {
  return std::as_writable_bytes(std::span(data_.get(), num_bytes_));
}

void parse_json_events(std::string_view text, JsonHandler& handler, const JsonLimits& limits) {
  check_num_bytes(text.size(), limits);
  JsonBuffer buffer(text.size());
  if (!text.empty()) std::memcpy(buffer.bytes().data(), text.data(), text.size());
  parse_padded(buffer.text(), handler, limits);
}

void parse_json_events(const JsonBuffer& buffer, JsonHandler& handler, const JsonLimits& limits) {
  check_num_bytes(buffer.text().size(), limits);
  parse_padded(buffer.text(), handler, limits);
}

void load_json_events(const std::filesystem::path& path, JsonHandler& handler, const JsonLimits& limits) {
  const File file = File::open_regular(path);
  try {
    check_num_bytes(file.size(), limits);
  } catch (Error& error) {
    error.add_context(shown(file.name()));
    throw;
  }
  JsonBuffer buffer(file.size());
  file.read_exact(0, buffer.bytes());
  try {
    parse_padded(buffer.text(), handler, limits);
  } catch (Error& error) {
    error.add_context(shown(file.name()));
    throw;
  }
}

}  // namespace llm2mnn
