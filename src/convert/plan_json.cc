#include "convert/plan_json.h"

#include "convert/manifest.h"

namespace llm2mnn {

using Json = nlohmann::ordered_json;

Json weights_json(const Plan& plan) {
  Json list = Json::array();
  for (const SchemeUse& use : scheme_uses(plan))
    list.push_back({{"what", use.what}, {"scheme", use.scheme}});
  return list;
}

Json runtime_json(const Plan& plan) {
  return {{"version", plan.runtime.version.text()}, {"because", plan.runtime.because}};
}

Json ignored_tensors_json(const PackagePlan& plan) {
  Json list = Json::array();
  for (const ModelFacts::Ignored& entry : plan.model.facts.ignored)
    list.push_back({{"tensor", entry.tensor}, {"rule", entry.rule}});
  return list;
}

}  // namespace llm2mnn
