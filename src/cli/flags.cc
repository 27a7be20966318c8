#include "cli/flags.h"

#include <fmt/ranges.h>
#include <initializer_list>

#include "base/error.h"
#include "cli/args.h"
#include "jinja/family_templates.h"
#include "quant/method.h"

namespace llm2mnn::cli {

const char* const kExitCodes =
    "Exit codes: 0 success; 2 bad flag or flag combination; 3 broken input (config, weights, tokenizer);\n"
    "4 input that is valid but not supported; 5 the system refused a read or a write; 6 disk full;\n"
    "70 a fault of this program; 129 stopped by HUP; 130 stopped by INT; 143 stopped by TERM.";

const char* const kExportExample =
    "Example:\n"
    "  llm2mnn export --path Qwen3-0.6B --dst_path Qwen3-0.6B-MNN --quant_bit 4 --quant_block 64\n\n";

namespace {

void add_output_flags(CLI::App& command, Words& words) {
  command.add_flag("--json", words.output.json, "print the result as JSON");
  command.add_flag("--quiet", words.output.quiet, "print nothing but errors and what --json prints");
  command.add_flag("--verbose", words.output.verbose, "print long lists in full");
}

void add_foreign_flags(CLI::App& command) {
  for (const ForeignFlag& flag : foreign_flags()) {
    CLI::Option* option = nullptr;
    if (flag.takes_value) {
      option = command.add_option(flag.name);
    } else {
      option = command.add_flag(flag.name);
    }
    option->group("");  // known, but not shown in the help
  }
}

std::string method_help() {
  std::string text = fmt::format("how the grid of a group is chosen (default {}):", kDefaultMethod);
  for (const QuantMethod* method : quant_methods())
    text += fmt::format("\n{}: {}", method->name(), method->summary());
  return text;
}

// How a package is quantised; of `export` and `convert`.
void add_quant_flags(CLI::App& command, Words& words) {
  command.add_option("--quant_bit", words.quant_bit, "bits per weight: 2-8, 16 or 32 (default 4)")
      ->type_name("N");
  command
      .add_option("--quant_block", words.quant_block,
                  "weights per scale: a multiple of 16; 0: whole rows (default 64)")
      ->type_name("N");
  command.add_option("--lm_quant_bit", words.lm_quant_bit, "the same for lm_head (default: --quant_bit)")
      ->type_name("N");
  command
      .add_option("--lm_quant_block", words.lm_quant_block, "the same for lm_head (default: --quant_block)")
      ->type_name("N");
  command.add_option("--method", words.method, method_help())->type_name("NAME");
  command.add_flag("--hqq", words.hqq, "short for --method hqq");
  command.add_flag("--sym", words.sym, "symmetric codes: scales without offsets");
  command
      .add_option("--scale_bit", words.scale_bit,
                  "width of scales and offsets: 16 or 32 (default 16; 32 with --compat 3.1)")
      ->type_name("N");
  command.add_option("--embed_bit", words.embed_bit, "the embedding as its own file: 16 (bf16), 8 or 4 bits")
      ->type_name("N");
  command.add_flag("--seperate_embed", words.seperate_embed, "a tied embedding as its own bf16 file");
  command.add_option("--compat", words.compat, "3.1: a graph for runtimes before 3.6.1")
      ->type_name("VERSION");
}

void add_run_flags(CLI::App& command, Words& words) {
  command.add_flag("--dry_run", words.dry_run, "print the whole plan with exact sizes; write nothing");
  command
      .add_option("--dump_ir", words.dump_ir,
                  "write the graph, as it is meant and as it is stored, to a new file")
      ->type_name("FILE");
  command.add_flag("--overwrite", words.overwrite, "replace a package of ours at --dst_path");
  command.add_option("--threads", words.threads, "worker threads (default: one per processor)")
      ->type_name("N");
  add_output_flags(command, words);
  add_foreign_flags(command);
}

std::string built_in_templates() {
  std::vector<std::string_view> names;
  for (const jinja::FamilyTemplate& family : jinja::family_templates())
    names.push_back(family.name);
  const std::string_view last = names.back();
  names.pop_back();
  return fmt::format("{} or {}", fmt::join(names, ", "), last);
}

void add_approximate_flag(CLI::App& command, Words& words) {
  command.add_flag("--allow_approximate", words.allow_approximate,
                   "leave out a feature that the output cannot express, and say which");
}

}  // namespace

void add_export(CLI::App& command, Words& words) {
  command.add_option("--path", words.path, "checkpoint directory (config.json, safetensors, tokenizer.json)")
      ->type_name("DIR")
      ->required();
  command.add_option("--dst_path", words.dst_path, "package directory; absent or empty (default ./model)")
      ->type_name("DIR");
  command.add_option("--export", words.export_format, "output format: mnn (default) or onnx")
      ->type_name("FORMAT");
  command.add_option("--type", words.type, "treat the model as this model_type")->type_name("NAME");
  command.add_option("--family", words.family, "a family file of your own (docs/adding-a-family.md)")
      ->type_name("FILE");
  command.add_flag("--text_only", words.text_only,
                   "the language model of a multimodal checkpoint, without the rest");
  command
      .add_option("--tokenizer_path", words.tokenizer_path,
                  "directory of the tokenizer files (default: --path)")
      ->type_name("DIR");
  command
      .add_option("--chat_template", words.chat_template,
                  "a Jinja file, or a built-in simple template, instead of the checkpoint's:\n" +
                      built_in_templates())
      ->type_name("FILE|NAME");
  command.add_flag("--allow_tokenizer_mismatch", words.allow_tokenizer_mismatch,
                   "go on when the written tokenizer does not give Hugging Face's ids");
  add_approximate_flag(command, words);
  add_quant_flags(command, words);
  command
      .add_option("--onnx_flavour", words.onnx_flavour,
                  "one: onnxruntime and MNN's converter (default); ort: standard operators; genai")
      ->type_name("NAME");
  command.add_option("--onnx_opset", words.onnx_opset, "17 to 23 (default 17; 21 with --onnx_quant qdq)")
      ->type_name("N");
  command.add_option("--dtype", words.dtype, "floats of an ONNX file: fp32 (default) or fp16")
      ->type_name("NAME");
  command
      .add_option(
          "--onnx_quant", words.onnx_quant,
          "quantised ONNX: matmulnbits or qdq, with --quant_bit 4 or 8 and --quant_block 16-128 (default 32)")
      ->type_name("NAME");
  command
      .add_option("--accuracy_level", words.accuracy_level,
                  "of matmulnbits: 0 float activations (default), 4 int8 activations")
      ->type_name("N");
  add_run_flags(command, words);
  command.footer(std::string(kExportExample) + kExitCodes);
}

void add_convert(CLI::App& command, Words& words) {
  command
      .add_option("--model", words.path,
                  "ONNX file of export --export onnx or of llmexport, or its directory; the files beside it "
                  "are read, too")
      ->type_name("FILE")
      ->required();
  command.add_option("--dst_path", words.dst_path, "package directory; absent or empty (default ./model)")
      ->type_name("DIR");
  add_approximate_flag(command, words);
  add_quant_flags(command, words);
  add_run_flags(command, words);
  command.footer(
      std::string(
          "Makes the package that export --export mnn would have made.\n\nExample:\n"
          "  llm2mnn convert --model Qwen3-0.6B-ONNX/llm.onnx --dst_path Qwen3-0.6B-MNN --quant_bit 6\n\n") +
      kExitCodes);
}

void add_inspect(CLI::App& command, Words& words) {
  command.add_option("path", words.path, "checkpoint, package or ONNX file")->type_name("PATH")->required();
  command.add_option("--type", words.type, "treat the model as this model_type")->type_name("NAME");
  command.add_option("--family", words.family, "a family file of your own")->type_name("FILE");
  add_output_flags(command, words);
  command.footer(std::string("Example:\n  llm2mnn inspect Qwen3-0.6B\n\n") + kExitCodes);
}

void add_tokenize(CLI::App& command, Words& words) {
  command.add_option("--path", words.path, "checkpoint or package directory")->type_name("DIR")->required();
  command.add_option("--text_file", words.text_file, "text, one item a line (default: standard input)")
      ->type_name("FILE");
  command.add_flag("--add_special_tokens", words.add_special_tokens,
                   "with the tokens around a text (BOS ...)");
  command.add_flag("--json_lines", words.json_lines, "lines of text are JSON strings");
  command.add_flag("--decode", words.decode, "the other way: lines of ids in, text out");
  command.footer(
      std::string(
          "Prints one line of ids for each line of text: Hugging Face's ids for a checkpoint, the runtime's\n"
          "for a package. Reads no weights.\n\nExample:\n"
          "  echo 'Hello world' | llm2mnn tokenize --path Qwen3-0.6B --add_special_tokens\n\n") +
      kExitCodes);
}

void add_template(CLI::App& command, Words& words) {
  command.add_option("--path", words.path, "checkpoint or package directory")->type_name("DIR")->required();
  command
      .add_option("--messages", words.messages,
                  "JSON: a list of messages, or an object with messages, tools, add_generation_prompt ...")
      ->type_name("FILE");
  command.add_flag("--lowered", words.lowered,
                   "show the template that an export writes, what was changed and why");
  command.footer(
      std::string("Prints exactly the prompt: Hugging Face's for a checkpoint, the runtime's for a package.\n"
                  "Reads no weights.\n\nExample:\n"
                  "  llm2mnn template --path Qwen3-0.6B --messages chat.json\n\n") +
      kExitCodes);
}

void add_families(CLI::App& command, Words& words) {
  command.add_option("--family", words.family, "also list a family file of your own")->type_name("FILE");
  add_output_flags(command, words);
  command.footer(std::string("Example:\n  llm2mnn families\n\n") + kExitCodes);
}

std::vector<std::string> foreign_notes(const CLI::App& command) {
  std::vector<std::string> notes;
  for (const ForeignFlag& flag : foreign_flags()) {
    if (command.count(flag.name) == 0) continue;
    if (flag.refused) fail(ErrorKind::kUnsupported, "{}: {}", flag.name, flag.reason);
    notes.push_back(fmt::format("{} has no effect: {}", flag.name, flag.reason));
  }
  return notes;
}

namespace {

ScaleType parse_scale_bit(const std::string& text) {
  const std::int64_t bits = parse_number("--scale_bit", text, kAnyNumber);
  if (bits != 16 && bits != 32)
    fail(ErrorKind::kInvalidArgument, "--scale_bit {}: expected 16 or 32", shown(text));
  return bits == 16 ? ScaleType::kF16 : ScaleType::kF32;
}

int parse_embed_bit(const std::string& text) {
  const std::int64_t bits = parse_number("--embed_bit", text, kAnyNumber);
  if (bits != 16 && bits != 8 && bits != 4) {
    fail(ErrorKind::kInvalidArgument, "--embed_bit {}: expected 16 (bf16), 8 or 4", shown(text));
  }
  return static_cast<int>(bits);
}

ExportFormat parse_export_format(const std::string& format) {
  if (format == "mnn") return ExportFormat::kMnn;
  if (format == "onnx") return ExportFormat::kOnnx;
  fail(ErrorKind::kInvalidArgument, "--export {}: expected mnn or onnx", shown(format));
}

// Flags of the other format would be passed over in silence.
void refuse_flags(const CLI::App& command, std::initializer_list<const char*> flags,
                  std::string_view reason) {
  for (const char* flag : flags)
    if (command.count(flag) > 0) fail(ErrorKind::kInvalidArgument, "{}: {}", flag, reason);
}

int parse_choice(const char* flag, const std::string& text, std::initializer_list<int> values) {
  const std::int64_t number = parse_number(flag, text, kAnyNumber);
  for (const int value : values)
    if (number == value) return value;
  fail(ErrorKind::kInvalidArgument, "{} {}: expected {}", flag, shown(text), fmt::join(values, " or "));
}

onnx::OnnxForm onnx_form_from(const CLI::App& command, const Words& words) {
  refuse_flags(command,
               {"--lm_quant_bit", "--lm_quant_block", "--method", "--hqq", "--sym", "--scale_bit",
                "--embed_bit", "--seperate_embed", "--compat"},
               "belongs to --export mnn (or to convert, which makes a package of the ONNX file)");
  onnx::OnnxForm form;
  if (words.onnx_flavour == "ort")
    form.flavour = onnx::Flavour::kOrt;
  else if (words.onnx_flavour == "genai")
    form.flavour = onnx::Flavour::kGenai;
  else if (!words.onnx_flavour.empty() && words.onnx_flavour != "one")
    fail(ErrorKind::kInvalidArgument, "--onnx_flavour {}: expected one, ort or genai",
         shown(words.onnx_flavour));
  if (words.dtype == "fp16") {
    form.dtype = DType::kF16;
  } else if (words.dtype == "bf16") {
    fail(ErrorKind::kUnsupported,
         "--dtype bf16: onnxruntime does not compute with it on a CPU; use fp32 or fp16");
  } else if (!words.dtype.empty() && words.dtype != "fp32") {
    fail(ErrorKind::kInvalidArgument, "--dtype {}: expected fp32 or fp16", shown(words.dtype));
  }
  if (words.onnx_quant.empty()) {
    refuse_flags(command, {"--quant_bit", "--quant_block", "--accuracy_level"},
                 "an ONNX file holds floats unless --onnx_quant matmulnbits or qdq is given; convert "
                 "quantises it for MNN");
  } else if (words.onnx_quant == "matmulnbits") {
    form.weights = onnx::WeightForm::kMatMulNBits;
  } else if (words.onnx_quant == "qdq") {
    form.weights = onnx::WeightForm::kDequantizeLinear;
    form.opset = onnx::kQuantOpset;
    refuse_flags(command, {"--accuracy_level"}, "belongs to --onnx_quant matmulnbits");
  } else {
    fail(ErrorKind::kInvalidArgument, "--onnx_quant {}: expected matmulnbits or qdq",
         shown(words.onnx_quant));
  }
  if (!words.onnx_opset.empty())
    form.opset = static_cast<int>(parse_number("--onnx_opset", words.onnx_opset, kAnyNumber));
  if (!words.quant_bit.empty()) form.bits = parse_quant_bit("--quant_bit", words.quant_bit);
  if (!words.quant_block.empty()) form.block = parse_quant_block("--quant_block", words.quant_block);
  if (!words.accuracy_level.empty())
    form.accuracy_level = parse_choice("--accuracy_level", words.accuracy_level, {0, 4});
  onnx::check_form(form);
  return form;
}

}  // namespace

void check_not_empty(const CLI::App& command) {
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() == 0 || option->get_items_expected_max() == 0) continue;
    for (const std::string& value : option->results()) {
      if (value.empty()) fail(ErrorKind::kInvalidArgument, "{}: the value is empty", option->get_name());
    }
  }
}

