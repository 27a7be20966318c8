// SentencePiece models from hostile bytes, for a class of each pipeline.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "tokenizer/sentencepiece.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace llm2mnn;
  constexpr std::size_t kMaxSize = 1 << 16;  // more takes time and shows nothing new
  if (size > kMaxSize) return 0;
  for (const char* name : {"LlamaTokenizer", "GemmaTokenizer", "XLMRobertaTokenizer", "BaichuanTokenizer"}) {
    try {
      TokenizerConfig of_checkpoint;
      of_checkpoint.tokenizer_class = name;
      TokenizerConfig config;
      build_sentencepiece(parse_sentencepiece(std::string_view(reinterpret_cast<const char*>(data), size)),
                          SourceOptions(of_checkpoint), config);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kInternal) __builtin_trap();  // hostile input is no bug of ours
    }
  }
  return 0;
}
