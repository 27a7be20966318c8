#include "convert/package_config.h"

#include <nlohmann/json.hpp>
#include <set>

#include "convert/package_names.h"
#include "convert/plan_json.h"

namespace llm2mnn {
namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::strict) + "\n";
}

// A sampling value of generation_config.json, or `fallback` when it is absent or null.
double sampling_value(const JsonValue& generation, const char* key, double fallback) {
  const JsonValue* value = generation.find(key);
  if (value == nullptr || value->is_null()) return fallback;
  try {
    return value->as_double();
  } catch (Error& error) {
    error.add_context(fmt::format("generation_config.json: '{}'", key));
    throw;
  }
}

JsonValue generation_config_of(const PackagePlan& plan) {
  if (!plan.side_config.is_null()) return plan.side_config;
  const auto path = plan.model.checkpoint->dir() / "generation_config.json";
  return entry_exists(path) ? load_json(path) : JsonValue();
}

// The values behind the names that the stock exporter writes, the checkpoint's own where it states them.
void add_sampling(Json& config, const PackagePlan& plan, mnn::GraphForm form) {
  const JsonValue generation = generation_config_of(plan);
  // An ONNX file brings the values in its own config.json.
  const double temperature = sampling_value(generation, "temperature", 0.8);
  const double top_p = sampling_value(generation, "top_p", 0.9);
  const double min_p = sampling_value(generation, "min_p", 0.05);
  const double penalty = sampling_value(generation, "repetition_penalty", 1.0);
  const double top_k_value = sampling_value(generation, "top_k", 40);
  const auto top_k = top_k_value >= 1 && top_k_value <= 1e6 ? static_cast<std::int64_t>(top_k_value) : 40;
  config["sampler_type"] = "mixed";
  config["temperature"] = temperature;
  config["top_k"] = top_k;
  config["top_p"] = top_p;
  config["min_p"] = min_p;
  config["tfs_z"] = 1.0;
  config["typical"] = 0.95;
  config["repetition_penalty"] = penalty;
  config["presence_penalty"] = 0.0;
  config["frequency_penalty"] = 0.0;
  config["penalty_window"] = 0;
  config["n_gram"] = 8;
  config["ngram_factor"] = 1.0;
  if (form == mnn::GraphForm::kCompat) {  // the only spellings that runtimes before 3.5 read
    config["topK"] = top_k;
    config["topP"] = top_p;
    config["minP"] = min_p;
    config["tfsZ"] = 1.0;
    config["penalty"] = penalty;
  }
}

// The place and form of tied rows: the object since runtime 3.6.0, the five-number list before.
Json tie_embeddings(const Plan& plan) {
  const EmbeddingPlan& embedding = plan.embedding;
  const QuantScheme& scheme = embedding.scheme;
  std::uint64_t weight_offset = 0;
  std::uint64_t alpha_offset = embedding.codes_bytes;
  std::uint64_t alpha_size = embedding.alpha_bytes;
  if (embedding.kind == EmbeddingPlan::Kind::kTied) {
    const mnn::LinearBlob& head = plan.layout.linears.back();
    weight_offset = head.codes_offset();
    alpha_offset = head.alpha_offset();
    alpha_size = head.alpha_bytes;
  }
  const std::int64_t block = scheme.is_float() ? 0 : scheme.group_size;
  const bool fp32_scales = scheme.is_float() || scheme.scale_type == ScaleType::kF32;
  if (fp32_scales) return Json::array({weight_offset, alpha_offset, alpha_size, scheme.bits, block});
  return Json{{"weight_offset", weight_offset}, {"alpha_offset", alpha_offset}, {"alpha_size", alpha_size},
              {"quant_bit", scheme.bits},       {"quant_block", block},         {"alpha_dtype", "fp16"}};
}

// `computed`, in the order of `side` and with what only `side` has, which a user may have edited; the keys
// `ours` come from `computed` alone.
Json merged(const JsonValue& side, Json computed, const std::set<std::string_view>& ours) {
  if (side.is_null()) return computed;
  Json out = Json::object();
  for (const auto& [key, value] : side.as_object()) {
    if (!ours.contains(key))
      out[key] = json_of(value);
    else if (computed.contains(key))
      out[key] = computed[key];
  }
  for (const auto& [key, value] : computed.items())
    if (!out.contains(key)) out[key] = value;
  return out;
}

Json llm_config(const PackagePlan& plan) {
  const ModelFacts& facts = plan.model.facts;
  Json config;
  config["model_type"] = facts.model_type;
  // The engine knows it as the width of an embedding's row.
  const ir::TokenEmbedding* further = ir::token_embedding(plan.model.lowered.graph);
  config["hidden_size"] = facts.hidden_size + (further != nullptr ? further->size : 0);
  config["layer_nums"] = facts.num_hidden_layers;
  config["attention_mask"] = "float";  // the engine's default is an int mask, which gives wrong logits
  const bool slides = plan.model.lowered.graph.has_sliding_layers;
  config["attention_type"] = slides ? "mix" : "full";
  if (slides) config["sliding_window"] = facts.sliding_window;
  config["is_mrope"] = false;
  if (facts.max_position_embeddings > 0) config["max_position_embeddings"] = facts.max_position_embeddings;
  if (!plan.tokenizer.template_plan.text.empty()) {
    Json& jinja = config["jinja"];
    jinja["chat_template"] = plan.tokenizer.template_plan.text;
    if (!plan.tokenizer.bos_token.empty()) jinja["bos"] = plan.tokenizer.bos_token;
    jinja["eos"] = plan.tokenizer.eos_token;
    // The tokenizer already prepends the BOS; a template that prints it again would double it.
    if (plan.tokenizer.hide_bos_in_template) jinja["context"] = {{"bos_token", ""}};
  }
  return merged(plan.side_llm_config, config,
                {"model_type", "hidden_size", "layer_nums", "attention_mask", "attention_type",
                 "sliding_window", "is_mrope", "max_position_embeddings", "tie_embeddings"});
}

}  // namespace

std::string make_config_json(const PackagePlan& plan, const EmbeddingPlan& embedding, mnn::GraphForm form) {
  Json config;
  config["llm_model"] = kGraphName;
  config["llm_weight"] = kWeightsName;
  // Runtimes before 3.5 know tokenizer.txt only; later ones are better served by the full pipeline.
  config["tokenizer_file"] = form == mnn::GraphForm::kCompat ? kTxtName : kMtokName;
  if (!embedding.file_name.empty()) config["embedding_file"] = embedding.file_name;
  config["backend_type"] = "cpu";
  config["thread_num"] = 4;
  config["precision"] = "low";
  config["memory"] = "low";
  add_sampling(config, plan, form);
  return text_of(
      merged(plan.side_config, config, {"llm_model", "llm_weight", "tokenizer_file", "embedding_file"}));
}

std::string make_llm_config_json(const Plan& plan) {
  Json config = llm_config(plan);
  if (plan.embedding.kind != EmbeddingPlan::Kind::kBf16File) config["tie_embeddings"] = tie_embeddings(plan);
  return text_of(config);
}

std::string make_llm_config_json(const PackagePlan& plan) { return text_of(llm_config(plan)); }

}  // namespace llm2mnn
