// Roles that have several ways to be stored: lists in [tensors], and tensors of all experts by columns.

#include <gtest/gtest.h>

#include "arch/arch_test_util.h"

namespace llm2mnn {
namespace {

using testing::describe;
using testing::family_from_text;
using testing::llama_like_tensors;
using testing::message_of;
using testing::Tensors;

JsonValue small_llama() { return parse_json(testing::kSmallLlama); }  // H 32, F 40, 2 layers

constexpr const char* kTwoWays = R"(
  model_types = ["llama"]
  inherits = "llama"
  [tensors]
  down_proj = ["model.layers.{i}.mlp.down.weight",
    { name = "model.layers.{i}.mlp.down.columns", transposed = true, scale = "2" }]
)";

Tensors with_down(const std::string& name, const Shape& shape) {
  Tensors tensors = llama_like_tensors(small_llama());
  for (int i = 0; i < 2; ++i) {
    const std::string mlp = "model.layers." + std::to_string(i) + ".mlp.";
    tensors.erase(mlp + "down_proj.weight");
    tensors[mlp + name] = shape;
  }
  return tensors;
}

TEST(Alternatives, TheFirstWhoseTensorIsThereCounts) {
  const Family family = family_from_text(kTwoWays);
  const auto down = [&](const Tensors& tensors) {
    return describe(family, small_llama(), tensors).layers.at(1).mlp.down_proj.weight;
  };
  EXPECT_TRUE(down(with_down("down.weight", {32, 40})).plain_source().has_value());
  const Binding columns = down(with_down("down.columns", {40, 32}));
  EXPECT_TRUE(columns.reads_columns());
  EXPECT_EQ(columns.rows(), 32);
  EXPECT_EQ(columns.cols(), 40);
}

TEST(Alternatives, OneThatIsNotUsedIsLeftOverAndNoneIsMissingByTheFirstName) {
  const Family family = family_from_text(kTwoWays);
  Tensors both = with_down("down.weight", {32, 40});
  both["model.layers.0.mlp.down.columns"] = {40, 32};
  EXPECT_NE(message_of([&] {
              describe(family, small_llama(), both);
            }).find("'model.layers.0.mlp.down.columns': role 'down_proj' is"),
            std::string::npos);
  const Tensors neither = with_down("other.weight", {32, 40});
  EXPECT_NE(message_of([&] {
              describe(family, small_llama(), neither);
            }).find("missing tensors: 'model.layers.0.mlp.down.weight'"),
            std::string::npos);
}

// Two experts of width 4: gates and ups alternate in the columns of one tensor.
TEST(Alternatives, ExpertsByColumnsAreCountedInRowsOfAll) {
  const Family family = family_from_text(R"(
    model_types = ["llama"]
    inherits = "llama"
    [config]
    num_experts = { default = 2 }
    num_experts_per_tok = { default = 1 }
    moe_intermediate_size = { default = 4 }
    [moe]
    layers = 1
    [tensors]
    router = "model.layers.{i}.mlp.router.weight"
    expert_gate_proj = { name = "model.layers.{i}.mlp.gate_up", transposed = true, rows = { begin = "8 * e", count = 1, groups = 4, stride = 2 } }
    expert_up_proj = { name = "model.layers.{i}.mlp.gate_up", transposed = true, rows = { begin = "8 * e + 1", count = 1, groups = 4, stride = 2 } }
    expert_down_proj = { name = "model.layers.{i}.mlp.down", transposed = true, rows = { begin = "32 * e", count = 32 } }
  )");
  Tensors tensors = llama_like_tensors(small_llama());
  for (int i = 0; i < 2; ++i) {
    const std::string mlp = "model.layers." + std::to_string(i) + ".mlp.";
    for (const char* name : {"gate_proj", "up_proj", "down_proj"})
      tensors.erase(mlp + name + ".weight");
    tensors[mlp + "router.weight"] = {2, 32};
    tensors[mlp + "gate_up"] = {2, 32, 8};
    tensors[mlp + "down"] = {2, 4, 32};
  }
  const MoeSpec moe = *describe(family, small_llama(), tensors).layers.at(0).moe;
  for (const MlpSpec& expert : moe.experts) {
    EXPECT_EQ(expert.up_proj.weight.rows(), 4);
    EXPECT_EQ(expert.up_proj.weight.cols(), 32);
    EXPECT_EQ(expert.down_proj.weight.rows(), 32);
    EXPECT_EQ(expert.down_proj.weight.cols(), 4);
    EXPECT_TRUE(expert.down_proj.weight.reads_columns());
  }
  tensors["model.layers.1.mlp.gate_up"] = {2, 8, 32};
  EXPECT_NE(
      message_of([&] { describe(family, small_llama(), tensors); })
          .find("'model.layers.1.mlp.gate_up': shape is [2, 8, 32], 'expert_gate_proj' takes rows up to 7 "
                "of 32 columns by config.json, transposed"),
      std::string::npos);
}

}  // namespace
}  // namespace llm2mnn
