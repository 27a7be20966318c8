#include "cli/commands.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <fmt/ranges.h>
#include <functional>
#include <system_error>

#include "base/cancel.h"
#include "cli/progress.h"
#include "convert/export.h"
#include "convert/inspect.h"
#include "convert/manifest.h"
#include "convert/mnn_stream.h"
#include "convert/onnx_stream.h"
#include "convert/report_json.h"
#include "convert/version.h"

namespace llm2mnn::cli {
namespace {

// One line of a summary; on a terminal, several where it would not fit.
void line(std::string_view label, std::string_view text) {
  constexpr std::size_t kIndent = 13;
  const std::size_t width = stdout_columns().value_or(std::string::npos);
  for (bool first = true; first || !text.empty(); first = false) {
    std::string_view part = text;
    if (width > 2 * kIndent && text.size() > width - kIndent) {
      const std::size_t blank = text.rfind(' ', width - kIndent);
      if (blank != std::string_view::npos && blank > 0) part = text.substr(0, blank);
    }
    fmt::print("  {:<11}{}\n", first ? label : "", part);
    text.remove_prefix(std::min(text.size(), part.size() + (part.size() < text.size() ? 1 : 0)));
  }
}

// A path or a name from a file, safe on a terminal and without the quotes that messages use.
std::string bare(std::string_view text) {
  const std::string quoted = shown(text, 200);
  return quoted.substr(1, quoted.size() - 2);
}

std::string model_text(const ModelFacts& facts) {
  std::string text = fmt::format("{}, {} layers, hidden {}, vocab {}", bare(facts.model_type),
                                 facts.num_hidden_layers, facts.hidden_size, facts.vocab_size);
  if (facts.num_attention_heads > 0) {
    text += fmt::format(", heads {}/{} of {}", facts.num_attention_heads, facts.num_key_value_heads,
                        facts.head_dim);
  }
  if (facts.num_experts > 0) {
    text += fmt::format(", {} of {} experts in {} layers", facts.num_experts_per_tok, facts.num_experts,
                        facts.num_sparse_layers);
  }
  return text;
}

void print_list(std::string_view label, const std::vector<std::string>& items, bool all) {
  constexpr std::size_t kShown = 8;
  if (items.empty()) return;
  std::string text;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i == kShown && !all) {
      text += fmt::format(" and {} more (--verbose)", items.size() - kShown);
      break;
    }
    text += (i == 0 ? "" : ", ") + bare(items[i]);
  }
  line(label, text);
}

// What every format's plan has; `print_weights` prints the lines between the model's and the tokenizer's.
template <typename Print>
void print_package_plan(const PackagePlan& plan, Print&& print_weights) {
  const ModelFacts& facts = plan.model.facts;
  line("model", fmt::format("{}, {} parameters", model_text(facts), count_text(facts.parameters)));
  print_weights();
  if (plan.tokenizer_proof.mtok.tested > 0) {
    line("tokenizer", fmt::format("{}, {} ids", plan.tokenizer.kind, plan.tokenizer.vocab_size));
    line("", plan.tokenizer_proof.mtok.summary());
    line("", plan.tokenizer_proof.txt.summary());
  } else {
    line("tokenizer", "the files beside the ONNX file");
  }
  if (const jinja::TemplatePlan& chat = plan.tokenizer.template_plan; chat.num_cases > 0) {
    line("template",
         fmt::format(
             "{} of {} conversations give Hugging Face's prompt{}", chat.num_equal, chat.num_cases,
             chat.text == chat.source ? "" : "; rewritten for the runtime (llm2mnn template --lowered)"));
  }
}

void print_notes(const PackagePlan& plan, const Output& output) {
  for (const std::string& note : plan.notes)
    line("note", note);
  for (const std::string& note : output.notes)
    line("note", note);
  std::vector<std::string> ignored;
  for (const ModelFacts::Ignored& entry : plan.model.facts.ignored)
    ignored.push_back(fmt::format("{} ({})", entry.tensor, entry.rule));
  print_list("left out", ignored, output.verbose);
}

void print_plan(const Plan& plan, const Output& output) {
  print_package_plan(plan, [&] {
    for (const SchemeUse& use : scheme_uses(plan))
      line("weights", fmt::format("{}: {}", use.what, use.scheme));
  });
  line("size", fmt::format("{} ({:.2f} bits per weight in the linear layers)",
                           size_text(plan.package_bytes()), plan.linear_bits_per_weight()));
  line("runtime", fmt::format("MNN {} or later ({})", plan.runtime.version.text(), plan.runtime.because));
  print_notes(plan, output);
}

