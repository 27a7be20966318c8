#include "cli/progress.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <sys/ioctl.h>
#include <system_error>
#include <unistd.h>

namespace llm2mnn::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFrame{100};      // smooth enough, invisible in a profile
constexpr milliseconds kSilence{5'000};  // logs stay empty for short runs
constexpr milliseconds kLineInterval{10'000};

int columns_of(int fd) {
  constexpr int kUsual = 80;
  winsize size = {};
  return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kUsual;
}

struct Snapshot {
  double fraction = 0;
  double bytes_per_second = 0;
  double seconds_left = 0;
  std::uint64_t done = 0;
  std::uint64_t total = 0;
};

Snapshot take(const StreamProgress& progress, std::chrono::steady_clock::time_point start) {
  Snapshot snapshot;
  snapshot.done = progress.done_bytes;
  snapshot.total = progress.total_bytes;
  const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (snapshot.total > 0)
    snapshot.fraction = static_cast<double>(snapshot.done) / static_cast<double>(snapshot.total);
  if (elapsed > 0) snapshot.bytes_per_second = static_cast<double>(snapshot.done) / elapsed;
  if (snapshot.bytes_per_second > 0) {
    snapshot.seconds_left = static_cast<double>(snapshot.total - snapshot.done) / snapshot.bytes_per_second;
  }
  return snapshot;
}

std::string figures(const Snapshot& s) {
  if (s.total > 0 && s.done >= s.total) return fmt::format("{} read, writing to disk", size_text(s.total));
  const long left = std::lround(s.seconds_left);
  return fmt::format("{} of {}  {}/s  {}:{:02} left", size_text(s.done), size_text(s.total),
                     size_text(static_cast<std::uint64_t>(s.bytes_per_second)), left / 60, left % 60);
}

}  // namespace

void print_to_stderr(const std::string& text) {
  // Not fmt::print: it throws, and from a thread that would end the process.
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
}

ProgressDisplay::ProgressDisplay(const StreamProgress& progress, bool quiet)
    : progress_(progress), terminal_(isatty(STDERR_FILENO) == 1) {
  if (quiet) return;
  try {
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  } catch (const std::system_error&) {
    // No thread to be had: the export goes on without a bar.
  }
}

ProgressDisplay::~ProgressDisplay() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
  if (terminal_) print_to_stderr("\r\033[K");
}

void ProgressDisplay::run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  milliseconds next = terminal_ ? kFrame : kSilence;
  while (!wake_.wait_for(lock, stop, next, [] { return false; }) && !stop.stop_requested()) {
    if (terminal_) {
      draw_bar();
    } else {
      print_line();
      next = kLineInterval;
    }
  }
}

void ProgressDisplay::draw_bar() const {
  const Snapshot s = take(progress_, start_);
  const std::string text = figures(s);
  // The last column stays free: a line that wraps would leave its first half behind.
  const int columns = std::max(1, columns_of(STDERR_FILENO) - 1);
  const int room = columns - static_cast<int>(text.size()) - 10;
  const int width = std::clamp(room, 0, 40);
  const int filled = static_cast<int>(s.fraction * width);
  const std::string bar = width < 5 ? ""
                                    : "[" + std::string(static_cast<std::size_t>(filled), '#') +
                                          std::string(static_cast<std::size_t>(width - filled), '.') + "] ";
  const std::string frame = fmt::format("{}{:3.0f} %  {}", bar, 100 * s.fraction, text);
  print_to_stderr("\r\033[K" + frame.substr(0, static_cast<std::size_t>(columns)));
}

void ProgressDisplay::print_line() const {
  const Snapshot s = take(progress_, start_);
  print_to_stderr(fmt::format("{:.0f} %  {}\n", 100 * s.fraction, figures(s)));
}

std::optional<std::size_t> stdout_columns() {
  if (isatty(STDOUT_FILENO) != 1) return std::nullopt;
  return static_cast<std::size_t>(columns_of(STDOUT_FILENO));
}

std::string size_text(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "kB", "MB", "GB", "TB"};
  if (bytes < 1000) return fmt::format("{} B", bytes);
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", value, value < 10 ? 2 : value < 100 ? 1 : 0, kUnits[unit]);
}

std::string count_text(std::int64_t count) {
  if (count < 1000) return fmt::format("{}", count);
  const auto value = static_cast<double>(count);
  if (count < 1'000'000) return fmt::format("{:.1f} k", value / 1e3);
  if (count < 1'000'000'000) return fmt::format("{:.1f} M", value / 1e6);
  return fmt::format("{:.2f} G", value / 1e9);
}

}  // namespace llm2mnn::cli
