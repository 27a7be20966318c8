#include "convert/genai_config.h"

#include <nlohmann/json.hpp>

#include "convert/package_config.h"
#include "convert/package_names.h"

namespace llm2mnn {
namespace {

using Json = nlohmann::ordered_json;

// An id of the checkpoint's config.json; null when it has none.
Json config_id(const OnnxPlan& plan, const char* key) {
  const JsonValue* value = plan.model.checkpoint->config().find(key);
  return value != nullptr && value->is_number() ? Json(value->as_int64()) : Json(nullptr);
}

}  // namespace

std::string make_genai_config_json(const OnnxPlan& plan) {
  const ModelFacts& facts = plan.model.facts;
  const std::vector<std::int64_t>& stop_ids = plan.tokenizer.stop_ids;
  const Json eos = stop_ids.size() == 1 ? Json(stop_ids.front()) : Json(stop_ids);
  Json bos = config_id(plan, "bos_token_id");
  if (bos.is_null() && !plan.tokenizer.prefix_ids.empty()) bos = plan.tokenizer.prefix_ids.front();
  Json pad = config_id(plan, "pad_token_id");
  if (pad.is_null()) pad = stop_ids.empty() ? Json(0) : Json(stop_ids.front());
  const std::int64_t context = decoder_facts(facts).num_positions;
  Json model;
  if (!bos.is_null()) model["bos_token_id"] = bos;
  model["eos_token_id"] = eos;
  model["pad_token_id"] = pad;
  model["type"] = "decoder";
  model["vocab_size"] = plan.model.lowered.graph.vocab_size;
  model["context_length"] = context;
  model["decoder"] = {
      {"session_options", {{"log_id", "onnxruntime-genai"}, {"provider_options", Json::array()}}},
      {"filename", kOnnxName},
      {"head_size", facts.head_dim},
      {"hidden_size", facts.hidden_size},
      {"num_attention_heads", facts.num_attention_heads},
      {"num_hidden_layers", facts.num_hidden_layers},
      {"num_key_value_heads", facts.num_key_value_heads},
      {"inputs",
       {{"input_ids", "input_ids"},
        {"attention_mask", "attention_mask"},
        {"position_ids", "position_ids"},
        {"past_key_names", "past_key_values.%d.key"},
        {"past_value_names", "past_key_values.%d.value"}}},
      {"outputs",
       {{"logits", "logits"},
        {"present_key_names", "present.%d.key"},
        {"present_value_names", "present.%d.value"}}}};
  const Json sampling = Json::parse(plan.config_json);
  const Json search = {{"do_sample", false},
                       {"max_length", context},
                       {"min_length", 0},
                       {"num_beams", 1},
                       {"past_present_share_buffer", false},
                       {"repetition_penalty", sampling.at("repetition_penalty")},
                       {"temperature", sampling.at("temperature")},
                       {"top_k", sampling.at("top_k")},
                       {"top_p", sampling.at("top_p")}};
  return Json{{"model", model}, {"search", search}}.dump(2) + "\n";
}

std::vector<OnnxPlan::CopiedFile> tokenizer_files_of(const std::filesystem::path& dir) {
  constexpr std::uint64_t kMaxBytes = 128u << 20;
  std::vector<OnnxPlan::CopiedFile> files;
  for (const char* name :
       {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
        "vocab.json", "merges.txt", "tokenizer.model", "chat_template.jinja"}) {
    if (entry_exists(dir / name)) files.push_back({name, read_text_file(dir / name, kMaxBytes)});
  }
  return files;
}

}  // namespace llm2mnn
