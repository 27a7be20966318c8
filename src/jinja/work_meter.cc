#include "jinja/work_meter.h"

#include "base/error.h"

namespace llm2mnn::jinja {

namespace {

// Twice what a prompt of 400 KB takes that grows in 2,000 pieces.
constexpr std::uint64_t kMaxWork = std::uint64_t{512} << 20;

thread_local WorkMeter* current = nullptr;

}  // namespace

WorkMeter::WorkMeter() : left_(kMaxWork), around_(current) { current = this; }

WorkMeter::~WorkMeter() { current = around_; }

void charge_work(std::size_t bytes) {
  if (current == nullptr) return;
  if (bytes > current->left_) {
    current->left_ = 0;
    fail(ErrorKind::kUnsupported,
         "the chat template makes more lists and strings than a prompt needs (limit: {} MiB)",
         kMaxWork >> 20);
  }
  current->left_ -= bytes;
}

void charge_search(std::size_t text, std::size_t needle) {
  constexpr std::size_t kBytesAtOnce = 8;  // compared in the time that one is made
  const std::size_t passes = 1 + needle / kBytesAtOnce;
  charge_work((text + needle) / kBytesAtOnce * passes + 1);
}

}  // namespace llm2mnn::jinja