void print_plan(const OnnxPlan& plan, const Output& output) {
  const onnx::OnnxForm& form = plan.options.onnx;
  print_package_plan(plan, [&] {
    line("onnx", fmt::format("flavour {}, opset {}", onnx::flavour_name(form.flavour), form.opset));
    line("weights", onnx::weights_text(form));
  });
  line("size", size_text(plan.package_bytes()));
  print_notes(plan, output);
}

// Whether a name is that of an expert behind the first one of its layer: they are as many as thousands, and
// alike.
bool is_later_expert(std::string_view name) {
  constexpr std::string_view kMark = ".experts.";
  const std::size_t at = name.find(kMark);
  if (at == std::string_view::npos) return false;
  const std::string_view number = name.substr(at + kMark.size());
  return !number.empty() && number[0] >= '0' && number[0] <= '9' && number.substr(0, number.find('.')) != "0";
}

void print_tensors(const Plan& plan) {
  std::size_t left_out = 0;
  for (const mnn::LinearBlob& blob : plan.layout.linears) {
    const std::string& address = plan.model.lowered.graph.weights[blob.weight].address;
    if (is_later_expert(address)) {
      ++left_out;
      continue;
    }
    line("", fmt::format("{:<40} [{}, {}] at {}: {} bytes", address, blob.rows, blob.cols, blob.offset,
                         blob.end() - blob.offset));
  }
  if (left_out > 0) line("", fmt::format("and {} matrices of the other experts", left_out));
}

void print_tensors(const OnnxPlan& plan) {
  std::size_t left_out = 0;
  for (const onnx::MatrixBlob& blob : plan.onnx.layout.matrices) {
    if (is_later_expert(blob.name)) {
      ++left_out;
      continue;
    }
    line("", fmt::format("{:<48} of [{}, {}] at {}: {} bytes", blob.name, blob.rows, blob.cols, blob.offset,
                         blob.bytes));
  }
  if (left_out > 0) line("", fmt::format("and {} matrices of the other experts", left_out));
}

template <typename AnyPlan>
void print_dry_run(const AnyPlan& plan, const Output& output) {
  fmt::print("llm2mnn {}: plan for {} (nothing is written)\n", kVersion, bare(plan.options.path.string()));
  print_plan(plan, output);
  print_list("not read", plan.model.facts.unread_config_keys, output.verbose);
  const unsigned threads = effective_threads(plan.options);
  line("memory",
       fmt::format("{} of tiles for {} threads", size_text(stream_memory_bytes(plan, threads)), threads));
  line("target", bare(plan.destination.string()));
  for (const FilePlan& file : plan.files)
    line("", fmt::format("{:<22} {:>14} bytes", file.name, file.bytes));
  line("", fmt::format("{:<22} {:>14} bytes", "in all", plan.package_bytes()));
  if (output.verbose) print_tensors(plan);
}

std::string string_at(const JsonValue& object, std::string_view key) {
  const JsonValue* value = object.find(key);
  return value != nullptr && value->is_string() ? bare(value->as_string()) : "?";
}

void print_checkpoint(const std::filesystem::path& path, const CheckpointReport& report,
                      const Output& output) {
  fmt::print("{}: checkpoint, {}, {} file{}\n", bare(path.string()),
             report.format == CheckpointFormat::kSafetensors ? "safetensors" : "pytorch_model.bin",
             report.num_files, report.num_files == 1 ? "" : "s");
  if (report.facts) {
    const ModelFacts& facts = *report.facts;
    line("model", model_text(facts));
    line("embedding", facts.tied ? "tied to lm_head" : "apart from lm_head");
    for (const RopeSpec& rope : report.ropes) {
      line("rope", fmt::format("{}, {} of {} channels", rope.kind, rope.rotary_dim, facts.head_dim));
    }
    if (facts.sliding_window > 0) line("window", fmt::format("{} tokens", facts.sliding_window));
    for (const std::string& note : facts.notes)
      line("note", note);
  } else {
    line("model", bare(report.model_type));
    line("not exportable", "");
    fmt::print("    {}\n", report.refusal);
  }
  for (const auto& [name, total] : report.dtypes) {
    line("weights", fmt::format("{}: {} tensors, {} parameters, {}", name, total.tensors,
                                count_text(total.parameters), size_text(total.bytes)));
  }
  if (!output.verbose) {
    line("", "(--verbose lists the tensors)");
    return;
  }
  std::size_t left_out = 0;
  for (const TensorInfo& tensor : report.tensors) {
    if (is_later_expert(tensor.name)) {
      ++left_out;
      continue;
    }
    line("", fmt::format("{} {} {}", bare(tensor.name), dtype_name(tensor.dtype), shape_text(tensor.shape)));
  }
  if (left_out > 0) line("", fmt::format("and {} tensors of the other experts", left_out));
}

