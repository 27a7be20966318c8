// From a directory to a DecoderSpec: selection of the family, and the values that bindings give.

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

#include "arch/arch_test_util.h"
#include "arch/family.h"

namespace llm2mnn {
namespace {

namespace fs = std::filesystem;
using testing::llama_like_tensors;
using testing::message_of;
using testing::Tensors;
using testing::with_key;

// A directory with a checkpoint in F32 in which every element of row r is r.
class RegistryTest : public ::testing::Test {
 protected:
  RegistryTest() {
    std::string pattern = (fs::temp_directory_path() / "llm2mnn_registry_XXXXXX").string();
    dir_ = mkdtemp(pattern.data());
  }
  ~RegistryTest() override { fs::remove_all(dir_); }

  Checkpoint write(const JsonValue& config, const Tensors& tensors) {
    std::string header, data;
    for (const auto& [name, shape] : tensors) {
      const std::size_t begin = data.size();
      const auto rows = static_cast<std::size_t>(shape[0]);
      const auto cols = static_cast<std::size_t>(shape.size() > 1 ? shape[1] : 1);
      for (std::size_t i = 0; i < rows * cols; ++i) {
        const auto value = static_cast<float>(i / cols);
        data.append(reinterpret_cast<const char*>(&value), sizeof(value));
      }
      header += fmt::format("{}\"{}\":{{\"dtype\":\"F32\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                            header.empty() ? "{" : ",", name, fmt::join(shape, ","), begin, data.size());
    }
    header += "}";
    const auto length = static_cast<std::uint64_t>(header.size());
    std::ofstream(dir_ / "model.safetensors", std::ios::binary)
            .write(reinterpret_cast<const char*>(&length), sizeof(length))
        << header << data;
    std::ofstream(dir_ / "config.json") << config.dump();
    return Checkpoint::open(dir_);
  }

  static std::vector<float> first_column(const Checkpoint& checkpoint, const Binding& binding) {
    std::vector<float> values(static_cast<std::size_t>(binding.rows() * binding.cols())), column;
    std::vector<std::byte> scratch;
    binding.read_rows(checkpoint, 0, binding.rows(), values.data(), scratch);
    for (std::size_t i = 0; i < values.size(); i += static_cast<std::size_t>(binding.cols()))
      column.push_back(values[i]);
    return column;
  }

  static fs::path fixture(const std::string& name) {
    return fs::path(LLM2MNN_SOURCE_DIR) / "tests/fixtures/families" / name;
  }

  fs::path dir_;
};

JsonValue small_llama() { return parse_json(testing::kSmallLlama); }

TEST_F(RegistryTest, DescribesByModelType) {
  const Checkpoint checkpoint = write(small_llama(), llama_like_tensors(small_llama()));
  const DecoderSpec spec = FamilyRegistry::built_in().describe(checkpoint);
  EXPECT_EQ(spec.family, "llama");
  EXPECT_EQ(spec.model_type, "llama");
}

TEST_F(RegistryTest, UnknownModelTypeNamesTheNearestAndTheWaysOut) {
  const Checkpoint checkpoint =
      write(with_key(small_llama(), "model_type", "\"qwen4\""), llama_like_tensors(small_llama()));
  ErrorKind kind{};
  const std::string message = message_of([&] { FamilyRegistry::built_in().describe(checkpoint); }, &kind);
  EXPECT_EQ(kind, ErrorKind::kUnsupported);
  for (const char* part : {"'qwen4'", "'qwen2'", "'qwen3'", "--family", "--type"})
    EXPECT_NE(message.find(part), std::string::npos) << message;
}

// The message for a checkpoint whose model_type nobody claims.
std::string unknown_type_message(const Checkpoint& checkpoint) {
  ErrorKind kind{};
  std::string message = message_of([&] { FamilyRegistry::built_in().describe(checkpoint); }, &kind);
  EXPECT_EQ(kind, ErrorKind::kUnsupported);
  EXPECT_LT(message.size(), 500u) << message;
  return message;
}

void expect_part(const std::string& message, const std::string& part) {
  EXPECT_NE(message.find(part), std::string::npos) << message;
}

TEST_F(RegistryTest, AnotherNameForAKnownModelIsToldByItsTensorsAndKeys) {
  JsonValue config = with_key(small_llama(), "model_type", "\"acme_lm\"");
  expect_part(unknown_type_message(write(config, llama_like_tensors(small_llama()))),
              "its tensors and keys are those of 'llama': --type 'llama' reads it");
  // Granite's multipliers, on Llama's tensor names.
  config = with_key(config, "residual_multiplier", "0.25");
  expect_part(unknown_type_message(write(config, llama_like_tensors(small_llama()))), "those of 'granite'");
  JsonValue qwen = with_key(small_llama(), "model_type", "\"qwen3\"");
  const Tensors tensors = llama_like_tensors(qwen);
  expect_part(unknown_type_message(write(with_key(qwen, "model_type", "\"acme_lm\""), tensors)),
              "those of 'qwen3'");
}

TEST_F(RegistryTest, WhatTheNearestFamilyDoesNotUnderstandIsNamed) {
  JsonValue config = with_key(small_llama(), "model_type", "\"acme_lm\"");
  config = with_key(config, "attn_gate_multiplier", "3");
  Tensors tensors = llama_like_tensors(small_llama());
  for (const char* layer : {"0", "1"}) {
    const std::string at = std::string("model.layers.") + layer;
    tensors[at + ".self_attn.attn_gate.weight"] = {4};
    tensors.erase(at + ".input_layernorm.weight");
  }
  const Checkpoint checkpoint = write(config, tensors);
  const std::string message = unknown_type_message(checkpoint);
  for (const char* part :
       {"nearest to 'llama'", "tensors 'model.layers.{i}.self_attn.attn_gate.weight'",
        "keys 'attn_gate_multiplier'", "a lack of 'model.layers.{i}.input_layernorm.weight'"})
    expect_part(message, part);
  // --type does not soften the rules.
  ErrorKind kind{};
  message_of([&] { FamilyRegistry::built_in().describe(checkpoint, "llama"); }, &kind);
  EXPECT_EQ(kind, ErrorKind::kUnsupported);
}

TEST_F(RegistryTest, ACheckpointLikeNoFamilySaysSo) {
  const JsonValue config = with_key(small_llama(), "model_type", "\"acme_vision\"");
  expect_part(
      unknown_type_message(write(config, {{"trunk.0.conv.weight", {4, 4}}, {"trunk.1.conv.weight", {4, 4}}})),
      "its tensors are like no family's: 'trunk.{i}.conv.weight'");
}

TEST_F(RegistryTest, AHundredThousandStrangeNamesAreNotAllCompared) {
  Tensors tensors;
  for (int i = 0; i < 100'000; ++i)
    tensors["block" + std::to_string(i) + ".weight"] = {1};
  const JsonValue config = with_key(small_llama(), "model_type", "\"acme_lm\"");
  const Checkpoint checkpoint = write(config, tensors);
  expect_part(unknown_type_message(checkpoint), "like no family's: 'block");
}

TEST_F(RegistryTest, AnotherTypeStillUsesEachTensorOnce) {
  const JsonValue config = with_key(small_llama(), "model_type", "\"acme_lm\"");
  Tensors tensors = llama_like_tensors(small_llama());
  tensors["model.layers.1.self_attn.attn_gate.weight"] = {4};
  ErrorKind kind{};
  const std::string message =
      message_of([&] { FamilyRegistry::built_in().describe(write(config, tensors), "llama"); }, &kind);
  EXPECT_EQ(kind, ErrorKind::kFormat);
  expect_part(message, "a tensor is left over");
  expect_part(message, "'model.layers.1.self_attn.attn_gate.weight'");
}

TEST_F(RegistryTest, TypeOverrulesModelTypeAndArchitectures) {
  JsonValue config = with_key(small_llama(), "model_type", "\"lama_clone\"");
  config = with_key(config, "architectures", R"(["CloneForCausalLM"])");
  const Checkpoint checkpoint = write(config, llama_like_tensors(small_llama()));
  EXPECT_EQ(FamilyRegistry::built_in().describe(checkpoint, "llama").family, "llama");
  ErrorKind kind{};
  message_of([&] { FamilyRegistry::built_in().describe(checkpoint, "lama"); }, &kind);
  EXPECT_EQ(kind, ErrorKind::kInvalidArgument);
}

TEST_F(RegistryTest, AUsersFamilyThatIsNotUsedIsAnError) {
  const Checkpoint checkpoint = write(small_llama(), llama_like_tensors(small_llama()));
  FamilyRegistry registry = FamilyRegistry::built_in();
  registry.add_file(fixture("gemma3_text.toml"));
  ErrorKind kind{};
  const std::string message = message_of([&] { registry.describe(checkpoint); }, &kind);
  EXPECT_EQ(kind, ErrorKind::kInvalidArgument);
  EXPECT_NE(message.find("--type 'gemma3_text'"), std::string::npos) << message;
}

TEST_F(RegistryTest, InterleavedPairsOfAFusedTensorBecomeHalves) {
  const JsonValue config = parse_json(R"({"model_type": "chatglm", "padded_vocab_size": 5, "hidden_size": 2,
    "ffn_hidden_size": 3, "num_layers": 1, "num_attention_heads": 2, "multi_query_group_num": 1, "kv_channels": 8,
    "seq_length": 64, "multi_query_attention": true, "add_qkv_bias": true})");
  const std::string layer = "transformer.encoder.layers.0.";
  const Checkpoint checkpoint = write(config, {{"transformer.embedding.word_embeddings.weight", {5, 2}},
                                               {"transformer.encoder.final_layernorm.weight", {2}},
                                               {"transformer.output_layer.weight", {5, 2}},
                                               {layer + "input_layernorm.weight", {2}},
                                               {layer + "post_attention_layernorm.weight", {2}},
                                               {layer + "self_attention.query_key_value.weight", {32, 2}},
                                               {layer + "self_attention.query_key_value.bias", {32}},
                                               {layer + "self_attention.dense.weight", {2, 16}},
                                               {layer + "mlp.dense_h_to_4h.weight", {6, 2}},
                                               {layer + "mlp.dense_4h_to_h.weight", {2, 3}}});
  const DecoderSpec spec = FamilyRegistry::built_in().describe(checkpoint);
  const AttentionSpec& attention = spec.layers.at(0).attention;
  using Rows = std::vector<float>;
  // Heads of 8 channels; the first 4 rotate: 0 2 | 1 3, then the rest.
  const Rows q = {0, 2, 1, 3, 4, 5, 6, 7, 8, 10, 9, 11, 12, 13, 14, 15};
  EXPECT_EQ(first_column(checkpoint, attention.q_proj.weight), q);
  EXPECT_EQ(first_column(checkpoint, attention.q_proj.bias), q);
  EXPECT_EQ(first_column(checkpoint, attention.k_proj.weight), (Rows{16, 18, 17, 19, 20, 21, 22, 23}));
  EXPECT_EQ(first_column(checkpoint, attention.v_proj.weight), (Rows{24, 25, 26, 27, 28, 29, 30, 31}));
  EXPECT_EQ(first_column(checkpoint, spec.layers.at(0).mlp.gate_proj->weight), (Rows{0, 1, 2}));
  EXPECT_EQ(first_column(checkpoint, spec.layers.at(0).mlp.up_proj.weight), (Rows{3, 4, 5}));
}

TEST_F(RegistryTest, AttentionScaleGoesIntoQ) {
  JsonValue config = with_key(small_llama(), "query_scale", "0.5");
  config = with_key(with_key(config, "head_dim", "16"), "architectures", "null");
  const fs::path file = dir_ / "scaled.toml";
  std::ofstream(file) << "model_types = [\"llama\"]\ninherits = \"llama\"\n[config]\nquery_scale = {}\n"
                         "[attention]\nscale = \"query_scale\"\n";
  const Checkpoint checkpoint = write(config, llama_like_tensors(config));
  FamilyRegistry registry = FamilyRegistry::built_in();
  registry.add_file(file);
  const AttentionSpec attention = registry.describe(checkpoint).layers.at(0).attention;
  // 0.5 instead of 16^-0.5 is a factor of 2.
  EXPECT_EQ(first_column(checkpoint, attention.q_proj.weight)[3], 6);
  EXPECT_EQ(first_column(checkpoint, attention.k_proj.weight)[3], 3);
}

TEST_F(RegistryTest, AttentionScaleGoesIntoTheNormOfQWhereThereIsOne) {
  JsonValue config = parse_json(R"({"model_type": "gemma3_text", "vocab_size": 5, "hidden_size": 4,
    "intermediate_size": 3, "num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 4,
    "query_pre_attn_scalar": 1, "sliding_window": 4})");
  const std::string layer = "model.layers.0.";
  Tensors tensors = {{"model.embed_tokens.weight", {5, 4}}, {"model.norm.weight", {4}}};
  for (const char* name : {"input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
                           "post_feedforward_layernorm", "self_attn.q_norm", "self_attn.k_norm"})
    tensors[layer + name + ".weight"] = {4};
  for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"})
    tensors[layer + "self_attn." + name + ".weight"] = {4, 4};
  tensors[layer + "mlp.gate_proj.weight"] = {3, 4};
  tensors[layer + "mlp.up_proj.weight"] = {3, 4};
  tensors[layer + "mlp.down_proj.weight"] = {4, 3};
  const Checkpoint checkpoint = write(config, tensors);
  FamilyRegistry registry = FamilyRegistry::built_in();
  registry.add_file(fixture("gemma3_text.toml"));
  const AttentionSpec attention = registry.describe(checkpoint).layers.at(0).attention;
  using Values = std::vector<float>;
  EXPECT_EQ(first_column(checkpoint, attention.q_norm->weight),
            (Values{2, 4, 6, 8}));  // (1 + w) * 1 / 4^-0.5
  EXPECT_EQ(first_column(checkpoint, attention.k_norm->weight), (Values{1, 2, 3, 4}));
  EXPECT_TRUE(attention.q_proj.weight.plain_source().has_value());
}

}  // namespace
}  // namespace llm2mnn
