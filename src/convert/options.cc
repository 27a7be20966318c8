#include "convert/options.h"

#include <algorithm>
#include <sched.h>
#include <thread>

namespace llm2mnn {

unsigned effective_threads(const ExportOptions& options) {
  if (options.threads > 0) return options.threads;
  // The processors this process may use, not those of the machine (containers, taskset).
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0)
    return std::max(1U, static_cast<unsigned>(CPU_COUNT(&set)));
  return std::max(1U, std::thread::hardware_concurrency());
}

}  // namespace llm2mnn
