#pragma once
// The commands. Each prints its result on stdout and throws Error otherwise; the caller prints the one line.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "convert/options.h"

namespace llm2mnn::cli {

struct Output {
  bool json = false;
  bool quiet = false;
  bool verbose = false;
  std::vector<std::string> notes;  ///< about flags, for the summary
};

/// Runs `print`, which writes to stdout, and flushes. A reader that went away ends the output and is no
/// error; any other failure is kIo, with `remark` at the end of its message.
void print_result(const std::function<void()>& print, std::string_view remark = {});

void run_export_command(const ExportOptions& options, bool dry_run, const Output& output);
void run_convert_command(const ExportOptions& options, bool dry_run, const Output& output);
void run_inspect_command(const std::filesystem::path& path, const ExportOptions& options,
                         const Output& output);
void run_families_command(const ExportOptions& options, const Output& output);

}  // namespace llm2mnn::cli
