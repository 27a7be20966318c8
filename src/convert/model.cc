#include "convert/model.h"

#include <algorithm>
#include <set>

#include "base/checked.h"

namespace llm2mnn {
namespace {

std::int64_t num_parameters(const DecoderSpec& spec, const Checkpoint& checkpoint) {
  std::set<TensorId> ignored(spec.scales.begin(), spec.scales.end());
  for (const DecoderSpec::Ignored& entry : spec.ignored)
    ignored.insert(entry.tensor);
  std::int64_t total = 0;
  for (TensorId id = 0; id < checkpoint.tensors().size(); ++id) {
    std::int64_t elements = 0;
    if (!ignored.contains(id) && shape_elements(checkpoint.tensor(id).shape, elements))
      total += checkpoint.tensor(id).dtype == DType::kU8 ? spec.weights_per_byte * elements : elements;
  }
  return total;
}

}  // namespace

ModelFacts facts_of(const DecoderSpec& spec, const Checkpoint& checkpoint) {
  ModelFacts facts;
  facts.model_type = spec.model_type;
  facts.family = spec.family;
  facts.num_hidden_layers = checked_cast<std::int64_t>(spec.layers.size());
  facts.hidden_size = spec.lm_head.weight.cols();  // what the graph takes
  facts.vocab_size = spec.vocab_size;
  facts.max_position_embeddings = spec.max_position_embeddings;
  facts.sliding_window = spec.sliding_window;
  if (!spec.layers.empty()) {
    const auto first = std::find_if(spec.layers.begin(), spec.layers.end(), [](const LayerSpec& layer) {
      return !layer.short_conv && !layer.gated_delta;
    });
    const AttentionSpec& attention = first == spec.layers.end() ? AttentionSpec{} : first->attention;
    facts.num_attention_heads = attention.num_attention_heads;
    facts.num_key_value_heads = attention.num_key_value_heads;
    facts.head_dim = attention.head_dim;
  }
  for (const LayerSpec& layer : spec.layers) {
    if (!layer.moe) continue;
    if (facts.num_sparse_layers++ > 0) continue;
    facts.num_experts = checked_cast<std::int64_t>(layer.moe->experts.size());
    facts.num_experts_per_tok = layer.moe->router.experts_per_token;
  }
  facts.tied = spec.tied;
  for (const RopeSpec& rope : spec.ropes)
    facts.ropes.push_back(rope.kind);
  facts.parameters = num_parameters(spec, checkpoint);
  for (const DecoderSpec::Ignored& entry : spec.ignored)
    facts.ignored.push_back({checkpoint.tensor(entry.tensor).name, entry.rule});
  facts.unread_config_keys = spec.unread_config_keys;
  facts.notes = spec.notes;
  return facts;
}

void add_expert_facts(ModelFacts& facts, const ir::Graph& graph) {
  for (const ir::Node& node : graph.nodes) {
    const auto* experts = std::get_if<ir::Experts>(&node.op);
    if (experts == nullptr || facts.num_sparse_layers++ > 0) continue;
    facts.num_experts = checked_cast<std::int64_t>(experts->experts.size());
    facts.num_experts_per_tok = experts->top_k;
  }
}

TextCheckpoint text_checkpoint_of(std::shared_ptr<const Checkpoint> checkpoint,
                                  const FamilyRegistry& registry) {
  std::optional<TextModel> text = registry.text_model(*checkpoint);
  if (!text.has_value()) return {std::move(checkpoint), {}};
  return {
      std::make_shared<const Checkpoint>(checkpoint->part(std::move(text->config), std::move(text->tensors))),
      std::move(text->left_out)};
}

Model model_of_checkpoint(std::shared_ptr<const Checkpoint> whole, const FamilyRegistry& registry,
                          std::string_view type, bool text_only) {
  auto [checkpoint, left_out] = text_checkpoint_of(std::move(whole), registry);
  const DecoderSpec spec = registry.describe(*checkpoint, type);
  if (!left_out.empty() && !text_only)
    fail(ErrorKind::kUnsupported,
         "the checkpoint also holds what is not exported: {}; --text_only exports its language model alone",
         left_out_text(left_out));
  Model model;
  model.facts = facts_of(spec, *checkpoint);
  if (!left_out.empty())
    model.facts.notes.push_back("the language model alone; left out: " + left_out_text(left_out));
  model.lowered = lower(spec);
  model.embed_tokens = spec.embed_tokens;
  model.checkpoint = std::move(checkpoint);
  return model;
}

std::vector<float> read_vector(const Model& model, ir::WeightId id) {
  const Binding& binding = model.lowered.weights.at(id).binding;
  std::vector<float> values(checked_cast<std::size_t>(binding.rows()));
  std::vector<std::byte> scratch;
  binding.read_rows(*model.checkpoint, 0, binding.rows(), values.data(), scratch);
  return values;
}

}  // namespace llm2mnn
