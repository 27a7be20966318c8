#pragma once
// How much the model does for one call before it says that the runtime itself would need too long.

#include <cstdint>

#include "base/error.h"

namespace llm2mnn::verify {

class WorkBudget {
 public:
  explicit WorkBudget(std::uint64_t steps = kDefaultSteps) : left_(steps) {}

  /// @throws Error kUnsupported once more than the budget is spent.
  void spend(std::uint64_t steps) {
    if (steps > left_)
      fail(ErrorKind::kUnsupported, "the runtime needs more than some seconds for this text; shorten it");
    left_ -= steps;
  }

 private:
  /// About a second of this model, and several of the runtime.
  static constexpr std::uint64_t kDefaultSteps = 200'000'000;
  std::uint64_t left_;
};

}  // namespace llm2mnn::verify
