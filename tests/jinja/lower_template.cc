// Reads a chat template from stdin and writes it lowered; changes and limits go to stderr. For the tests
// beside it.

#include <iostream>
#include <iterator>
#include <string>

#include "base/error.h"
#include "jinja/lowering.h"

int main() {
  const std::string source{std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
  try {
    const auto lowered = llm2mnn::jinja::lower_template(source);
    for (const auto& change : lowered.changes)
      std::cerr << "change: " << change << "\n";
    for (const auto& limit : lowered.limits)
      std::cerr << "limit: " << limit << "\n";
    std::cout << lowered.text;
  } catch (const llm2mnn::Error& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
  return 0;
}
