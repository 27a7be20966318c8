// tokenizer.json from hostile bytes, through the description, to both writers.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "tokenizer/checkpoint_config.h"
#include "tokenizer/tokenizer_package.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  llm2mnn::TokenizerConfig config;
  config.role_tokens[0] = llm2mnn::NamedToken{"<s>", std::nullopt, false};
  config.role_tokens[1] = llm2mnn::NamedToken{"<|eos|>", std::nullopt, false};
  llm2mnn::collect_special_tokens(config);
  config.chat_template = "{{ bos_token }}{{ messages[0].content }}";
  try {
    llm2mnn::make_tokenizer_package(std::string_view(reinterpret_cast<const char*>(data), size), config, {2});
  } catch (const llm2mnn::Error& error) {
    if (error.kind() == llm2mnn::ErrorKind::kInternal) __builtin_trap();  // hostile input is no bug of ours
  }
  return 0;
}
