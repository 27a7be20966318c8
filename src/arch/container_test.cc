#include "arch/container.h"

#include <gtest/gtest.h>

#include "arch/arch_test_util.h"
#include "arch/embedded_families.h"

namespace llm2mnn {
namespace {

using testing::message_of;

constexpr const char* kFile = R"(
source = "a test"
[model_types]
pair = "llama"
[text]
config = ["text_config", "inner.llm"]
[text.types]
pair_text = "qwen2"
[tensors]
"model." = "model."
"model.lm." = "model."
"lm." = ""
[left_out]
"model.vision." = "vision tower"
"proj." = "projector"
[harmless]
rope_theta = "a test"
[refuse]
both = "it is two"
)";

TextModel text_of(const std::string& config, std::vector<TensorInfo> tensors = {},
                  const std::string& file = kFile) {
  const Container container = read_container(file, "test", "test.toml");
  return text_model_of(container, parse_json(config), tensors, {"rope_theta", "rope_scaling", "hidden_size"});
}

std::string type_of(const TextModel& model) {
  return std::string(model.config.find("model_type")->as_string());
}

TEST(Container, TheTextConfigIsFoundAndCompleted) {
  const TextModel model = text_of(R"({"model_type": "pair", "tie_word_embeddings": true, "eos_token_id": 7,
      "rope_theta": 5, "hidden_size": 3, "inner": {"llm": {"hidden_size": 4, "eos_token_id": 8}}})");
  EXPECT_EQ(type_of(model), "llama");
  EXPECT_TRUE(model.config.find("tie_word_embeddings")->as_bool());
  EXPECT_EQ(model.config.find("eos_token_id")->as_int64(), 8);
  EXPECT_EQ(model.config.find("hidden_size")->as_int64(), 4);
  EXPECT_EQ(model.config.find("rope_theta"), nullptr);
  EXPECT_EQ(type_of(text_of(R"({"model_type": "pair", "text_config": {"model_type": "mistral"}})")),
            "mistral");
  EXPECT_EQ(type_of(text_of(R"({"model_type": "pair", "text_config": {"model_type": "pair_text"}})")),
            "qwen2");
}

TEST(Container, WhatTheObjectsAroundItSayCountsToo) {
  const TextModel model = text_of(R"({"model_type": "pair", "eos_token_id": 7, "bos_token_id": 1,
      "architectures": ["Pair"], "inner": {"eos_token_id": 8, "pad_token_id": 9,
      "llm": {"hidden_size": 4, "architectures": ["Pair"]}}})");
  EXPECT_EQ(model.config.find("eos_token_id")->as_int64(), 8);
  EXPECT_EQ(model.config.find("pad_token_id")->as_int64(), 9);
  EXPECT_EQ(model.config.find("bos_token_id")->as_int64(), 1);
  EXPECT_EQ(model.config.find("architectures"), nullptr);
  EXPECT_NE(text_of(R"({"model_type": "pair", "architectures": ["Pair"],
      "inner": {"llm": {"architectures": ["LlamaForCausalLM"]}}})")
                .config.find("architectures"),
            nullptr);
}

TEST(Container, AFlatConfigIsTheTextModels) {
  std::string file(kFile);
  file.replace(file.find("[text.types]"), 0, "flat = true\n");
  const TextModel model = text_of(
      R"({"model_type": "pair", "architectures": ["Pair"], "rope_theta": 5, "hidden_size": 3})", {}, file);
  EXPECT_EQ(type_of(model), "llama");
  EXPECT_EQ(model.config.find("architectures"), nullptr);
  EXPECT_EQ(model.config.find("rope_theta"), nullptr);
  EXPECT_EQ(model.config.find("hidden_size")->as_int64(), 3);
}

