#pragma once
// What a person sees while tiles are written: a bar on a terminal; otherwise nothing for five seconds and
// then a line now and then. Always on stderr; stdout is for results.

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "convert/row_stream.h"

namespace llm2mnn::cli {

/// Writes to stderr as far as it takes it: a full disk or a reader that went away must not end an export.
void print_to_stderr(const std::string& text);

class ProgressDisplay {
 public:
  /// Starts showing `progress` unless `quiet`.
  ProgressDisplay(const StreamProgress& progress, bool quiet);
  /// Stops and clears the bar.
  ~ProgressDisplay();
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;

 private:
  void run(const std::stop_token& stop);
  void draw_bar() const;
  void print_line() const;

  const StreamProgress& progress_;
  bool terminal_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;
};

/// Columns of the terminal that stdout is; nothing when it is none.
std::optional<std::size_t> stdout_columns();

/// "1.27 GB", decimal units.
std::string size_text(std::uint64_t bytes);
/// "134.5 M".
std::string count_text(std::int64_t count);

}  // namespace llm2mnn::cli