// "input_ids int64 [batch, seq], attention_mask ..., and 60 of past_key_values.0.key's kind".
std::string values_text(const std::vector<onnx::OnnxFile::Value>& values, bool all) {
  std::string text;
  std::size_t caches = 0;
  for (const onnx::OnnxFile::Value& value : values) {
    const bool is_cache = value.name.starts_with("past_key_values.") || value.name.starts_with("present.");
    if (is_cache && !all && ++caches > 2) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", bare(value.name), bare(value.type));
  }
  if (caches > 2) text += fmt::format(" and {} more (--verbose)", caches - 2);
  return text;
}

void print_onnx(const OnnxReport& report, const Output& output) {
  const onnx::OnnxFile::Summary& summary = report.summary;
  fmt::print("{}: ONNX{}\n", bare(report.name),
             summary.producer.empty() ? "" : " of " + bare(summary.producer));
  if (report.facts) line("model", model_text(*report.facts));
  if (!report.flavour.empty()) line("flavour", report.flavour);
  if (!report.weights.empty()) line("weights", report.weights);
  std::string opsets = fmt::format("ir {}", summary.ir_version);
  for (const auto& [domain, version] : summary.opsets)
    opsets += fmt::format(", {} {}", domain.empty() ? "opset" : bare(domain), version);
  line("version", opsets);
  line("inputs", values_text(summary.inputs, output.verbose));
  line("outputs", values_text(summary.outputs, output.verbose));
  std::vector<std::pair<std::int64_t, std::string>> operators;
  std::int64_t nodes = 0;
  for (const auto& [name, count] : summary.operators) {
    operators.emplace_back(count, name);
    nodes += count;
  }
  std::ranges::sort(operators, std::ranges::greater());
  std::vector<std::string> counts;
  for (const auto& [count, name] : operators)
    counts.push_back(fmt::format("{} {}", count, name));
  line("nodes", fmt::format("{}", nodes));
  print_list("", counts, output.verbose);
  print_list("functions", summary.functions, output.verbose);
  for (const auto& [type, total] : report.types)
    line("tensors", fmt::format("{}: {} of {}", bare(type), total.tensors, size_text(total.bytes)));
  for (const auto& [name, bytes] : report.files)
    line("", fmt::format("{:<22} {:>14} bytes", bare(name), bytes));
}

void print_package(const std::filesystem::path& path, const PackageReport& report) {
  fmt::print("{}: MNN package{}\n", bare(path.string()),
             report.has_manifest ? "" : " (made by another tool)");
  if (report.has_manifest) {
    line("made by", fmt::format("llm2mnn {}", string_at(report.manifest, "version")));
    if (const JsonValue* model = report.manifest.find("model"))
      line("model", string_at(*model, "model_type"));
    if (const JsonValue* weights = report.manifest.find("weights");
        weights != nullptr && weights->is_array()) {
      for (const JsonValue& use : weights->as_array()) {
        line("weights", fmt::format("{}: {}", string_at(use, "what"), string_at(use, "scheme")));
      }
    }
    if (report.bits_per_weight) {
      line("bits", fmt::format("{:.2f} per weight in the linear layers", *report.bits_per_weight));
    }
    if (const JsonValue* runtime = report.manifest.find("minimum_runtime")) {
      line("runtime", fmt::format("MNN {} or later ({})", string_at(*runtime, "version"),
                                  string_at(*runtime, "because")));
    }
  } else {
    line("model", string_at(report.llm_config, "model_type"));
  }
  std::uint64_t total = 0;
  for (const PackageReport::FileState& file : report.files) {
    total += file.bytes;
    line("", fmt::format("{:<22} {:>14} bytes{}", bare(file.name), file.bytes,
                         file.fault.empty() ? "" : "  WRONG: " + file.fault));
  }
  line("size", size_text(total));
}

void check_package_files(const PackageReport& report) {
  for (const PackageReport::FileState& file : report.files) {
    if (!file.fault.empty()) {
      fail(ErrorKind::kFormat, "{}: {}; export the package again", shown(file.name), file.fault);
    }
  }
}

void check_output_flags(const Output& output) {
  if (output.quiet && output.verbose) {
    fail(ErrorKind::kInvalidArgument, "--quiet: contradicts --verbose; give one of the two");
  }
}

