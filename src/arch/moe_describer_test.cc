#include "arch/moe_describer.h"

#include <gtest/gtest.h>

#include "arch/arch_test_util.h"
#include "arch/name_pattern.h"

namespace llm2mnn {
namespace {

using testing::family_from_text;
using testing::message_of;
using testing::Tensors;
using testing::with_key;

// Three layers, of which `dense` are no mixtures; 4 experts, 2 for each token.
JsonValue config_of(const std::string& dense = "[1]") {
  JsonValue config = parse_json(testing::kSmallLlama);
  for (const auto& [key, value] : {std::pair{"num_hidden_layers", "3"},
                                   {"num_experts", "4"},
                                   {"num_experts_per_tok", "2"},
                                   {"moe_intermediate_size", "24"},
                                   {"shared_intermediate_size", "40"},
                                   {"groups", "1"},
                                   {"top_groups", "1"}})
    config = with_key(config, key, value);
  config = with_key(config, "architectures", "");
  return with_key(config, "dense", dense);
}

constexpr const char* kFamily = R"(
  model_types = ["x"]
  inherits = "llama"
  [config]
  num_experts = {}
  num_experts_per_tok = {}
  moe_intermediate_size = {}
  shared_intermediate_size = {}
  groups = {}
  top_groups = {}
  [mlp]
  gate_bias = false
  up_bias = false
  down_bias = false
  [moe]
  layers = "i != 2"
  dense_layers = { key = "dense" }
  router = "sigmoid"
  selection_bias = true
  renormalise = true
  routed_scale = 2.5
  groups = "groups"
  groups_per_token = "top_groups"
  group_score = "top2"
  shared = true
  shared_gate = true
  [tensors]
  router = "model.layers.{i}.mlp.gate.weight"
  selection_bias = "model.layers.{i}.mlp.gate.bias"
  shared_gate_proj = "model.layers.{i}.mlp.shared.gate_proj.weight"
  shared_up_proj = "model.layers.{i}.mlp.shared.up_proj.weight"
  shared_down_proj = "model.layers.{i}.mlp.shared.down_proj.weight"
  shared_expert_gate = "model.layers.{i}.mlp.shared_gate.weight"
)";
constexpr const char* kSingle = R"(
  expert_gate_proj = "model.layers.{i}.mlp.experts.{e}.gate_proj.weight"
  expert_up_proj = "model.layers.{i}.mlp.experts.{e}.up_proj.weight"
  expert_down_proj = "model.layers.{i}.mlp.experts.{e}.down_proj.weight"
)";
constexpr const char* kStacked = R"(
  expert_gate_proj = { name = "model.layers.{i}.mlp.in", rows = { begin = "2 * e * moe_intermediate_size", count = "moe_intermediate_size" } }
  expert_up_proj = { name = "model.layers.{i}.mlp.in", rows = { begin = "(2 * e + 1) * moe_intermediate_size", count = "moe_intermediate_size" } }
  expert_down_proj = { name = "model.layers.{i}.mlp.out", rows = { begin = "e * hidden_size", count = "hidden_size" } }
)";

// Layers `sparse` have experts.
Tensors tensors_of(const JsonValue& config, const std::vector<int>& sparse, bool stacked = false) {
  Tensors tensors = testing::llama_like_tensors(config);
  const std::int64_t hidden = config.find("hidden_size")->as_int64();
  for (const int i : sparse) {
    const std::string mlp = fmt::format("model.layers.{}.mlp.", i);
    for (const char* name : {"gate_proj", "up_proj", "down_proj"})
      tensors.erase(mlp + name + ".weight");
    tensors[mlp + "gate.weight"] = {4, hidden};
    tensors[mlp + "gate.bias"] = {4};
    tensors[mlp + "shared_gate.weight"] = {1, hidden};
    tensors[mlp + "shared.gate_proj.weight"] = tensors[mlp + "shared.up_proj.weight"] = {40, hidden};
    tensors[mlp + "shared.down_proj.weight"] = {hidden, 40};
    if (stacked) {
      tensors[mlp + "in"] = {4, 48, hidden};
      tensors[mlp + "out"] = {4, hidden, 24};
      continue;
    }
    for (int e = 0; e < 4; ++e) {
      const std::string expert = fmt::format("{}experts.{}.", mlp, e);
      tensors[expert + "gate_proj.weight"] = tensors[expert + "up_proj.weight"] = {24, hidden};
      tensors[expert + "down_proj.weight"] = {hidden, 24};
    }
  }
  return tensors;
}

