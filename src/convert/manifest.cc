#include "convert/manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "convert/package_names.h"
#include "convert/plan_json.h"
#include "convert/version.h"

namespace llm2mnn {
namespace {

using Json = nlohmann::ordered_json;

Json options_json(const Plan& plan) {
  const ExportOptions& options = plan.options;
  Json json;
  json["quant_bit"] = options.quant_bit;
  json["quant_block"] = options.quant_block;
  json["lm_quant_bit"] = options.lm_quant_bit.value_or(options.quant_bit);
  json["lm_quant_block"] = options.lm_quant_block.value_or(options.quant_block);
  json["method"] = options.method;
  json["sym"] = options.symmetric;
  json["scale_bit"] = options.effective_scale_type() == ScaleType::kF16 ? 16 : 32;
  json["embed_bit"] = options.embed_bit ? Json(*options.embed_bit) : Json(nullptr);
  json["seperate_embed"] = options.seperate_embed;
  json["compat"] = options.form == mnn::GraphForm::kCompat ? Json("3.1") : Json(nullptr);
  json["chat_template"] = plan.has_own_template;
  json["allow_tokenizer_mismatch"] = options.allow_tokenizer_mismatch;
  json["type"] = options.type.empty() ? Json(nullptr) : Json(options.type);
  return json;
}

Json template_json(const jinja::TemplatePlan& plan) {
  return {{"changes", plan.changes},
          {"conversations", plan.num_cases},
          {"equal", plan.num_equal},
          {"differing", plan.differing},
          {"limits", plan.limits},
          {"suggestion", plan.suggestion.empty() ? Json(nullptr) : Json(plan.suggestion)},
          {"refused", plan.refused}};
}

Json differences_json(const std::vector<TokenizerProof::Difference>& differences) {
  Json list = Json::array();
  for (const TokenizerProof::Difference& difference : differences) {
    list.push_back({{"text", difference.text},
                    {"reason", difference.reason.empty() ? Json(nullptr) : Json(difference.reason)},
                    {"failure", difference.failure.empty() ? Json(nullptr) : Json(difference.failure)}});
  }
  return list;
}

Json proof_json(const TokenizerProof::File& file) {
  return {{"file", file.name},
          {"tested", file.tested},
          {"differences", differences_json(file.differences)},
          {"misprinted", differences_json(file.misprinted)}};
}

Json files_json(const PackagePlan& plan, const ManifestDigests& digests) {
  Json list = Json::array();
  for (const FilePlan& file : plan.files) {
    if (file.name == kManifestName) continue;
    const auto digest = digests.files.find(file.name);
    list.push_back({{"name", file.name},
                    {"bytes", file.bytes},
                    {"xxh128", (digest == digests.files.end() ? Digest128{} : digest->second).hex()}});
  }
  return list;
}

Json tool_json(std::string_view format) {
  return {{"tool", "llm2mnn"}, {"version", kVersion}, {"format", format}};
}

Json model_json(const ModelFacts& facts) {
  return {{"model_type", facts.model_type},
          {"family", facts.family},
          {"num_hidden_layers", facts.num_hidden_layers},
          {"hidden_size", facts.hidden_size},
          {"vocab_size", facts.vocab_size},
          {"max_position_embeddings", facts.max_position_embeddings},
          {"parameters", facts.parameters}};
}

void add_package_json(Json& json, const PackagePlan& plan, const ManifestDigests& digests) {
  json["tokenizer"] = Json::parse(plan.tokenizer_record);
  json["approximations"] = Json::array();
  for (const Approximation& approximation : plan.approximations)
    json["approximations"].push_back({{"feature", approximation.feature}, {"value", approximation.value}});
  json["notes"] = plan.notes;
  json["ignored_tensors"] = ignored_tensors_json(plan);
  json["unread_config_keys"] = plan.model.facts.unread_config_keys;
  json["files"] = files_json(plan, digests);
}

std::string text_of(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json onnx_options_json(const OnnxPlan& plan) {
  const ExportOptions& options = plan.options;
  const onnx::OnnxForm& form = options.onnx;
  Json json;
  json["onnx_flavour"] = onnx::flavour_name(form.flavour);
  json["onnx_opset"] = form.opset;
  json["dtype"] = form.dtype == DType::kF16 ? "fp16" : "fp32";
  const bool quantised = form.weights != onnx::WeightForm::kFloat;
  json["onnx_quant"] = quantised ? Json(onnx::weight_form_name(form.weights)) : Json(nullptr);
  if (quantised) {
    json["quant_bit"] = form.bits;
    json["quant_block"] = form.block;
    json["accuracy_level"] = form.accuracy_level;
  }
  json["chat_template"] = plan.has_own_template;
  json["type"] = options.type.empty() ? Json(nullptr) : Json(options.type);
  return json;
}

const char* matrix_kind(WeightRole role) {
  switch (role) {
    case WeightRole::kLmHead:
      return "lm_head";
    case WeightRole::kRouter:
    case WeightRole::kSharedExpertGate:
      return "routers";
    default:
      return "linear layers";
  }
}

}  // namespace

std::vector<SchemeUse> scheme_uses(const Plan& plan) {
  std::vector<SchemeUse> uses;
  for (const mnn::LinearBlob& blob : plan.layout.linears) {
    const SchemeUse use = {matrix_kind(plan.model.lowered.weights[blob.weight].role),
                           scheme_text(blob.scheme)};
    const auto same = [&](const SchemeUse& other) {
      return other.what == use.what && other.scheme == use.scheme;
    };
    if (std::none_of(uses.begin(), uses.end(), same)) uses.push_back(use);
  }
  const EmbeddingPlan& embedding = plan.embedding;
  switch (embedding.kind) {
    case EmbeddingPlan::Kind::kTied:
      uses.push_back({"embedding", "the rows of lm_head"});
      break;
    case EmbeddingPlan::Kind::kBf16File:
      uses.push_back({"embedding", "bf16, " + embedding.file_name});
      break;
    case EmbeddingPlan::Kind::kQuantFile:
      uses.push_back({"embedding", scheme_text(embedding.scheme) + ", " + embedding.file_name});
      break;
  }
  return uses;
}

std::string tokenizer_record(const TokenizerPackage& package, const TokenizerProof& proof) {
  const Json json = {{"kind", package.kind},
                     {"vocab_size", package.vocab_size},
                     {"chat_template", template_json(package.template_plan)},
                     {"self_test", {proof_json(proof.mtok), proof_json(proof.txt)}}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string make_manifest(const Plan& plan, const ManifestDigests& digests) {
  Json json = tool_json("mnn");
  json["graph_form"] = plan.options.form == mnn::GraphForm::kPacked ? "packed" : "compat";
  json["minimum_runtime"] = runtime_json(plan);
  json["model"] = model_json(plan.model.facts);
  json["options"] = options_json(plan);
  json["source"] = {{"xxh128", digests.source.hex()}};
  json["weights"] = weights_json(plan);
  json["bits_per_weight"] = plan.linear_bits_per_weight();
  add_package_json(json, plan, digests);
  return text_of(json);
}

std::string make_manifest(const OnnxPlan& plan, const ManifestDigests& digests) {
  Json json = tool_json("onnx");
  json["model"] = model_json(plan.model.facts);
  json["options"] = onnx_options_json(plan);
  json["source"] = {{"xxh128", digests.source.hex()}};
  add_package_json(json, plan, digests);
  return text_of(json);
}

}  // namespace llm2mnn
