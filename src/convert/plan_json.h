#pragma once
// What the manifest and the report of a plan say alike. Private to this folder.

#include <nlohmann/json.hpp>

#include "convert/plan.h"

namespace llm2mnn {

/// Our own tree as the JSON writer's.
nlohmann::ordered_json json_of(const JsonValue& value);

/// The schemes of `scheme_uses`.
nlohmann::ordered_json weights_json(const Plan& plan);
nlohmann::ordered_json runtime_json(const Plan& plan);
nlohmann::ordered_json ignored_tensors_json(const PackagePlan& plan);

}  // namespace llm2mnn