Family family(const char* experts = kSingle) { return family_from_text(std::string(kFamily) + experts); }

std::string error_of(const JsonValue& config, const Tensors& tensors, const char* experts = kSingle) {
  return message_of([&] { testing::describe(family(experts), config, tensors); });
}

TEST(Moe, LayersAreSparseByExpressionUnlessListedAsDense) {
  const JsonValue config = config_of();
  const DecoderSpec spec = testing::describe(family(), config, tensors_of(config, {0}));
  ASSERT_TRUE(spec.layers[0].moe.has_value());
  EXPECT_FALSE(spec.layers[1].moe.has_value());
  EXPECT_FALSE(spec.layers[2].moe.has_value());
  EXPECT_TRUE(spec.layers[0].mlp.up_proj.weight.is_empty());
  EXPECT_FALSE(spec.layers[2].mlp.up_proj.weight.is_empty());
  const JsonValue none = config_of("null");
  EXPECT_TRUE(testing::describe(family(), none, tensors_of(none, {0, 1})).layers[1].moe.has_value());
}

TEST(Moe, ChoicesArriveInTheSpec) {
  JsonValue config = with_key(config_of(), "groups", "2");
  const DecoderSpec spec = testing::describe(family(), config, tensors_of(config, {0}));
  const MoeSpec& moe = *spec.layers[0].moe;
  EXPECT_EQ(moe.router.kind, RouterKind::kSigmoid);
  EXPECT_EQ(moe.router.experts_per_token, 2);
  EXPECT_EQ(moe.router.num_groups, 2);
  EXPECT_EQ(moe.router.group_score, GroupScore::kTop2);
  EXPECT_TRUE(moe.router.renormalise);
  EXPECT_DOUBLE_EQ(moe.router.scale, 2.5);
  EXPECT_EQ(moe.router.proj.weight.rows(), 4);
  EXPECT_EQ(moe.router.selection_bias.rows(), 4);
  ASSERT_EQ(moe.experts.size(), 4u);
  EXPECT_EQ(moe.experts[3].up_proj.address, "layers.0.mlp.experts.3.up_proj");
  EXPECT_EQ(moe.experts[3].up_proj.role, WeightRole::kExpertUpProj);
  EXPECT_EQ(moe.shared->up_proj.weight.rows(), 40);
  EXPECT_EQ(moe.shared_gate->weight.rows(), 1);
}

TEST(Moe, ExpertsOfOneTensorTakeTheirRows) {
  const JsonValue config = config_of();
  const Tensors tensors = tensors_of(config, {0}, true);
  const DecoderSpec spec = testing::describe(family(kStacked), config, tensors);
  const MlpSpec& expert = spec.layers[0].moe->experts[2];
  EXPECT_EQ(expert.gate_proj->weight.rows(), 24);
  EXPECT_EQ(expert.up_proj.weight.cols(), config.find("hidden_size")->as_int64());
  EXPECT_EQ(expert.down_proj.weight.cols(), 24);
  // All four experts are used, or a row is named.
  Tensors more = tensors;
  more["model.layers.0.mlp.in"][0] = 5;
  EXPECT_NE(error_of(config, more, kStacked).find("row 192 is used by no role"), std::string::npos)
      << error_of(config, more, kStacked);
  more["model.layers.0.mlp.in"][0] = 3;
  EXPECT_NE(error_of(config, more, kStacked).find("'expert_gate_proj' takes rows up to 168"),
            std::string::npos)
      << error_of(config, more, kStacked);
}