void print_families(const std::vector<FamilySummary>& families) {
  std::vector<std::array<std::string, 4>> rows = {{"family", "model_type", "inherits", "features"}};
  for (const FamilySummary& family : families) {
    rows.push_back({family.name, fmt::format("{}", fmt::join(family.model_types, ", ")), family.inherits,
                    fmt::format("{}", fmt::join(family.features, ", "))});
  }
  std::array<std::size_t, 3> widths{};
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < widths.size(); ++i)
      widths[i] = std::max(widths[i], row[i].size() + 2);
  }
  for (const auto& row : rows)
    fmt::print("{:<{}}{:<{}}{:<{}}{}\n", row[0], widths[0], row[1], widths[1], row[2], widths[2], row[3]);
}

}  // namespace

void print_result(const std::function<void()>& print, std::string_view remark) {
  try {
    print();
    if (std::fflush(stdout) != 0) throw std::system_error(errno, std::generic_category());
  } catch (const std::system_error& error) {  // what fmt throws
    if (error.code().value() == EPIPE) return;
    fail(ErrorKind::kIo, "standard output: cannot write: {}{}", system_message(error.code().value()), remark);
  }
}

namespace {

template <typename AnyPlan>
void export_plan(const AnyPlan& plan, bool dry_run, const Output& output,
                 std::chrono::steady_clock::time_point start) {
  throw_if_cancelled();
  dump_ir(plan);
  if (dry_run) {
    print_result([&] {
      if (output.json) {
        fmt::print("{}\n", plan_report_json(plan, "planned"));
      } else if (!output.quiet) {
        print_dry_run(plan, output);
      }
    });
    return;
  }
  StreamProgress progress;
  {
    const ProgressDisplay display(progress, output.quiet);
    run_export(plan, progress);
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  print_result(
      [&] {
        if (output.json) {
          fmt::print("{}\n", plan_report_json(plan, "exported"));
        } else if (!output.quiet) {
          fmt::print("llm2mnn {}: {}\n", kVersion, bare(plan.options.path.string()));
          print_plan(plan, output);
          line("written", fmt::format("{} in {:.1f} s", bare(plan.destination.string()), seconds));
        }
      },
      "; the package itself is complete");
}

}  // namespace

void run_export_command(const ExportOptions& options, bool dry_run, const Output& output) {
  check_output_flags(output);
  const auto start = std::chrono::steady_clock::now();
  if (options.format == ExportFormat::kOnnx)
    export_plan(make_onnx_plan(options), dry_run, output, start);
  else
    export_plan(make_plan(options), dry_run, output, start);
}

void run_convert_command(const ExportOptions& options, bool dry_run, const Output& output) {
  check_output_flags(output);
  const auto start = std::chrono::steady_clock::now();
  export_plan(make_convert_plan(options), dry_run, output, start);
}

namespace {

// They tell how a checkpoint is understood.
void refuse_checkpoint_flags(const ExportOptions& options, std::string_view what) {
  for (const auto& [flag, is_given] :
       {std::pair{"--type", !options.type.empty()}, std::pair{"--family", !options.family_path.empty()}})
    if (is_given) fail(ErrorKind::kInvalidArgument, "{}: it is for checkpoints, and this is {}", flag, what);
}

}  // namespace

void run_inspect_command(const std::filesystem::path& path, const ExportOptions& options,
                         const Output& output) {
  check_output_flags(output);
  if (const std::filesystem::path file = find_onnx(path); !file.empty()) {
    refuse_checkpoint_flags(options, "an ONNX file");
    const OnnxReport report = inspect_onnx(file);
    const bool has_manifest = std::filesystem::is_directory(path) && is_package(path);
    const PackageReport package = has_manifest ? inspect_package(path) : PackageReport();
    print_result([&] {
      if (output.json) {
        fmt::print("{}\n", onnx_report_json(report));
      } else if (!output.quiet) {
        print_onnx(report, output);
      }
    });
    check_package_files(package);
    return;
  }
  if (is_package(path)) {
    refuse_checkpoint_flags(options, "a package");
    const PackageReport report = inspect_package(path);
    print_result([&] {
      if (output.json) {
        fmt::print("{}\n", package_report_json(report));
      } else if (!output.quiet) {
        print_package(path, report);
      }
    });
    check_package_files(report);
    return;
  }
  const CheckpointReport report =
      inspect_checkpoint(path, FamilyRegistry::with_file(options.family_path), options.type);
  print_result([&] {
    if (output.json) {
      fmt::print("{}\n", checkpoint_report_json(report));
    } else if (!output.quiet) {
      print_checkpoint(path, report, output);
    }
  });
}

void run_families_command(const ExportOptions& options, const Output& output) {
  check_output_flags(output);
  const std::vector<FamilySummary> families = FamilyRegistry::with_file(options.family_path).summaries();
  print_result([&] {
    if (output.json) {
      fmt::print("{}\n", families_report_json(families));
    } else if (!output.quiet) {
      print_families(families);
    }
  });
}

}  // namespace llm2mnn::cli
