// Attention in chunks, temperatures, norms of q and k without weights, and experts that read a scaled input.

#include <gtest/gtest.h>

#include "arch/arch_test_util.h"

namespace llm2mnn {
namespace {

using testing::describe;
using testing::family_from_text;
using testing::llama_like_tensors;
using testing::message_of;
using testing::with_key;

// Two layers; keys `kinds`, `chunk` and `interval` of config.json.
Family chunked(const std::string& attention) {
  return family_from_text(R"(
    model_types = ["llama"]
    inherits = "llama"
    [config]
    chunk = { default = 8 }
    interval = { default = 4 }
    [rope]
    enabled = "i < 1"
    [attention]
    chunk_size = "chunk"
    temperature_scale = 0.5
    temperature_interval = "interval"
    layer_types = { keys = ["layer_types", "kinds"], default = "i < 1 ? chunked : full", words = { 1 = "chunked", 0 = "full" } }
  )" + attention);
}

JsonValue small_llama() { return parse_json(testing::kSmallLlama); }

DecoderSpec read(const JsonValue& config, const std::string& attention = "") {
  return describe(chunked(attention), config, llama_like_tensors(small_llama()));
}

TEST(Chunks, AnExpressionAListOfWordsOrOneOfNumbersSaysWhichLayersHaveThem) {
  const auto chunks = [](const DecoderSpec& spec) {
    return std::pair(spec.layers[0].attention.chunk_size, spec.layers[1].attention.chunk_size);
  };
  EXPECT_EQ(chunks(read(small_llama())), std::pair(8L, 0L));
  EXPECT_EQ(chunks(read(with_key(small_llama(), "kinds", "[]"))), std::pair(8L, 0L));
  EXPECT_EQ(chunks(read(with_key(small_llama(), "kinds", "[0, 1]"))), std::pair(0L, 8L));
  EXPECT_EQ(
      chunks(read(with_key(small_llama(), "layer_types", R"(["full_attention", "chunked_attention"])"))),
      std::pair(0L, 8L));
}

TEST(Chunks, TemperaturesAreOfLayersWithoutRotaryEmbedding) {
  const DecoderSpec spec = read(small_llama());
  EXPECT_FALSE(spec.layers[0].attention.temperature.has_value());
  ASSERT_TRUE(spec.layers[1].attention.temperature.has_value());
  EXPECT_EQ(spec.layers[1].attention.temperature->scale, 0.5);
  EXPECT_EQ(spec.layers[1].attention.temperature->interval, 4);
}

TEST(Chunks, NormsWithoutWeightsNeedNoTensors) {
  const DecoderSpec spec =
      read(small_llama(), "qk_norm = \"head\"\nqk_norm_weight = false\nqk_norm_layers = \"rotary\"\n");
  ASSERT_TRUE(spec.layers[0].attention.q_norm.has_value());
  EXPECT_EQ(spec.layers[0].attention.k_norm->weight.rows(), 8);
  EXPECT_FALSE(spec.layers[1].attention.q_norm.has_value());
}

TEST(Chunks, WhatTheyCannotBeIsRefused) {
  const auto message = [](const JsonValue& config, const std::string& attention = "") {
    return message_of([&] { read(config, attention); });
  };
  for (const char* size : {"0", "-1", "2.5"})
    EXPECT_NE(message(with_key(small_llama(), "chunk", size)).find("'attention.chunk_size' comes to"),
              std::string::npos)
        << size;
  EXPECT_NE(
      message(with_key(small_llama(), "interval", "0")).find("'attention.temperature_interval' comes to 0"),
      std::string::npos);
  EXPECT_NE(message(small_llama(), "logit_softcap = 30\n")
                .find("chunked attention together with attention.logit_softcap"),
            std::string::npos);
  EXPECT_NE(message(with_key(small_llama(), "layer_types", R"(["full_attention", "odd"])"))
                .find("and chunked_attention"),
            std::string::npos);
}

}  // namespace
}  // namespace llm2mnn
