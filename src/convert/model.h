#pragma once
// A model, whatever it was read from and whatever is made of it: its graph, where the values of each weight
// come from, and what people want to know about it.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "arch/family.h"
#include "checkpoint/checkpoint.h"
#include "lower/lower.h"

namespace llm2mnn {

/// What the graph does not say.
struct ModelFacts {
  std::string model_type;  ///< as in config.json
  std::string family;      ///< of the family file; empty when none was used
  std::int64_t num_hidden_layers = 0;
  std::int64_t hidden_size = 0;
  std::int64_t vocab_size = 0;  ///< rows of the embedding
  std::int64_t max_position_embeddings = 0;
  std::int64_t sliding_window = 0;       ///< 0 when no layer slides
  std::int64_t num_attention_heads = 0;  ///< of the first layer
  std::int64_t num_key_value_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t num_experts = 0;  ///< of the first layer with experts; 0: there is none
  std::int64_t num_experts_per_tok = 0;
  std::int64_t num_sparse_layers = 0;
  bool tied = false;
  std::vector<std::string> ropes;  ///< kinds
  std::int64_t parameters = 0;     ///< of the used tensors

  struct Ignored {
    std::string tensor, rule;
  };
  std::vector<Ignored> ignored;  ///< tensors that a named rule left out
  std::vector<std::string> unread_config_keys;
  std::vector<std::string> notes;
};

ModelFacts facts_of(const DecoderSpec& spec, const Checkpoint& checkpoint);
/// Adds what the graph says of experts.
void add_expert_facts(ModelFacts& facts, const ir::Graph& graph);

struct Model {
  std::shared_ptr<const Checkpoint> checkpoint;
  ModelFacts facts;
  Lowered lowered;
  Binding embed_tokens;
};

/// A checkpoint's language model as a checkpoint of its own: the same one when it holds nothing else.
struct TextCheckpoint {
  std::shared_ptr<const Checkpoint> checkpoint;
  std::vector<TextModel::Part> left_out;
};
TextCheckpoint text_checkpoint_of(std::shared_ptr<const Checkpoint> checkpoint,
                                  const FamilyRegistry& registry);

/// @param type  `--type`; empty: config.json's model_type.
/// @param text_only  whether other models of the checkpoint may be left out
/// @throws Error(kUnsupported) naming what would be left out; and as FamilyRegistry::describe.
Model model_of_checkpoint(std::shared_ptr<const Checkpoint> checkpoint, const FamilyRegistry& registry,
                          std::string_view type, bool text_only);

/// The values of a vector of the graph.
std::vector<float> read_vector(const Model& model, ir::WeightId id);

}  // namespace llm2mnn
