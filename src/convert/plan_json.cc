#include "convert/plan_json.h"

#include "convert/manifest.h"

namespace llm2mnn {

using Json = nlohmann::ordered_json;

namespace {

// A number beyond a double stands as its text.
Json from_number(std::string_view text) {
  Json number = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  return number.is_discarded() ? Json(text) : number;
}

}  // namespace

Json json_of(const JsonValue& value) {
  switch (value.kind()) {
    case JsonValue::Kind::kNull:
      break;
    case JsonValue::Kind::kBool:
      return value.as_bool();
    case JsonValue::Kind::kNumber:
      return from_number(value.number_text());
    case JsonValue::Kind::kString:
      return value.as_string();
    case JsonValue::Kind::kArray: {
      Json array = Json::array();
      for (const JsonValue& item : value.as_array())
        array.push_back(json_of(item));
      return array;
    }
    case JsonValue::Kind::kObject: {
      Json object = Json::object();
      for (const auto& [key, member] : value.as_object())
        object[key] = json_of(member);
      return object;
    }
  }
  return nullptr;
}

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
