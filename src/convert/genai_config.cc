#include "convert/genai_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "convert/package_config.h"
#include "convert/package_names.h"
#include "convert/plan_json.h"

namespace llm2mnn {
namespace {

using Json = nlohmann::ordered_json;

bool is_id(const OnnxPlan& plan, std::int64_t id) {
  return id >= 0 && id < plan.model.lowered.graph.vocab_size;
}

// An id of the checkpoint's config.json; null when it has none (-1 is one way to say so).
Json config_id(const OnnxPlan& plan, const char* key) {
  const JsonValue* value = plan.model.checkpoint->config().find(key);
  if (value == nullptr || !value->is_number()) return nullptr;
  try {
    const std::int64_t id = value->as_int64();
    return is_id(plan, id) ? Json(id) : Json(nullptr);
  } catch (Error& error) {
    error.add_context(fmt::format("config.json: '{}'", key));
    throw;
  }
}

// genai loads no model with an id beyond its logits.
std::vector<std::int64_t> reachable_stop_ids(const OnnxPlan& plan) {
  std::vector<std::int64_t> ids = plan.tokenizer.stop_ids;
  std::erase_if(ids, [&](std::int64_t id) { return !is_id(plan, id); });
  return ids;
}

constexpr const char* kTokenizerConfigName = "tokenizer_config.json";
constexpr const char* kTemplateName = "chat_template.jinja";

OnnxPlan::TokenizerFile* find_file(std::vector<OnnxPlan::TokenizerFile>& files, std::string_view name) {
  const auto found = std::ranges::find(files, name, &OnnxPlan::TokenizerFile::name);
  return found == files.end() ? nullptr : &*found;
}

// Whether genai finds just this template in these files.
bool has_template(const JsonValue& config, const OnnxPlan::TokenizerFile* file,
                  std::string_view chat_template) {
  const JsonValue* member = config.find("chat_template");
  if (member != nullptr && !member->is_null())
    return member->is_string() && member->as_string() == chat_template;
  return (file == nullptr ? std::string_view() : file->content) == chat_template;
}

}  // namespace

std::string make_genai_config_json(const OnnxPlan& plan) {
  const ModelFacts& facts = plan.model.facts;
  const std::vector<std::int64_t> stop_ids = reachable_stop_ids(plan);
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

std::vector<OnnxPlan::TokenizerFile> genai_tokenizer_files(const std::filesystem::path& dir,
                                                           std::string_view chat_template) {
  constexpr std::uint64_t kMaxBytes = 128u << 20;
  std::vector<OnnxPlan::TokenizerFile> files;
  for (const char* name :
       {kTokenizerJsonName, kTokenizerConfigName, "special_tokens_map.json", "added_tokens.json",
        "vocab.json", "merges.txt", "tokenizer.model", kTemplateName}) {
    if (entry_exists(dir / name)) files.push_back({name, read_text_file(dir / name, kMaxBytes)});
  }
  const OnnxPlan::TokenizerFile* found = find_file(files, kTokenizerConfigName);
  const JsonValue config = found == nullptr ? JsonValue::make_object({}) : parse_json(found->content);
  if (found != nullptr && has_template(config, find_file(files, kTemplateName), chat_template)) return files;
  Json written = json_of(config);
  written.erase("chat_template");
  if (!chat_template.empty()) written["chat_template"] = chat_template;
  std::erase_if(files, [](const auto& file) {
    return file.name == kTokenizerConfigName || file.name == kTemplateName;
  });
  files.push_back({kTokenizerConfigName, written.dump(2) + "\n"});
  return files;
}

}  // namespace llm2mnn
