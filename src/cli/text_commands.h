#pragma once
// `tokenize` and `template`: text in, text out.

#include <filesystem>

namespace llm2mnn::cli {

struct TokenizeOptions {
  std::filesystem::path path;       ///< checkpoint or package
  std::filesystem::path text_file;  ///< empty: standard input
  bool add_special_tokens = false;
  bool json_lines = false;  ///< lines of text are JSON strings
  bool decode = false;      ///< lines of ids in, text out
};
/// One line out for each line in. Lines end at "\n" only.
void run_tokenize_command(const TokenizeOptions& options);

struct TemplateOptions {
  std::filesystem::path path;      ///< checkpoint or package
  std::filesystem::path messages;  ///< JSON file
  bool lowered = false;            ///< show what an export writes, and why, instead of a prompt
};
/// Prints the prompt and nothing else.
void run_template_command(const TemplateOptions& options);

}  // namespace llm2mnn::cli
