#include "convert/report_json.h"

#include <nlohmann/json.hpp>

#include "convert/mnn_stream.h"
#include "convert/onnx_stream.h"
#include "convert/plan_json.h"
#include "convert/version.h"

namespace llm2mnn {
namespace {

using Json = nlohmann::ordered_json;

// Names from files may hold anything; invalid UTF-8 becomes U+FFFD.
std::string text_of(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace); }

Json facts_json(const ModelFacts& facts) {
  Json json = {{"model_type", facts.model_type},
               {"family", facts.family},
               {"num_hidden_layers", facts.num_hidden_layers},
               {"hidden_size", facts.hidden_size},
               {"vocab_size", facts.vocab_size},
               {"max_position_embeddings", facts.max_position_embeddings},
               {"sliding_window", facts.sliding_window},
               {"tied", facts.tied}};
  if (facts.num_attention_heads > 0) {
    json["num_attention_heads"] = facts.num_attention_heads;
    json["num_key_value_heads"] = facts.num_key_value_heads;
    json["head_dim"] = facts.head_dim;
  }
  if (facts.num_experts > 0) {
    json["num_experts"] = facts.num_experts;
    json["num_experts_per_tok"] = facts.num_experts_per_tok;
    json["num_sparse_layers"] = facts.num_sparse_layers;
  }
  json["rope"] = facts.ropes;
  return json;
}

Json head_json(const PackagePlan& plan, std::string_view status) {
  Json json;
  json["tool"] = "llm2mnn";
  json["version"] = kVersion;
  json["status"] = status;
  json["path"] = plan.options.path.string();
  json["dst_path"] = plan.destination.string();
  json["model"] = facts_json(plan.model.facts);
  json["model"]["parameters"] = plan.model.facts.parameters;
  return json;
}

void add_files(Json& json, const PackagePlan& plan) {
  Json files = Json::array();
  for (const FilePlan& file : plan.files)
    files.push_back({{"name", file.name}, {"bytes", file.bytes}});
  json["files"] = std::move(files);
  json["total_bytes"] = plan.package_bytes();
}

template <typename AnyPlan>
void add_tail(Json& json, const AnyPlan& plan) {
  const unsigned threads = effective_threads(plan.options);
  json["threads"] = threads;
  json["tile_memory_bytes"] = stream_memory_bytes(plan, threads);
  json["notes"] = plan.notes;
  json["ignored_tensors"] = ignored_tensors_json(plan);
  json["unread_config_keys"] = plan.model.facts.unread_config_keys;
}

}  // namespace

std::string plan_report_json(const Plan& plan, std::string_view status) {
  Json json = head_json(plan, status);
  json["weights"] = weights_json(plan);
  json["bits_per_weight"] = plan.linear_bits_per_weight();
  add_files(json, plan);
  json["minimum_runtime"] = runtime_json(plan);
  add_tail(json, plan);
  return text_of(json);
}

std::string plan_report_json(const OnnxPlan& plan, std::string_view status) {
  Json json = head_json(plan, status);
  json["onnx_flavour"] = onnx::flavour_name(plan.options.onnx.flavour);
  json["onnx_opset"] = plan.options.onnx.opset;
  json["weights"] = onnx::weights_text(plan.options.onnx);
  add_files(json, plan);
  add_tail(json, plan);
  return text_of(json);
}

std::string checkpoint_report_json(const CheckpointReport& report) {
  Json json;
  json["kind"] = "checkpoint";
  json["format"] = report.format == CheckpointFormat::kSafetensors ? "safetensors" : "pytorch_model.bin";
  json["num_files"] = report.num_files;
  json["model_type"] = report.model_type;
  json["exportable"] = report.facts.has_value();
  if (report.facts) {
    json["model"] = facts_json(*report.facts);
  } else {
    json["refusal"] = report.refusal;
  }
  for (const auto& [name, total] : report.dtypes) {
    json["dtypes"][name] = {
        {"tensors", total.tensors}, {"parameters", total.parameters}, {"bytes", total.bytes}};
  }
  Json tensors = Json::array();
  for (const TensorInfo& tensor : report.tensors) {
    tensors.push_back({{"name", tensor.name}, {"dtype", dtype_name(tensor.dtype)}, {"shape", tensor.shape}});
  }
  json["tensors"] = std::move(tensors);
  return text_of(json);
}

std::string onnx_report_json(const OnnxReport& report) {
  const auto values_json = [](const std::vector<onnx::OnnxFile::Value>& values) {
    Json list = Json::array();
    for (const onnx::OnnxFile::Value& value : values)
      list.push_back({{"name", value.name}, {"type", value.type}});
    return list;
  };
  Json json;
  json["kind"] = "onnx";
  json["producer"] = report.summary.producer;
  json["flavour"] = report.flavour.empty() ? Json(nullptr) : Json(report.flavour);
  if (report.facts) json["model"] = facts_json(*report.facts);
  if (!report.weights.empty()) json["weights"] = report.weights;
  json["ir_version"] = report.summary.ir_version;
  json["opsets"] = report.summary.opsets;
  json["inputs"] = values_json(report.summary.inputs);
  json["outputs"] = values_json(report.summary.outputs);
  json["operators"] = report.summary.operators;
  json["functions"] = report.summary.functions;
  for (const auto& [type, total] : report.types)
    json["tensors"][type] = {{"tensors", total.tensors}, {"bytes", total.bytes}};
  for (const auto& [name, bytes] : report.files)
    json["files"].push_back({{"name", name}, {"bytes", bytes}});
  return text_of(json);
}

std::string package_report_json(const PackageReport& report) {
  Json json;
  json["kind"] = "package";
  json["has_manifest"] = report.has_manifest;
  Json files = Json::array();
  for (const PackageReport::FileState& file : report.files) {
    Json entry = {{"name", file.name}, {"bytes", file.bytes}};
    if (!file.fault.empty()) entry["fault"] = file.fault;
    files.push_back(std::move(entry));
  }
  json["files"] = std::move(files);
  json["manifest"] = json_of(report.manifest);
  json["config"] = json_of(report.config);
  json["llm_config"] = json_of(report.llm_config);
  return text_of(json);
}

std::string families_report_json(const std::vector<FamilySummary>& families) {
  Json json = Json::array();
  for (const FamilySummary& family : families) {
    json.push_back({{"name", family.name},
                    {"model_types", family.model_types},
                    {"architectures", family.architectures},
                    {"inherits", family.inherits.empty() ? Json(nullptr) : Json(family.inherits)},
                    {"features", family.features}});
  }
  return text_of(json);
}

}  // namespace llm2mnn
