#pragma once
// The commands. Each prints its result on stdout and throws Error otherwise; the caller prints the one line.

#include <filesystem>
#include <string>

#include "convert/options.h"

namespace llm2mnn::cli {

struct Output {
  bool json = false;
  bool quiet = false;
  bool verbose = false;
};

void run_export_command(const ExportOptions& options, bool dry_run, const Output& output);
void run_inspect_command(const std::filesystem::path& path, const ExportOptions& options,
                         const Output& output);
void run_families_command(const ExportOptions& options, const Output& output);

}  // namespace llm2mnn::cli
