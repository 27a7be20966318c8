// tokenizer.json from hostile bytes; a short text through what it describes and back.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "tokenizer/encoder.h"
#include "tokenizer/hugging_face.h"
#include "tokenizer/tokenizer_json.h"

namespace {

/// 200 bytes: words, runs of one letter and of blanks, digits, marks, other scripts, an added token.
std::string make_text() {
  std::string text =
      "Hello abc  ab<|eos|> 12 345\n\n\tit's \xC3\xA9"
      "e\xCC\x81 \xE2\x96\x81\xF0\x9F\x98\x80 \xE4\xB8\xAD\xE6\x96\x87 ";
  text += std::string(60, 'a') + std::string(20, ' ');
  constexpr std::size_t kSize = 200;
  while (text.size() < kSize)
    text += "ab,"[text.size() % 3];
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace llm2mnn;
  static const std::string kText = make_text();
  try {
    const Encoder encoder(build_tokenizer_model(
        parse_tokenizer_json(std::string_view(reinterpret_cast<const char*>(data), size)),
        TokenizerConfig{}));
    encoder.decode(encoder.encode(kText, true), false);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInternal) __builtin_trap();  // hostile input is no bug of ours
  }
  return 0;
}
