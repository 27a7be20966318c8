#pragma once
// The runtime's pre-tokenizer.

#include <string>
#include <vector>

#include "verify/mtok_reader.h"
#include "verify/runtime_regex_engine.h"

namespace llm2mnn::verify {

class RuntimePreTokenizer {
 public:
  /// Compiles the patterns. @throws what RuntimeRegex throws.
  explicit RuntimePreTokenizer(const MtokPreTokenizer& description);

  /// The pieces of `text` that the model gets, empty ones included.
  std::vector<std::string> split(std::string text, WorkBudget& budget) const;

 private:
  struct Step {
    MtokPreTokenizer description;
    std::shared_ptr<RuntimeRegex> pattern;
  };
  void add(const MtokPreTokenizer& description);

  std::vector<Step> steps_;
};

}  // namespace llm2mnn::verify
