#pragma once
// What the rendering of one template costs in time and memory, apart from its steps: a single step may double
// a list or compare two trees that share their branches.

#include <cstddef>
#include <cstdint>

namespace llm2mnn::jinja {

/// Counts what is made and looked at on this thread while it lives; one within another counts for itself.
class WorkMeter {
 public:
  WorkMeter();
  ~WorkMeter();
  WorkMeter(const WorkMeter&) = delete;
  WorkMeter& operator=(const WorkMeter&) = delete;

 private:
  friend void charge_work(std::size_t bytes);
  std::uint64_t left_;
  WorkMeter* around_;
};

/// Before `bytes` are made; also for bytes looked at, in the proportion that a byte made takes longer.
/// Without a meter nothing is counted.
/// @throws Error kUnsupported when the meter has run out.
void charge_work(std::size_t bytes);

/// The same for a search of `needle` bytes in `text` bytes.
void charge_search(std::size_t text, std::size_t needle);

}  // namespace llm2mnn::jinja
