#include "convert/manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "convert/package_names.h"
#include "convert/plan_json.h"
#include "convert/version.h"

namespace llm2mnn {
namespace {

using Json = nlohmann::ordered_json;

Json options_json(const ExportOptions& options) {
  Json json;
  json["quant_bit"] = options.quant_bit;
  json["quant_block"] = options.quant_block;
  json["lm_quant_bit"] = options.lm_quant_bit.value_or(options.quant_bit);
  json["lm_quant_block"] = options.lm_quant_block.value_or(options.quant_block);
  json["sym"] = options.symmetric;
  json["scale_bit"] = options.effective_scale_type() == ScaleType::kF16 ? 16 : 32;
  json["embed_bit"] = options.embed_bit ? Json(*options.embed_bit) : Json(nullptr);
  json["seperate_embed"] = options.seperate_embed;
  json["compat"] = options.form == mnn::GraphForm::kCompat ? Json("3.1") : Json(nullptr);
  json["chat_template"] = !options.chat_template_path.empty();
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

Json files_json(const Plan& plan, const ManifestDigests& digests) {
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

}  // namespace

std::vector<SchemeUse> scheme_uses(const Plan& plan) {
  std::vector<SchemeUse> uses;
  for (const mnn::LinearBlob& blob : plan.layout.linears) {
    const bool head = plan.model.lowered.weights[blob.weight].role == WeightRole::kLmHead;
    const SchemeUse use = {head ? "lm_head" : "linear layers", scheme_text(blob.scheme)};
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

std::string make_manifest(const Plan& plan, const ManifestDigests& digests) {
  const ModelFacts& facts = plan.model.facts;
  Json json;
  json["tool"] = "llm2mnn";
  json["version"] = kVersion;
  json["format"] = "mnn";
  json["graph_form"] = plan.options.form == mnn::GraphForm::kPacked ? "packed" : "compat";
  json["minimum_runtime"] = runtime_json(plan);
  json["model"] = {{"model_type", facts.model_type},
                   {"family", facts.family},
                   {"num_hidden_layers", facts.num_hidden_layers},
                   {"hidden_size", facts.hidden_size},
                   {"vocab_size", facts.vocab_size},
                   {"max_position_embeddings", facts.max_position_embeddings},
                   {"parameters", plan.model.facts.parameters}};
  json["options"] = options_json(plan.options);
  json["source"] = {{"xxh128", digests.source.hex()}};
  json["weights"] = weights_json(plan);
  json["bits_per_weight"] = plan.linear_bits_per_weight();
  json["tokenizer"] = {
      {"kind", plan.tokenizer.kind},
      {"vocab_size", plan.tokenizer.vocab_size},
      {"chat_template", template_json(plan.tokenizer.template_plan)},
      {"self_test", {proof_json(plan.tokenizer_proof.mtok), proof_json(plan.tokenizer_proof.txt)}}};
  json["notes"] = plan.notes;
  json["ignored_tensors"] = ignored_tensors_json(plan);
  json["unread_config_keys"] = facts.unread_config_keys;
  json["files"] = files_json(plan, digests);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace llm2mnn