namespace {

void read_method(const Words& words, ExportOptions& options) {
  constexpr std::string_view kHqq = "hqq";  // the incumbent has a flag for it
  if (words.hqq && !words.method.empty() && words.method != kHqq)
    fail(ErrorKind::kInvalidArgument, "--hqq: short for --method hqq, but --method {} is given, too",
         shown(words.method));
  if (words.hqq)
    options.method = kHqq;
  else if (!words.method.empty())
    options.method = words.method;
  const QuantMethod* method = find_method(options.method);
  if (method == nullptr) {
    std::vector<std::string_view> names;
    for (const QuantMethod* known : quant_methods())
      names.push_back(known->name());
    fail(ErrorKind::kInvalidArgument, "--method {}: expected {}", shown(options.method),
         fmt::join(names, " or "));
  }
  if (options.symmetric && !method->is_symmetric_too())
    fail(ErrorKind::kInvalidArgument,
         "--sym: method {} improves the offset, which symmetric codes do not have; --method search has a "
         "symmetric form",
         method->name());
  const bool has_codes =
      options.quant_bit <= 8 || options.lm_quant_bit.value_or(16) <= 8 || options.embed_bit.value_or(16) <= 8;
  if (!has_codes && (words.hqq || !words.method.empty()))
    fail(ErrorKind::kInvalidArgument, "--method {}: at --quant_bit {} there are no codes to choose",
         options.method, options.quant_bit);
}

void read_quant_flags(const Words& words, ExportOptions& options) {
  if (!words.quant_bit.empty()) options.quant_bit = parse_quant_bit("--quant_bit", words.quant_bit);
  if (!words.lm_quant_bit.empty())
    options.lm_quant_bit = parse_quant_bit("--lm_quant_bit", words.lm_quant_bit);
  if (!words.embed_bit.empty()) options.embed_bit = parse_embed_bit(words.embed_bit);
  const bool head_has_codes = options.lm_quant_bit.value_or(options.quant_bit) <= 8;
  const bool block_is_used = options.quant_bit <= 8 || options.embed_bit.value_or(16) <= 8 ||
                             (head_has_codes && words.lm_quant_block.empty());
  if (!words.quant_block.empty())
    options.quant_block = parse_quant_block("--quant_block", words.quant_block, block_is_used);
  if (!words.lm_quant_block.empty()) {
    options.lm_quant_block = parse_quant_block("--lm_quant_block", words.lm_quant_block, head_has_codes);
  }
  options.symmetric = words.sym;
  read_method(words, options);
  if (!words.scale_bit.empty()) options.scale_type = parse_scale_bit(words.scale_bit);
  options.seperate_embed = words.seperate_embed;
  if (options.seperate_embed && options.embed_bit.value_or(16) != 16) {
    fail(ErrorKind::kInvalidArgument,
         "--seperate_embed: writes a bf16 embedding, --embed_bit {} another; give one of the two",
         *options.embed_bit);
  }
  if (!words.compat.empty()) {
    if (words.compat != "3.1")
      fail(ErrorKind::kInvalidArgument, "--compat {}: expected 3.1", shown(words.compat));
    options.form = mnn::GraphForm::kCompat;
  }
}

void read_run_flags(const Words& words, ExportOptions& options) {
  constexpr std::int64_t kMaxThreads =
      1024;  // more workers than any machine that exports models has processors
  if (!words.threads.empty()) {
    options.threads = static_cast<unsigned>(parse_number("--threads", words.threads, kMaxThreads));
    if (options.threads == 0) fail(ErrorKind::kInvalidArgument, "--threads '0': at least 1");
  }
  options.overwrite = words.overwrite;
  options.dump_ir_path = words.dump_ir;
}

}  // namespace

