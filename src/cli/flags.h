#pragma once
// The flags of each command: what the help says of them, and from words to options.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "convert/options.h"

namespace llm2mnn::cli {

/// What the help of every command ends with.
extern const char* const kExitCodes;
extern const char* const kExportExample;

/// Values as typed; checked one by one in `..._options`, so that every message names its flag.
struct Words {
  std::string path, dst_path = "./model", export_format = "mnn", type, tokenizer_path, family;
  std::string quant_bit, quant_block, lm_quant_bit, lm_quant_block, embed_bit, method, scale_bit, compat, threads;
  std::string onnx_flavour, onnx_opset, onnx_quant, dtype, accuracy_level, dump_ir;
  bool sym = false, hqq = false, seperate_embed = false, dry_run = false, overwrite = false;
  std::string chat_template;
  bool allow_tokenizer_mismatch = false, allow_approximate = false, text_only = false;
  std::string text_file, messages;
  bool add_special_tokens = false, json_lines = false, decode = false, lowered = false;
  Output output;
};

/// Each adds a command's flags, which fill `words`.
void add_export(CLI::App& command, Words& words);
void add_convert(CLI::App& command, Words& words);
void add_inspect(CLI::App& command, Words& words);
void add_tokenize(CLI::App& command, Words& words);
void add_template(CLI::App& command, Words& words);
void add_families(CLI::App& command, Words& words);

/// @throws Error(kInvalidArgument) naming the flag for a value or a combination that means nothing.
ExportOptions export_options(const CLI::App& command, const Words& words);
ExportOptions convert_options(const CLI::App& command, const Words& words);
/// An empty word would silently mean "not given". @throws Error(kInvalidArgument).
void check_not_empty(const CLI::App& command);

/// Refuses the flags of the incumbent that cannot be honoured.
/// @return what to say about those that have no effect here.
std::vector<std::string> foreign_notes(const CLI::App& command);

}  // namespace llm2mnn::cli
