// encoder_bench CHECKPOINT_DIR TEXT_FILE [ROUNDS]: time to read a tokenizer, to make the encoder, and to
// encode and decode the text. The first round fills the cache of words.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "tokenizer/encoder.h"
#include "tokenizer/source.h"

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void run(const char* dir, const char* file, int rounds) {
  std::ifstream stream(file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  const double start = now();
  llm2mnn::TokenizerModel model = llm2mnn::load_tokenizer_source(dir).model;
  const double read = now();
  const llm2mnn::Encoder encoder(std::move(model));
  fmt::print("read {:.3f} s, made {:.3f} s, text {:.1f} MB\n", read - start, now() - read,
             static_cast<double>(text.size()) / 1e6);
  for (int round = 0; round < rounds; ++round) {
    const double begin = now();
    const std::vector<std::uint32_t> ids = encoder.encode(text, false);
    const double encoded = now();
    const std::string back = encoder.decode(ids, false);
    const double decoded = now();
    const auto rate = [&](double seconds) { return static_cast<double>(text.size()) / 1e6 / seconds; };
    fmt::print("encode {:.3f} s, {:.1f} MB/s, {} ids; decode {:.3f} s, {:.1f} MB/s, {}\n", encoded - begin,
               rate(encoded - begin), ids.size(), decoded - encoded, rate(decoded - encoded),
               back == text ? "the same text" : "another text");
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: encoder_bench CHECKPOINT_DIR TEXT_FILE [ROUNDS]\n", stderr);
    return 2;
  }
  try {
    run(argv[1], argv[2], argc > 3 ? std::atoi(argv[3]) : 3);
  } catch (const llm2mnn::Error& error) {
    fmt::print(stderr, "error: {}\n", error.message());
    return 1;
  }
  return 0;
}
