#include "tokenizer/source.h"

#include <array>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "tokenizer/class_rules.h"
#include "tokenizer/hugging_face.h"
#include "tokenizer/sentencepiece.h"
#include "tokenizer/source_options.h"
#include "tokenizer/tekken.h"
#include "tokenizer/tiktoken.h"
#include "tokenizer/tokenizer_json.h"
#include "tokenizer/vocab_files.h"

namespace llm2mnn {

namespace {

TokenizerModel load_document(const std::filesystem::path& path, const TokenizerConfig& config) {
  TokenizerJson document = load_tokenizer_json(path);
  try {
    return build_tokenizer_model(std::move(document), config);
  } catch (Error& error) {
    error.add_context(shown("tokenizer.json"));
    throw;
  }
}

/// tokenizer.model has two forms.
TokenizerModel load_model_file(const std::filesystem::path& path, const SourceOptions& options,
                               TokenizerConfig& config) {
  const std::string bytes = read_text_file(path, kMaxSentencePieceBytes);
  if (looks_like_tiktoken(bytes)) return load_tiktoken(path, options, config);
  try {
    return build_sentencepiece(parse_sentencepiece(bytes), options, config);
  } catch (Error& error) {
    error.add_context(shown(path.filename().string()));
    throw;
  }
}

/// Reads one of the files that are a vocabulary by themselves.
using Loader = TokenizerModel (*)(const std::filesystem::path&, const SourceOptions&, TokenizerConfig&);
struct SourceFile {
  const char* name;
  Loader load;
};
constexpr std::array<SourceFile, 8> kSourceFiles = {{
    {"tokenizer.model", load_model_file},
    {"spiece.model", load_model_file},
    {"sentencepiece.bpe.model", load_model_file},
    {"ice_text.model", load_model_file},
    {"qwen.tiktoken", load_tiktoken},
    {"hy.tiktoken", load_tiktoken},
    {"tekken.json", load_tekken},
    {"vocab.txt", load_vocab_txt},
}};

void load_other(const std::filesystem::path& dir, TokenizerSource& source) {
  const SourceOptions options(source.config);
  if (entry_exists(dir / "vocab.json") && entry_exists(dir / "merges.txt")) {
    source.file = "vocab.json and merges.txt";
    source.model = load_vocab_and_merges(dir, options, source.config);
    return;
  }
  for (const SourceFile& file : kSourceFiles) {
    if (!entry_exists(dir / file.name)) continue;
    source.file = file.name;
    source.model = file.load(dir / file.name, options, source.config);
    return;
  }
  fail(ErrorKind::kIo,
       "'tokenizer.json': not found in {}; give the directory of the tokenizer with --tokenizer_path",
       shown(dir.string()));
}

}  // namespace

TokenizerSource load_tokenizer_source(const std::filesystem::path& dir) {
  TokenizerSource source;
  source.config = load_tokenizer_config(dir);
  const std::filesystem::path document = dir / "tokenizer.json";
  if (entry_exists(document)) {
    source.file = "tokenizer.json";
    apply_class_defaults(source.config);
    source.model = load_document(document, source.config);
  } else {
    load_other(dir, source);
  }
  return source;
}

}  // namespace llm2mnn