TEST(Moe, AMissingOrLeftOverExpertIsNamed) {
  const JsonValue config = config_of();
  Tensors tensors = tensors_of(config, {0});
  tensors.erase("model.layers.0.mlp.experts.3.up_proj.weight");
  EXPECT_NE(error_of(config, tensors).find("missing tensors: 'model.layers.0.mlp.experts.3.up_proj.weight'"),
            std::string::npos)
      << error_of(config, tensors);
  tensors = tensors_of(config, {0});
  tensors["model.layers.0.mlp.experts.4.up_proj.weight"] = {24, config.find("hidden_size")->as_int64()};
  EXPECT_NE(error_of(config, tensors).find("moe.layers = 'i != 2' and 'num_experts' = 4 have no such expert"),
            std::string::npos)
      << error_of(config, tensors);
}

TEST(Moe, NumbersThatDoNotFitAreRefused) {
  const Tensors tensors = tensors_of(config_of(), {0});
  const auto refusal = [&](const char* key, const char* value) {
    return error_of(with_key(config_of(), key, value), tensors);
  };
  EXPECT_EQ(refusal("num_experts_per_tok", "5"),
            "config.json: 'num_experts_per_tok' comes to 5, expected 1 to 4");
  EXPECT_EQ(refusal("num_experts", "0"), "config.json: 'num_experts' comes to 0, expected 1 to 4096");
  EXPECT_EQ(refusal("groups", "3"), "config.json: 4 experts do not fall into 3 groups of one length");
  EXPECT_EQ(refusal("groups", "4"), "config.json: 2 experts for each token, but 1 groups have 1");
  EXPECT_EQ(refusal("top_groups", "2"), "config.json: moe.groups_per_token comes to 2, expected 1 to 1");
  EXPECT_EQ(error_of(config_of("[3]"), tensors), "config.json: 'dense' comes to 3, expected 0 to 2");
  EXPECT_EQ(error_of(config_of("7"), tensors), "config.json: 'dense' must be a list of layer numbers");
}

TEST(Moe, AFurtherLayerIsOneBehindTheLast) {
  for (const auto& [name, fits] :
       {std::pair{"layers.2.x", false}, {"layers.3.x", true}, {"layers.4.x", false}})
    EXPECT_EQ(matches_pattern("layers.{n}.*", name, 3, 1), fits) << name;
  EXPECT_FALSE(matches_pattern("layers.{n}.*", "layers.3.x", 3));
}

TEST(Moe, AScaledInputTakesOneExpert) {
  std::string text = std::string(kFamily) + kSingle;
  text.replace(text.find("shared = true"), 13, "shared = true\n  scales_input = true");
  const Family family = family_from_text(text);
  EXPECT_NE(message_of([&] {
              testing::describe(family, config_of(), tensors_of(config_of(), {0}));
            }).find("'num_experts_per_tok' is 2; where weights multiply what goes into experts"),
            std::string::npos);
  const JsonValue config = with_key(config_of(), "num_experts_per_tok", "1");
  EXPECT_TRUE(testing::describe(family, config, tensors_of(config, {0})).layers[0].moe->scales_input);
}

TEST(Moe, AListOfSparseLayersIsAllThatCounts) {
  std::string text = std::string(kFamily) + kSingle;
  text.replace(text.find("shared = true"), 13, "shared = true\n  sparse_layers = { key = \"sparse\" }");
  const Family family = family_from_text(text);
  const JsonValue config = with_key(config_of("[]"), "sparse", "[2]");
  const DecoderSpec spec = testing::describe(family, config, tensors_of(config, {2}));
  EXPECT_FALSE(spec.layers[0].moe.has_value());
  EXPECT_TRUE(spec.layers[2].moe.has_value());
}

TEST(Moe, ASparsemixerTakesTwoExpertsAndNothingElse) {
  std::string text = std::string(kFamily) + kSingle;
  text.replace(text.find("\"sigmoid\""), 9, "\"sparsemixer\"");
  const JsonValue config = config_of();
  EXPECT_NE(message_of([&] {
              testing::describe(family_from_text(text), config, tensors_of(config, {0}));
            }).find("router 'sparsemixer'"),
            std::string::npos);
}

}  // namespace
}  // namespace llm2mnn
