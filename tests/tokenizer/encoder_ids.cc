// encoder_ids CHECKPOINT_DIR: reads JSON strings, one a line, and prints for each a line
// {"plain": [ids], "special": [ids], "text": decoded, "skipped": decoded without special tokens}. For tests.

#include <cstdio>
#include <fmt/ranges.h>
#include <iostream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "tokenizer/encoder.h"
#include "tokenizer/source.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: encoder_ids CHECKPOINT_DIR < LINES\n", stderr);
    return 2;
  }
  try {
    const llm2mnn::Encoder encoder(llm2mnn::load_tokenizer_source(argv[1]).model);
    for (std::string line; std::getline(std::cin, line);) {
      const llm2mnn::JsonValue value = llm2mnn::parse_json("[" + line + "]");
      const std::string_view text = value.as_array().at(0).as_string();
      const std::vector<std::uint32_t> plain = encoder.encode(text, false);
      const std::vector<std::uint32_t> special = encoder.encode(text, true);
      const auto quoted = [&](bool skip) {
        return llm2mnn::JsonValue::make_string(encoder.decode(special, skip)).dump();
      };
      fmt::print("{{\"plain\": [{}], \"special\": [{}], \"text\": {}, \"skipped\": {}}}\n",
                 fmt::join(plain, ", "), fmt::join(special, ", "), quoted(false), quoted(true));
    }
  } catch (const llm2mnn::Error& error) {
    fmt::print(stderr, "error: {}\n", error.message());
    return 1;
  }
  return 0;
}
