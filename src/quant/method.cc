#include "quant/method.h"

#include <algorithm>

#include "base/error.h"

namespace llm2mnn {

const QuantMethod* find_method(std::string_view name) {
  const auto methods = quant_methods();
  const auto found = std::ranges::find(methods, name, &QuantMethod::name);
  return found == methods.end() ? nullptr : *found;
}

const QuantMethod& default_method() {
  static const QuantMethod* const method = find_method(kDefaultMethod);
  LLM2MNN_CHECK(method != nullptr);
  return *method;
}

}  // namespace llm2mnn
