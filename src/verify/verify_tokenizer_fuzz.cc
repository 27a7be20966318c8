// A tokenizer.mtok or tokenizer.txt from hostile bytes, and texts through what it describes.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "verify/runtime_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view file(reinterpret_cast<const char*>(data), size);
  try {
    const auto tokenizer = llm2mnn::verify::RuntimeTokenizer::parse(file);
    for (std::uint32_t id = 0; id < 8; ++id)
      tokenizer.decode(id);
    for (const std::string_view text :
         {"", " abc  ab<|eos|> 12\n", "\xC3\xA9\xE2\x96\x81\xF0\x9F\x98\x80\xFF"})
      tokenizer.encode(text);
    tokenizer.encode(file.substr(0, 256));
  } catch (const llm2mnn::Error& error) {
    if (error.kind() == llm2mnn::ErrorKind::kInternal) __builtin_trap();  // hostile input is no bug of ours
  }
  return 0;
}
