// Templates from hostile bytes are lowered in bounded time, and what comes out is a template again.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "jinja/lowering.h"
#include "jinja/template.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace llm2mnn;
  constexpr std::size_t kMaxSize = 1 << 14;  // more takes time and shows nothing new
  if (size > kMaxSize) return 0;
  jinja::LoweredTemplate lowered;
  try {
    lowered = jinja::lower_template(std::string_view(reinterpret_cast<const char*>(data), size));
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInternal) __builtin_trap();  // hostile input is no bug of ours
    return 0;
  }
  try {
    jinja::parse_template(lowered.text);
  } catch (const Error& error) {
    // A rewrite may nest deeper than the parser goes.
    if (std::string_view(error.what()).find("nested") == std::string_view::npos &&
        std::string_view(error.what()).find("in a row") == std::string_view::npos) {
      __builtin_trap();
    }
  }
  return 0;
}