TEST(Container, TensorsAreRenamedOrLeftOutByTheLongestBeginning) {
  const TextModel model = text_of(R"({"model_type": "pair", "text_config": {}})",
                                  {{"lm.lm_head.weight", DType::kBF16, {2, 2}, 0, 0, 8},
                                   {"model.lm.norm.weight", DType::kBF16, {2}, 1, 40, 4},
                                   {"model.vision.a", DType::kBF16, {2}, 0, 0, 4},
                                   {"model.vision.b", DType::kF32, {2}, 0, 0, 8},
                                   {"model.x", DType::kBF16, {2}, 0, 0, 4},
                                   {"proj.a", DType::kBF16, {2}, 0, 0, 4}});
  ASSERT_EQ(model.tensors.size(), 3u);
  EXPECT_EQ(model.tensors[0].name, "lm_head.weight");
  EXPECT_EQ(model.tensors[1].name, "model.norm.weight");
  EXPECT_EQ(model.tensors[1].file_idx, 1u);
  EXPECT_EQ(model.tensors[1].offset, 40u);
  EXPECT_EQ(model.tensors[2].name, "model.x");
  EXPECT_EQ(left_out_text(model.left_out),
            "projector (1 tensor, 4 bytes), vision tower (2 tensors, 12 bytes)");
}

TEST(Container, WhatCannotBeTheTextModelIsRefused) {
  const auto refusal = [](const std::string& config, std::vector<TensorInfo> tensors = {}) {
    return message_of([&] { text_of(config, tensors); });
  };
  EXPECT_EQ(refusal(R"({"model_type": "both"})"),
            "config.json: model_type 'both' is not supported: it is two");
  EXPECT_NE(refusal(R"({"model_type": "pair"})").find("'text_config' is missing"), std::string::npos);
  EXPECT_NE(refusal(R"({"model_type": "pair", "text_config": 3})").find("must be an object"),
            std::string::npos);
  EXPECT_NE(refusal(R"({"model_type": "pair", "text_config": {}, "rope_scaling": {"factor": 2}})")
                .find("key 'rope_scaling' is"),
            std::string::npos);
  EXPECT_EQ(refusal(R"({"model_type": "pair", "text_config": {}, "rope_scaling": null})"), "(no error)");
  EXPECT_NE(refusal(R"({"model_type": "pair", "text_config": {}})", {{"audio.x", DType::kBF16, {2}}})
                .find("a tensor is of no part that is known of a checkpoint of type 'pair': 'audio.x'"),
            std::string::npos);
  EXPECT_NE(refusal(R"({"model_type": "pair", "text_config": {}})",
                    {{"lm.model.x", DType::kBF16, {2}}, {"model.x", DType::kBF16, {2}}})
                .find("'model.x' appears twice"),
            std::string::npos);
}

TEST(Container, AFileThatIsWrongIsNamedWithItsLine) {
  const std::pair<const char*, const char*> broken[] = {
      {"[model_type]\nx = \"y\"", "test.toml:1: unknown key 'model_type'"},
      {"source = 3", "test.toml:1: 'source' must be a string"},
      {"\ntensors = \"x\"", "test.toml:2: 'tensors' must be a table"},
      {"[text]\nconfigs = [\"x\"]", "test.toml:2: unknown key 'configs' in [text]"},
      {"source = \"x\"", "test.toml:1: a container needs"},
      {"[text", "test.toml:1: "},
  };
  for (const auto& [text, words] : broken)
    EXPECT_NE(message_of([&, text = text] { read_container(text, "test", "test.toml"); }).find(words),
              std::string::npos)
        << message_of([&, text = text] { read_container(text, "test", "test.toml"); });
}

TEST(BuiltInContainers, AreReadAndClaimNoTypeTwice) {
  std::map<std::string, std::string> owner;
  for (const EmbeddedFamily& file : embedded_containers()) {
    const Container container = read_container(file.text, std::string(file.name), "container.toml");
    EXPECT_FALSE(container.source.empty()) << file.name;
    for (const auto* types : {&container.model_types, &container.refused})
      for (const auto& [type, text] : *types)
        EXPECT_TRUE(owner.emplace(type, container.name).second) << type;
  }
  EXPECT_GE(owner.size(), 15u);
}

}  // namespace
}  // namespace llm2mnn
