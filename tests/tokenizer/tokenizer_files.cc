// tokenizer_files CHECKPOINT_DIR OUTPUT_DIR: writes tokenizer.mtok and tokenizer.txt of a checkpoint's
// tokenizer, and prints what else its package says. For tests: no weights are needed.

#include <cstdio>
#include <filesystem>
#include <fmt/ranges.h>
#include <span>

#include "base/error.h"
#include "base/file.h"
#include "tokenizer/source.h"
#include "tokenizer/tokenizer_package.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: tokenizer_files CHECKPOINT_DIR OUTPUT_DIR\n", stderr);
    return 2;
  }
  try {
    const llm2mnn::TokenizerPackage package =
        llm2mnn::make_tokenizer_package(llm2mnn::load_tokenizer_source(argv[1]), {});
    const auto write = [&](const char* name, const std::string& bytes) {
      const llm2mnn::File file = llm2mnn::File::create(std::filesystem::path(argv[2]) / name);
      file.write_all(0, std::as_bytes(std::span(bytes)));
    };
    write("tokenizer.mtok", package.mtok);
    write("tokenizer.txt", package.txt);
    fmt::print("{}, {} ids, stop {}, prefix {}\n", package.kind, package.vocab_size,
               fmt::join(package.stop_ids, " "), fmt::join(package.prefix_ids, " "));
    fmt::print("{}\n", package.txt_limits);
    for (const std::string& note : package.notes)
      fmt::print("{}\n", note);
  } catch (const llm2mnn::Error& error) {
    fmt::print(stderr, "error: {}\n", error.message());
    return 1;
  }
  return 0;
}
