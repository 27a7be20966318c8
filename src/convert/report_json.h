#pragma once
// The machine-readable form of what the commands print (`--json`).

#include <string>
#include <vector>

#include "convert/inspect.h"
#include "convert/onnx_plan.h"
#include "convert/plan.h"

namespace llm2mnn {

/// The plan with exact sizes. `status` is "planned" or "exported"; the rest is the same for both.
std::string plan_report_json(const Plan& plan, std::string_view status);
std::string plan_report_json(const OnnxPlan& plan, std::string_view status);
std::string checkpoint_report_json(const CheckpointReport& report);
std::string onnx_report_json(const OnnxReport& report);
std::string package_report_json(const PackageReport& report);
std::string families_report_json(const std::vector<FamilySummary>& families);

}  // namespace llm2mnn
