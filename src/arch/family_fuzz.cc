// Any bytes as a family file: an Error or a family, never anything else.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "arch/embedded_families.h"
#include "arch/family_data.h"

namespace {

// The first built-in root, so that inheriting inputs reach the checks of the whole.
const llm2mnn::Family& parent_family() {
  static const llm2mnn::Family family = [] {
    for (const llm2mnn::EmbeddedFamily& file : llm2mnn::embedded_families()) {
      llm2mnn::Family own = llm2mnn::read_family(file.text, std::string(file.name), "root.toml");
      if (own.inherits.empty()) return llm2mnn::inherit(std::move(own), nullptr);
    }
    return llm2mnn::Family{};
  }();
  return family;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    llm2mnn::Family own = llm2mnn::read_family(text, "fuzz", "fuzz.toml");
    const llm2mnn::Family* parent = own.inherits.empty() ? nullptr : &parent_family();
    const llm2mnn::Family whole = llm2mnn::inherit(std::move(own), parent);
    whole.consumed_keys();
  } catch (const llm2mnn::Error& error) {
    // One line of text, whatever the bytes were.
    for (const char c : error.message()) {
      if (c == '\n') __builtin_trap();
    }
  }
  return 0;
}
