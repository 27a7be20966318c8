// Any bytes: a document or one Error(kFormat), and the same judgement as another JSON parser.

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace {

using namespace llm2mnn;

struct Numbers : JsonHandler {
  bool all_finite = true;
  void on_number(std::string_view text) override {
    try {
      JsonValue::make_number(std::string(text)).as_double();
    } catch (const Error&) {
      all_finite = false;
    }
  }
};

void require(bool condition) {
  if (!condition) std::abort();
}

void compare(std::string_view text) {
  Numbers numbers;
  std::string refusal;
  try {
    parse_json_events(text, numbers);
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::kFormat && error.message().size() <= 500);
    refusal = error.message();
  }
  // The other parser skips a byte-order mark, ends at NUL, has no depth limit, and refuses numbers beyond
  // double.
  const bool is_comparable = text.substr(0, 1) != "\xEF" && text.find('\0') == std::string_view::npos &&
                             refusal.find("nested deeper") == std::string::npos && numbers.all_finite;
  if (is_comparable) require(nlohmann::json::accept(text) == refusal.empty());
}

// Calls `read`, which may only refuse as a format error.
template <typename Read>
void refuses_at_most(Read&& read) {
  try {
    read();
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::kFormat && error.message().size() <= 500);
  }
}

void read_every_way(const JsonValue& value) {
  refuses_at_most([&] { value.as_bool(); });
  refuses_at_most([&] { value.as_string(); });
  refuses_at_most([&] { value.as_int64(); });
  refuses_at_most([&] { value.as_double(); });
  refuses_at_most([&] { value.as_array(); });
  refuses_at_most([&] {
    for (const auto& [key, member] : value.as_object())
      require(value.find(key) == &member);
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  compare(text);
  // Limits in reach of small inputs.
  refuses_at_most([&] { parse_json(text, {.max_bytes = 1000, .max_depth = 8, .max_tokens = 20}); });
  refuses_at_most([&] {
    const JsonValue value = parse_json(text);
    require(parse_json(value.dump()) == value);
    read_every_way(value);
    if (!value.is_array()) return;
    for (const JsonValue& item : value.as_array())
      read_every_way(item);
  });
  return 0;
}