ExportOptions export_options(const CLI::App& command, const Words& words) {
  check_not_empty(command);
  ExportOptions options;
  options.format = parse_export_format(words.export_format);
  options.path = words.path;
  options.dst_path = words.dst_path;
  options.tokenizer_path = words.tokenizer_path;
  options.family_path = words.family;
  options.type = words.type;
  options.text_only = words.text_only;
  if (options.format == ExportFormat::kOnnx) {
    options.onnx = onnx_form_from(command, words);
  } else {
    refuse_flags(command, {"--onnx_flavour", "--onnx_opset", "--onnx_quant", "--dtype", "--accuracy_level"},
                 "belongs to --export onnx");
    read_quant_flags(words, options);
  }
  read_run_flags(words, options);
  options.chat_template = words.chat_template;
  options.allow_tokenizer_mismatch = words.allow_tokenizer_mismatch;
  options.allow_approximate = words.allow_approximate;
  return options;
}

ExportOptions convert_options(const CLI::App& command, const Words& words) {
  check_not_empty(command);
  ExportOptions options;
  options.path = words.path;
  options.dst_path = words.dst_path;
  read_quant_flags(words, options);
  read_run_flags(words, options);
  options.allow_approximate = words.allow_approximate;
  return options;
}

}  // namespace llm2mnn::cli
