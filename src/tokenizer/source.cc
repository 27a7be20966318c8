#include "tokenizer/source.h"

#include "base/error.h"
#include "base/file.h"
#include "tokenizer/hugging_face.h"
#include "tokenizer/sentencepiece.h"
#include "tokenizer/source_options.h"
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

TokenizerModel load_model_file(const std::filesystem::path& path, const SourceOptions& options,
                               TokenizerConfig& config) {
  const std::string bytes = read_text_file(path, kMaxSentencePieceBytes);
  try {
    return build_sentencepiece(parse_sentencepiece(bytes), options, config);
  } catch (Error& error) {
    error.add_context(shown(path.filename().string()));
    throw;
  }
}

void load_other(const std::filesystem::path& dir, TokenizerSource& source) {
  const auto has = [&](const char* name) { return entry_exists(dir / name); };
  const SourceOptions options = load_source_options(dir, source.config);
  if (has("vocab.json") && has("merges.txt")) {
    source.file = "vocab.json and merges.txt";
    source.model = load_vocab_and_merges(dir, options, source.config);
    return;
  }
  for (const char* name : {"tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "ice_text.model"}) {
    if (!has(name)) continue;
    source.file = name;
    source.model = load_model_file(dir / name, options, source.config);
    return;
  }
  for (const char* name : {"qwen.tiktoken", "hy.tiktoken", "tekken.json"}) {
    if (!has(name)) continue;
    fail(ErrorKind::kUnsupported, "'tokenizer.json': not found in {}, and {} is not supported yet",
         shown(dir.string()), name);
  }
  if (has("vocab.txt")) {
    source.file = "vocab.txt";
    source.model = load_vocab_txt(dir, options, source.config);
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
    source.model = load_document(document, source.config);
  } else {
    load_other(dir, source);
  }
  return source;
}

}  // namespace llm2mnn
