#include "base/cancel.h"

#include <atomic>
#include <signal.h>

#include "base/error.h"

namespace llm2mnn {
namespace {

std::atomic<int> g_signal{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may only touch lock-free atomics");

void remember(int signal_number) { g_signal.store(signal_number, std::memory_order_relaxed); }

}  // namespace

void install_cancel_handlers() {
  struct sigaction action = {};
  action.sa_handler = remember;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  for (const int signal_number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction inherited = {};
    // nohup and background jobs of a script ask for a signal to be ignored.
    if (sigaction(signal_number, nullptr, &inherited) == 0 && inherited.sa_handler == SIG_IGN) continue;
    sigaction(signal_number, &action, nullptr);
  }
  // A file beyond `ulimit -f` is then a failed write, which leaves no litter.
  signal(SIGXFSZ, SIG_IGN);
  // A reader that goes away must not kill an export; writes to it fail quietly instead.
  signal(SIGPIPE, SIG_IGN);
}

int cancel_signal() { return g_signal.load(std::memory_order_relaxed); }

void throw_if_cancelled() {
  const int signal_number = cancel_signal();
  if (signal_number == 0) return;
  fail(ErrorKind::kCancelled, "stopped by {}; nothing was written",
       signal_number == SIGINT   ? "INT"
       : signal_number == SIGHUP ? "HUP"
                                 : "TERM");
}

void ignore_cancel_signals() {
  signal(SIGINT, SIG_IGN);
  signal(SIGTERM, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  g_signal.store(0, std::memory_order_relaxed);
}

}  // namespace llm2mnn
