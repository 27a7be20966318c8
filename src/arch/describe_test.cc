#include "arch/describe.h"

#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>

#include "arch/arch_test_util.h"

namespace llm2mnn {
namespace {

namespace fs = std::filesystem;
using testing::describe;
using testing::family_fixture;
using testing::family_from_text;
using testing::llama_like_tensors;
using testing::message_of;
using testing::Tensors;
using testing::with_key;

JsonValue small_llama() { return parse_json(testing::kSmallLlama); }

JsonValue small(const std::string& type, const std::string& architecture) {
  JsonValue config = with_key(small_llama(), "model_type", "\"" + type + "\"");
  return with_key(config, "architectures", "[\"" + architecture + "\"]");
}
JsonValue small_qwen2() { return small("qwen2", "Qwen2ForCausalLM"); }
JsonValue small_mistral() {
  return with_key(small("mistral", "MistralForCausalLM"), "sliding_window", "null");
}
JsonValue small_qwen3() { return with_key(small("qwen3", "Qwen3ForCausalLM"), "head_dim", "16"); }

// Describes with the tensors that transformers would have stored.
DecoderSpec describe_whole(const JsonValue& config) {
  return describe(std::string(config.find("model_type")->as_string()), config, llama_like_tensors(config));
}

std::string error_of(const std::string& family, const JsonValue& config, const Tensors& tensors,
                     ErrorKind* kind = nullptr) {
  return message_of([&] { describe(family, config, tensors); }, kind);
}
std::string error_of(const JsonValue& config, ErrorKind* kind = nullptr) {
  return message_of([&] { describe_whole(config); }, kind);
}

void expect_contains(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

// ---- published configs

std::vector<fs::path> published_configs() {
  std::vector<fs::path> files;
  for (const auto& entry :
       fs::directory_iterator(std::string(LLM2MNN_SOURCE_DIR) + "/tests/fixtures/configs"))
    files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

class PublishedConfig : public ::testing::TestWithParam<fs::path> {};

TEST_P(PublishedConfig, IsDescribed) {
  const JsonValue config = load_json(GetParam());
  const DecoderSpec spec = describe_whole(config);
  EXPECT_EQ(static_cast<std::int64_t>(spec.layers.size()), config.find("num_hidden_layers")->as_int64());
  EXPECT_EQ(spec.vocab_size, config.find("vocab_size")->as_int64());
  const JsonValue* tied = config.find("tie_word_embeddings");
  EXPECT_EQ(spec.tied, tied != nullptr && tied->as_bool());
  ASSERT_EQ(spec.ropes.size(), 1u);
  EXPECT_EQ(spec.ropes[0].rotary_dim, spec.layers[0].attention.head_dim);
  const bool slides =
      config.find("model_type")->as_string() == "mistral" && !config.find("sliding_window")->is_null();
  EXPECT_EQ(spec.sliding_window, slides ? 4096 : 0);
}

INSTANTIATE_TEST_SUITE_P(All, PublishedConfig, ::testing::ValuesIn(published_configs()),
                         [](const auto& item) {
                           std::string name = item.param.stem().string();
                           std::replace_if(
                               name.begin(), name.end(),
                               [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
                           return name;
                         });

TEST(Describe, Llama31ScalesItsRope) {
  const JsonValue config =
      load_json(std::string(LLM2MNN_SOURCE_DIR) + "/tests/fixtures/configs/llama-3.1-8b-instruct.json");
  EXPECT_EQ(describe_whole(config).ropes.at(0).kind, "llama3");
}

// ---- choices

TEST(Describe, NamesEveryWeightByItsAddress) {
  const DecoderSpec spec = describe_whole(small_llama());
  const LayerSpec& layer = spec.layers.at(1);
  EXPECT_EQ(layer.attention.q_proj.address, "layers.1.self_attn.q_proj");
  EXPECT_EQ(layer.mlp.down_proj.address, "layers.1.mlp.down_proj");
  EXPECT_EQ(layer.input_norm->address, "layers.1.input_layernorm");
  EXPECT_EQ(layer.pre_mlp_norm->address, "layers.1.pre_mlp_norm");
  EXPECT_FALSE(layer.post_attention_norm.has_value());
  EXPECT_EQ(spec.norm->address, "norm");
  EXPECT_EQ(spec.lm_head.address, "lm_head");
  EXPECT_EQ(layer.attention.q_proj.weight.rows(), 32);
  EXPECT_EQ(layer.attention.k_proj.weight.rows(), 16);
  EXPECT_DOUBLE_EQ(spec.norm->eps, 1e-5);
}

TEST(Describe, LlamaTakesBiasesFromTheConfig) {
  const JsonValue config = with_key(with_key(small_llama(), "attention_bias", "true"), "mlp_bias", "true");
  const LayerSpec layer = describe_whole(config).layers.at(0);
  for (const LinearSpec* linear :
       {&layer.attention.q_proj, &layer.attention.k_proj, &layer.attention.v_proj, &layer.attention.o_proj,
        &*layer.mlp.gate_proj, &layer.mlp.up_proj, &layer.mlp.down_proj})
    EXPECT_EQ(linear->bias.rows(), linear->weight.rows()) << linear->address;
}

TEST(Describe, Qwen2HasBiasesOnQkvOnly) {
  const LayerSpec layer = describe_whole(small_qwen2()).layers.at(0);
  EXPECT_FALSE(layer.attention.q_proj.bias.is_empty());
  EXPECT_FALSE(layer.attention.v_proj.bias.is_empty());
  EXPECT_TRUE(layer.attention.o_proj.bias.is_empty());
  EXPECT_TRUE(layer.mlp.up_proj.bias.is_empty());
}

TEST(Describe, Qwen3HasNormsOnTheHeadsOfQAndK) {
  const LayerSpec layer = describe_whole(small_qwen3()).layers.at(0);
  ASSERT_TRUE(layer.attention.q_norm.has_value());
  EXPECT_EQ(layer.attention.q_norm->weight.rows(), 16);
  EXPECT_TRUE(layer.attention.q_proj.bias.is_empty());
}

TEST(Describe, MistralWindowHoldsInAllLayersUnlessNull) {
  EXPECT_EQ(describe_whole(small_mistral()).sliding_window, 0);
  const DecoderSpec spec = describe_whole(with_key(small_mistral(), "sliding_window", "7"));
  EXPECT_EQ(spec.sliding_window, 7);
  for (const LayerSpec& layer : spec.layers)
    EXPECT_EQ(layer.attention.mask, MaskKind::kSliding);
  // MistralConfig's default is 4096.
  EXPECT_EQ(describe_whole(with_key(small_mistral(), "sliding_window", "")).sliding_window, 4096);
}

std::vector<bool> sliding_layers(const DecoderSpec& spec) {
  std::vector<bool> slides;
  for (const LayerSpec& layer : spec.layers)
    slides.push_back(layer.attention.mask == MaskKind::kSliding);
  return slides;
}

TEST(Describe, Qwen2WindowFollowsItsThreeKeysOrLayerTypes) {
  JsonValue config = with_key(small_qwen2(), "sliding_window", "5");
  config = with_key(config, "max_window_layers", "1");
  EXPECT_EQ(sliding_layers(describe_whole(config)), (std::vector<bool>{false, false}));
  config = with_key(config, "use_sliding_window", "true");
  EXPECT_EQ(sliding_layers(describe_whole(config)), (std::vector<bool>{false, true}));
  EXPECT_EQ(describe_whole(config).sliding_window, 5);
  const JsonValue listed = with_key(config, "layer_types", R"(["sliding_attention", "full_attention"])");
  EXPECT_EQ(sliding_layers(describe_whole(listed)), (std::vector<bool>{true, false}));
  // A window of null means none, whatever the switch says.
  EXPECT_EQ(describe_whole(with_key(config, "sliding_window", "null")).sliding_window, 0);
}

TEST(Describe, LayerTypesThatSlideWithoutAWindowAreAnError) {
  const JsonValue config =
      with_key(small_qwen2(), "layer_types", R"(["sliding_attention", "full_attention"])");
  expect_contains(error_of(config),
                  "some layers slide, but 'use_sliding_window ? sliding_window : 0' comes to 0");
}

TEST(Describe, AWindowOfZeroIsNoAbsentWindow) {
  const auto window_of = [](const char* text) { return with_key(small_qwen2(), "sliding_window", text); };
  const auto used = [&](const char* text) {
    return with_key(with_key(window_of(text), "use_sliding_window", "true"), "max_window_layers", "0");
  };
  expect_contains(error_of(used("0")), "comes to 0; it must be a positive number");
  EXPECT_EQ(describe_whole(used("3")).sliding_window, 3);
  EXPECT_EQ(describe_whole(used("null")).sliding_window, 0);
  EXPECT_EQ(describe_whole(window_of("0")).sliding_window, 0);  // switched off
}

TEST(Describe, LayerTypesMustNameEveryLayer) {
  expect_contains(error_of(with_key(small_qwen2(), "layer_types", R"(["full_attention"])")),
                  "one word for each of 2 layers");
  ErrorKind kind{};
  expect_contains(
      error_of(with_key(small_qwen2(), "layer_types", R"(["full_attention", "linear_attention"])"), &kind),
      "linear_attention");
  EXPECT_EQ(kind, ErrorKind::kUnsupported);
}

TEST(Describe, LayerTypesMayBeRunsOfTheFamilysWords) {
  const Family family = family_from_text(
      "model_types = [\"mistral\"]\ninherits = \"mistral\"\n[attention.layer_types]\n"
      "keys = [\"layers\", \"runs\"]\nwords = { global = \"full\", local = \"sliding\" }\ndefault = "
      "\"full\"\n");
  const JsonValue config = with_key(small_mistral(), "sliding_window", "3");
  const auto described = [&](const char* key, const char* list) {
    return describe(family, with_key(config, key, list), llama_like_tensors(config));
  };
  EXPECT_EQ(sliding_layers(described("runs", R"([[["global", "local"], 1]])")),
            (std::vector<bool>{false, true}));
  EXPECT_EQ(sliding_layers(described("runs", R"([[["local"], 2]])")), (std::vector<bool>{true, true}));
  EXPECT_EQ(sliding_layers(described("layers", R"(["local", "global"])")), (std::vector<bool>{true, false}));
  EXPECT_EQ(sliding_layers(described("layers", R"(["sliding_attention", "global"])")),
            (std::vector<bool>{true, false}));
  for (const char* bad : {R"([[["local"], 3]])", R"([[["local"], 9000000000000]])", R"([[["local"], -1]])"})
    expect_contains(message_of([&] { described("runs", bad); }), "one word for each of 2 layers");
  expect_contains(message_of([&] { described("layers", R"(["lokal", "global"])"); }), "is '\"lokal\"'");
}

TEST(Describe, TheScaleOfScoresMayDependOnTheLayer) {
  const Family family = family_from_text(
      "model_types = [\"llama\"]\ninherits = \"llama\"\n[attention]\nscale = \"head_dim ^ -0.5 / (i + "
      "1)\"\n");
  const DecoderSpec spec = describe(family, small_llama(), llama_like_tensors(small_llama()));
  EXPECT_TRUE(spec.layers.at(0).attention.q_proj.weight.plain_source().has_value());
  EXPECT_FALSE(spec.layers.at(1).attention.q_proj.weight.plain_source().has_value());
}

TEST(Describe, LearnedPositionsStartAtTheirOffset) {
  const auto family_with = [](const char* offset) {
    return family_from_text(std::string("model_types = [\"llama\"]\ninherits = \"llama\"\n"
                                        "[model]\nlearned_positions = true\nposition_offset = ") +
                            offset + "\n[tensors]\nposition_embedding = \"wpe.weight\"\n");
  };
  Tensors tensors = llama_like_tensors(small_llama());
  tensors["wpe.weight"] = {66, 32};
  const DecoderSpec spec = describe(family_with("2"), small_llama(), tensors);
  EXPECT_EQ(spec.position_embedding.rows(), 64);
  EXPECT_FALSE(spec.position_embedding.plain_source().has_value());
  EXPECT_EQ(spec.notes, std::vector<std::string>{"learned positions: the context ends at 64 tokens"});
  expect_contains(
      message_of([&] { describe(family_with("0"), small_llama(), tensors); }),
      "'wpe.weight': shape is [66, 32], config.json asks for [max_position_embeddings, hidden_size] "
      "= [64, 32]");
  expect_contains(message_of([&] { describe(family_with("0.5"), small_llama(), tensors); }),
                  "model.position_offset comes to 0.5");
  tensors["wpe.weight"] = {64, 32};
  EXPECT_TRUE(
      describe(family_with("0"), small_llama(), tensors).position_embedding.plain_source().has_value());
}

TEST(Describe, AlibiPutsTheSlopesIntoTheBiasesOfQ) {
  const Family family = family_from_text(
      "model_types = [\"llama\"]\ninherits = \"llama\"\n[attention]\nalibi = true\n[rope]\nenabled = "
      "false\n");
  const DecoderSpec spec = describe(family, small_llama(), llama_like_tensors(small_llama()));
  const AttentionSpec& attention = spec.layers.at(0).attention;
  EXPECT_TRUE(attention.has_alibi);
  EXPECT_EQ(attention.head_dim, 8);
  EXPECT_EQ(attention.q_proj.weight.rows(), 4 * (8 + kAlibiChannels));
  EXPECT_EQ(attention.q_proj.bias.rows(), 4 * (8 + kAlibiChannels));
  EXPECT_EQ(attention.k_proj.weight.rows(), 16);
  const Family rotary =
      family_from_text("model_types = [\"llama\"]\ninherits = \"llama\"\n[attention]\nalibi = true\n");
  expect_contains(message_of([&] { describe(rotary, small_llama(), llama_like_tensors(small_llama())); }),
                  "attention.alibi together with a rotary embedding");
  const Family capped = family_from_text(
      "model_types = [\"llama\"]\ninherits = \"llama\"\n[attention]\nalibi = true\nlogit_softcap = 30\n"
      "[rope]\nenabled = false\n");
  expect_contains(message_of([&] { describe(capped, small_llama(), llama_like_tensors(small_llama())); }),
                  "sinks or attention.logit_softcap");
}

TEST(Describe, OfAListOfNamesTheFirstThatIsThereCounts) {
  const Family family = family_from_text(
      "model_types = [\"llama\"]\ninherits = \"llama\"\n[tensors]\n"
      "norm = { name = [\"model.last.weight\", \"model.norm.weight\"] }\n");
  Tensors tensors = llama_like_tensors(small_llama());
  EXPECT_EQ(describe(family, small_llama(), tensors).norm->weight.rows(), 32);
  tensors["model.last.weight"] = {32};
  expect_contains(message_of([&] { describe(family, small_llama(), tensors); }),
                  "'model.norm.weight'");  // left over
  tensors.erase("model.last.weight");
  tensors.erase("model.norm.weight");
  expect_contains(message_of([&] { describe(family, small_llama(), tensors); }),
                  "missing tensors: 'model.last.weight'");
}

// ---- the head

TEST(Describe, StoredHeadIsIgnoredWhenTied) {
  const JsonValue config = with_key(small_llama(), "tie_word_embeddings", "true");
  Tensors tensors = llama_like_tensors(config);
  tensors["lm_head.weight"] = {48, 32};
  const DecoderSpec spec = describe("llama", config, tensors);
  EXPECT_TRUE(spec.tied);
  ASSERT_EQ(spec.ignored.size(), 1u);
  EXPECT_EQ(spec.ignored[0].rule, "tied to the embedding");
  EXPECT_EQ(spec.lm_head.weight.plain_source(), spec.embed_tokens.plain_source());
}

TEST(Describe, AbsentHeadIsTheEmbeddingUnlessTheConfigSaysOtherwise) {
  Tensors tensors = llama_like_tensors(small_llama());
  tensors.erase("lm_head.weight");
  expect_contains(error_of("llama", small_llama(), tensors), "missing tensors: 'lm_head.weight'");
  const JsonValue silent = with_key(small_llama(), "tie_word_embeddings", "");
  EXPECT_TRUE(describe("llama", silent, tensors).tied);
  EXPECT_EQ(describe("llama", silent, tensors).notes.size(), 1u);
  const JsonValue base = with_key(small_llama(), "architectures", R"(["LlamaModel"])");
  EXPECT_TRUE(describe("llama", base, tensors).tied);
}

TEST(Describe, BaseModelsMayLackThePrefix) {
  const JsonValue config = with_key(small_llama(), "tie_word_embeddings", "true");
  Tensors tensors;
  for (const auto& [name, shape] : llama_like_tensors(config))
    tensors[name.substr(std::string("model.").size())] = shape;
  tensors["layers.0.self_attn.rotary_emb.inv_freq"] = {4};
  const DecoderSpec spec = describe("llama", config, tensors);
  EXPECT_EQ(spec.layers.size(), 2u);
  EXPECT_EQ(spec.ignored.at(0).rule, "rotary buffer");
}

// ---- tensors

TEST(Describe, MissingTensorIsNamedWithNearMatches) {
  Tensors tensors = llama_like_tensors(small_llama());
  tensors.erase("model.layers.1.mlp.down_proj.weight");
  tensors["model.layers.1.mlp.down_proj.weights"] = {32, 40};
  ErrorKind kind{};
  const std::string message = error_of("llama", small_llama(), tensors, &kind);
  EXPECT_EQ(kind, ErrorKind::kFormat);
  expect_contains(message, "missing tensors: 'model.layers.1.mlp.down_proj.weight'");
  expect_contains(message, "did you mean 'model.layers.1.mlp.down_proj.weights'");
}

TEST(Describe, LeftOverTensorIsNamedWithTheReason) {
  Tensors tensors = llama_like_tensors(small_llama());
  tensors["model.layers.0.self_attn.q_proj.bias"] = {32};
  expect_contains(error_of("llama", small_llama(), tensors), "attention.q_bias = 'attention_bias'");
  tensors = llama_like_tensors(small_llama());
  tensors["model.layers.2.self_attn.q_proj.weight"] = {32, 32};
  expect_contains(error_of("llama", small_llama(), tensors), "beyond num_hidden_layers = 2");
  tensors = llama_like_tensors(small_llama());
  tensors["score.weight"] = {2, 32};
  expect_contains(error_of("llama", small_llama(), tensors), "'score.weight'");
}

TEST(Describe, MisshapenTensorIsNamedWithTheKeys) {
  Tensors tensors = llama_like_tensors(small_llama());
  tensors["model.layers.0.self_attn.k_proj.weight"] = {32, 32};
  expect_contains(error_of("llama", small_llama(), tensors),
                  "'model.layers.0.self_attn.k_proj.weight': shape is [32, 32], config.json asks for "
                  "[num_key_value_heads * head_dim, hidden_size] = [16, 32]");
  tensors = llama_like_tensors(small_llama());
  tensors["model.embed_tokens.weight"] = {64, 32};
  expect_contains(error_of("llama", small_llama(), tensors), "[vocab_size, hidden_size] = [48, 32]");
}

TEST(Describe, AbsurdSizesFailAtTheFirstTensor) {
  const Tensors tensors = llama_like_tensors(small_llama());
  for (const char* key :
       {"num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size", "head_dim"})
    EXPECT_NE(error_of("llama", with_key(small_llama(), key, "2000000000"), tensors), "(no error)") << key;
  expect_contains(error_of("llama", with_key(small_llama(), "num_hidden_layers", "2000000000"), tensors),
                  "(looking at layer 2 of 2000000000)");
}

// ---- config keys

struct BadConfig {
  std::string key, json, fragment;
  ErrorKind kind;
};

TEST(Describe, RefusesConfigsByName) {
  const ErrorKind unsupported = ErrorKind::kUnsupported, format = ErrorKind::kFormat;
  const std::vector<BadConfig> cases = {
      {"quantization_config", R"({"quant_method": "gptq"})", "'quantization_config' ('gptq')", unsupported},
      {"architectures", R"(["LlamaForSequenceClassification"])", "'LlamaForSequenceClassification'",
       unsupported},
      {"architectures", "\"LlamaForCausalLM\"", "'architectures' must be a list of strings", format},
      {"hidden_act", "\"laplace\"", "'hidden_act' is 'laplace'", unsupported},
      {"hidden_act", "5", "'hidden_act' must be a string", format},
      {"attention_multiplier", "0.5", "'attention_multiplier' is '0.5'", unsupported},
      {"final_logit_softcapping", "30.0", "'final_logit_softcapping'", unsupported},
      {"use_qk_norm", "true", "'use_qk_norm'", unsupported},
      {"sliding_window", "4096", "'sliding_window'", unsupported},
      {"partial_rotary_factor", "0.5", "'partial_rotary_factor'", unsupported},
      {"num_local_experts", "8", "'num_local_experts'", unsupported},
      {"is_causal", "false", "", unsupported},
      {"hidden_size", "\"32\"", "'hidden_size'", format},
      {"hidden_size", "0", "'hidden_size': is 0", format},
      {"hidden_size", "-4", "'hidden_size': is -4", format},
      {"hidden_size", "32.5", "'hidden_size'", format},
      {"hidden_size", "1e300", "'hidden_size'", format},
      {"num_key_value_heads", "3", "num_attention_heads 4 is no multiple of num_key_value_heads 3", format},
      {"rms_norm_eps", "-1", "'rms_norm_eps' comes to -1", format},
      {"rms_norm_eps", "\"1e-5\"", "'rms_norm_eps'", format},
      {"tie_word_embeddings", "\"no\"", "'tie_word_embeddings'", format},
      {"attention_bias", "\"no\"", "'attention_bias'", format},
      {"rope_theta", "0", "theta", format},
      {"rope_scaling", R"({"rope_type": "proportional"})",
       "'proportional' in 'rope_scaling' is not supported", unsupported},
      {"rope_scaling", R"({"factor": 2.0})", "neither 'rope_type' nor 'type'", format},
      {"rope_scaling", R"({"rope_type": "linear"})", "'rope_scaling' lacks 'factor'", format},
      {"rope_scaling", R"({"rope_type": "linear", "factor": 0})", "'rope_scaling.factor' is 0", format},
      {"rope_scaling", R"({"rope_type": "linear", "factor": -2})", "must be positive", format},
      {"rope_scaling", R"({"rope_type": "linear", "factor": "2"})", "'rope_scaling.factor'", format},
      {"rope_scaling", R"({"rope_type": "linear", "type": "yarn", "factor": 2})",
       "rope_type 'linear' and type 'yarn'", format},
      {"rope_scaling", R"({"rope_type": "linear", "factor": 2, "beta_fsat": 3})", "'beta_fsat'", unsupported},
      {"rope_scaling", R"({"rope_type": "yarn", "factor": 2, "beta_fsat": 3})", "did you mean 'beta_fast'",
       unsupported},
      {"rope_scaling", R"({"rope_type": "llama3", "factor": 8})", "original_max_position_embeddings", format},
      {"rope_scaling", "\"linear\"", "'rope_scaling' must be an object", format},
      {"rope_parameters", R"({"rope_theta": 5.0})", "'rope_theta' is 10000", format},
      {"rope_parameters", R"({"partial_rotary_factor": 0.5})", "'partial_rotary_factor'", unsupported},
      {"rope_parameters", R"({"chunked_attention": {}})", "'chunked_attention'", unsupported},
      {"rope_parameters", R"({"sliding_attention": {}})", "lacks 'full_attention'", format},
  };
  for (const BadConfig& bad : cases) {
    ErrorKind kind{};
    const JsonValue config = with_key(small_llama(), bad.key, bad.json);
    const std::string message = error_of("llama", config, llama_like_tensors(small_llama()), &kind);
    EXPECT_NE(message.find(bad.fragment), std::string::npos) << bad.key << " " << bad.json << ": " << message;
    EXPECT_EQ(kind, bad.kind) << bad.key << " " << bad.json << ": " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_LT(message.size(), 500u) << message;
  }
}

TEST(Describe, AcceptsNeutralValuesOfKeysItDoesNotRead) {
  const std::vector<std::pair<std::string, std::string>> neutral = {
      {"final_logit_softcapping", "null"},
      {"attn_logit_softcapping", "0"},
      {"attention_multiplier", "1.0"},
      {"use_qk_norm", "false"},
      {"sliding_window", "null"},
      {"num_local_experts", "0"},
      {"layer_types", "[\"full_attention\", \"full_attention\"]"},
      {"is_causal", "true"},
      {"quantization_config", "null"},
      {"attention_dropout", "0.1"},
      {"_attn_implementation", "\"sdpa\""},
      {"partial_rotary_factor", "1.0"},
      {"model_max_length", "1e30"},
      {"architectures", "null"},
      {"rope_scaling", "{\"type\": \"default\"}"}};
  for (const auto& [key, json] : neutral)
    EXPECT_EQ(error_of(with_key(small_llama(), key, json)), "(no error)") << key;
}

TEST(Describe, ASwitchedOffWindowIsNeutral) {
  JsonValue config = with_key(small_llama(), "use_sliding_window", "false");
  config = with_key(with_key(config, "sliding_window", "32768"), "max_window_layers", "28");
  EXPECT_EQ(error_of(config), "(no error)");
}

TEST(Describe, NamesUnreadKeysThatCannotMatter) {
  const JsonValue config = with_key(small_llama(), "is_llama_config", "true");
  EXPECT_EQ(describe_whole(config).unread_config_keys, std::vector<std::string>{"is_llama_config"});
}

TEST(Describe, RopeParametersAndRopeScalingMayAgree) {
  JsonValue config = with_key(small_llama(), "rope_scaling", R"({"type": "linear", "factor": 2.0})");
  config =
      with_key(config, "rope_parameters", R"({"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0})");
  EXPECT_EQ(describe_whole(config).ropes.at(0).kind, "linear");
  config = with_key(config, "rope_parameters", R"({"rope_type": "linear", "factor": 3.0})");
  expect_contains(error_of(config), "contradict each other");
}

TEST(Describe, DynamicRopeSaysHowFarItIsExact) {
  const JsonValue config = with_key(small_llama(), "rope_scaling", R"({"type": "dynamic", "factor": 2.0})");
  const DecoderSpec spec = describe_whole(config);
  EXPECT_EQ(spec.ropes.at(0).exact_below, 64);
  EXPECT_EQ(spec.notes, std::vector<std::string>{"dynamic rope: exact up to 64 positions"});
}

// ---- families from files

TEST(Describe, VariantLlamaComesFromATomlFileAlone) {
  const Family family = family_from_text(family_fixture("variant_llama.toml"), "variant_llama.toml");
  const JsonValue config =
      load_json(std::string(LLM2MNN_SOURCE_DIR) + "/tests/fixtures/models/variant_llama/config.json");
  Tensors tensors = {{"transformer.embedding.weight", {104, 64}},
                     {"transformer.final_norm.weight", {64}},
                     {"output.weight", {104, 64}}};
  for (int i = 0; i < 3; ++i) {
    const std::string block = "transformer.blocks." + std::to_string(i) + ".";
    for (const char* name : {"pre_attn_norm", "post_attn_norm", "pre_ffn_norm", "post_ffn_norm"})
      tensors[block + name + ".weight"] = {64};
    tensors[block + "attn.query.weight"] = {96, 64};
    tensors[block + "attn.query.bias"] = {96};
    for (const char* name : {"key", "value"}) {
      tensors[block + "attn." + name + ".weight"] = {48, 64};
      tensors[block + "attn." + name + ".bias"] = {48};
    }
    tensors[block + "attn.out.weight"] = {64, 96};
    tensors[block + "attn.out.bias"] = {64};
    for (const char* name : {"gate", "up"})
      tensors[block + "ffn." + name + ".weight"] = {96, 64};
    tensors[block + "ffn.down.weight"] = {64, 96};
  }
  const DecoderSpec spec = describe(family, config, tensors);
  EXPECT_EQ(spec.layers.at(2).residual, ResidualKind::kSandwich);
  EXPECT_TRUE(spec.layers.at(2).post_mlp_norm.has_value());
  EXPECT_EQ(spec.ropes.at(0).rotary_dim, 12);
}

const char* const kSmallGemma3 = R"({"model_type": "gemma3_text", "architectures": ["Gemma3ForCausalLM"],
  "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 6, "num_attention_heads": 2,
  "num_key_value_heads": 1, "head_dim": 8, "query_pre_attn_scalar": 2, "sliding_window": 4, "rms_norm_eps": 1e-6,
  "sliding_window_pattern": 3, "hidden_activation": "gelu_pytorch_tanh", "rope_theta": 1000000,
  "rope_scaling": {"rope_type": "linear", "factor": 8.0}, "max_position_embeddings": 64})";

Tensors gemma3_tensors() {
  Tensors tensors = {{"model.embed_tokens.weight", {40, 16}}, {"model.norm.weight", {16}}};
  for (int i = 0; i < 6; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    for (const char* name : {"input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
                             "post_feedforward_layernorm"})
      tensors[layer + name + ".weight"] = {16};
    for (const char* name : {"q_norm", "k_norm"})
      tensors[layer + "self_attn." + name + ".weight"] = {8};
    tensors[layer + "self_attn.q_proj.weight"] = {16, 16};
    tensors[layer + "self_attn.k_proj.weight"] = {8, 16};
    tensors[layer + "self_attn.v_proj.weight"] = {8, 16};
    tensors[layer + "self_attn.o_proj.weight"] = {16, 16};
    tensors[layer + "mlp.gate_proj.weight"] = {24, 16};
    tensors[layer + "mlp.up_proj.weight"] = {24, 16};
    tensors[layer + "mlp.down_proj.weight"] = {16, 24};
  }
  return tensors;
}

TEST(Describe, AConfigListNamesTheLayersWithRotaryEmbedding) {
  const Family family = family_from_text(
      "model_types = [\"llama\"]\ninherits = \"llama\"\n[rope]\n"
      "enabled = { key = \"no_rope_layers\", default = \"i == 0\" }\n");
  const auto described = [&](const std::string& list) {
    const JsonValue config = with_key(small_llama(), "no_rope_layers", list);
    return describe(family, config, llama_like_tensors(config));
  };
  EXPECT_EQ(described("[0, 1]").layers[0].attention.rope_idx, -1);
  EXPECT_EQ(described("[false, true]").layers[1].attention.rope_idx, 0);
  EXPECT_EQ(described("null").layers[1].attention.rope_idx, -1);
  EXPECT_EQ(described("").layers[0].attention.rope_idx, 0);
  expect_contains(message_of([&] { described("[1]"); }),
                  "'no_rope_layers' must be a list with one number for each of 2 layers");
  expect_contains(message_of([&] { described("[1, \"x\"]"); }), "'no_rope_layers'[1] is '\"x\"'");
}

TEST(Describe, ANormOverAllHeadsHasAllTheirChannels) {
  const Family family = family_from_text(
      "model_types = [\"gemma3_text\"]\ninherits = \"gemma3_text\"\n[attention]\nqk_norm = \"all\"\n");
  Tensors tensors = gemma3_tensors();
  expect_contains(message_of([&] { describe(family, parse_json(kSmallGemma3), tensors); }),
                  "shape is [8], config.json asks for [num_attention_heads * head_dim] = [16]");
  for (int i = 0; i < 6; ++i)
    tensors["model.layers." + std::to_string(i) + ".self_attn.q_norm.weight"] = {16};
  const DecoderSpec spec = describe(family, parse_json(kSmallGemma3), tensors);
  EXPECT_EQ(spec.layers[0].attention.q_norm->weight.rows(), 16);
  EXPECT_EQ(spec.layers[0].attention.k_norm->weight.rows(), 8);
}

TEST(Describe, Gemma3FitsTheVocabulary) {
  const Family family = family_from_text(family_fixture("gemma3_text.toml"), "gemma3_text.toml");
  const DecoderSpec spec = describe(family, parse_json(kSmallGemma3), gemma3_tensors());
  EXPECT_TRUE(spec.tied);
  EXPECT_DOUBLE_EQ(spec.embed_scale, 4);
  EXPECT_EQ(spec.sliding_window, 4);
  EXPECT_EQ(sliding_layers(spec), (std::vector<bool>{true, true, false, true, true, false}));
  ASSERT_EQ(spec.ropes.size(), 2u);
  EXPECT_EQ(spec.ropes.at(0).kind, "default");  // of the first layer, which slides
  EXPECT_EQ(spec.ropes.at(1).kind, "linear");
  EXPECT_EQ(spec.layers.at(0).attention.rope_idx, 0);
  EXPECT_EQ(spec.layers.at(2).attention.rope_idx, 1);
  EXPECT_FLOAT_EQ(spec.ropes.at(0).inv_freq.at(1), std::pow(10000.0f, -0.25f));
  EXPECT_FLOAT_EQ(spec.ropes.at(1).inv_freq.at(1), std::pow(1000000.0f, -0.25f) / 8);
  EXPECT_EQ(spec.layers.at(0).mlp.activation, Activation::kGeluTanh);
}

TEST(Describe, OnlyAPreNormBlockIsParallelAndOnlyAParallelOneSharesItsNorm) {
  const JsonValue config = small_llama();
  for (const char* block : {"parallel = true\nresidual = \"sandwich\"", "shared_norm = true"}) {
    const Family family = family_from_text(
        std::string("model_types = [\"clone\"]\ninherits = \"llama\"\n[block]\n") + block + "\n",
        "clone.toml");
    expect_contains(message_of([&] { describe(family, config, llama_like_tensors(config)); }),
                    "block.parallel");
  }
}

TEST(Describe, ChatGlm3FitsTheVocabulary) {
  const Family& family = testing::family_named("chatglm");
  const JsonValue config = parse_json(R"({"model_type": "chatglm", "architectures": ["ChatGLMModel"],
    "padded_vocab_size": 40, "vocab_size": 40, "hidden_size": 16, "ffn_hidden_size": 24, "num_layers": 2,
    "num_attention_heads": 4, "multi_query_group_num": 2, "kv_channels": 8, "seq_length": 64,
    "layernorm_epsilon": 1e-5, "add_qkv_bias": true, "add_bias_linear": false, "multi_query_attention": true,
    "rmsnorm": true, "post_layer_norm": true, "original_rope": true, "attention_dropout": 0.0,
    "fp32_residual_connection": false, "apply_query_key_layer_scaling": true})");
  Tensors tensors = {{"transformer.embedding.word_embeddings.weight", {40, 16}},
                     {"transformer.encoder.final_layernorm.weight", {16}},
                     {"transformer.output_layer.weight", {40, 16}},
                     {"transformer.rotary_pos_emb.inv_freq", {2}}};
  for (int i = 0; i < 2; ++i) {
    const std::string layer = "transformer.encoder.layers." + std::to_string(i) + ".";
    tensors[layer + "input_layernorm.weight"] = {16};
    tensors[layer + "post_attention_layernorm.weight"] = {16};
    tensors[layer + "self_attention.query_key_value.weight"] = {64, 16};
    tensors[layer + "self_attention.query_key_value.bias"] = {64};
    tensors[layer + "self_attention.dense.weight"] = {16, 32};
    tensors[layer + "mlp.dense_h_to_4h.weight"] = {48, 16};
    tensors[layer + "mlp.dense_4h_to_h.weight"] = {16, 24};
  }
  const DecoderSpec spec = describe(family, config, tensors);
  const AttentionSpec& attention = spec.layers.at(1).attention;
  EXPECT_EQ(attention.q_proj.weight.rows(), 32);
  EXPECT_EQ(attention.v_proj.weight.rows(), 16);
  EXPECT_EQ(attention.v_proj.bias.rows(), 16);
  EXPECT_EQ(spec.ropes.at(0).rotary_dim, 4);
  EXPECT_EQ(spec.ignored.at(0).rule, "rotary buffer");
  // A row more in the fused tensor belongs to nobody.
  tensors["transformer.encoder.layers.1.mlp.dense_h_to_4h.weight"] = {49, 16};
  expect_contains(message_of([&] { describe(family, config, tensors); }), "row 48 is used by no role");
}

TEST(Describe, TheNumberOfRowGroupsIsBounded) {
  const Family family = family_from_text(R"(
    model_types = ["x"]
    inherits = "llama"
    [tensors]
    lm_head = { name = "lm_head.weight", rows = { count = 1, groups = "vocab_size", stride = 1 } }
  )");
  JsonValue config = with_key(small_llama(), "architectures", "null");
  EXPECT_EQ(describe(family, config, llama_like_tensors(config)).lm_head.weight.rows(), 48);
  config = with_key(config, "vocab_size", "1048577");
  expect_contains(message_of([&] { describe(family, config, llama_like_tensors(config)); }),
                  "role 'lm_head': rows gives 1048577 groups, at most 1048576 are read");
}

// Fused q, k and v as GPT-2 stores them: [in, out].
Tensors with_transposed_qkv(const Shape& shape) {
  Tensors tensors = llama_like_tensors(small_llama());
  for (int i = 0; i < 2; ++i) {
    const std::string attention = "model.layers." + std::to_string(i) + ".self_attn.";
    for (const char* name : {"q_proj", "k_proj", "v_proj"})
      tensors.erase(attention + name + ".weight");
    tensors[attention + "qkv.weight"] = shape;
  }
  return tensors;
}

TEST(Describe, ATransposedMatrixHasItsRowsInItsColumns) {
  const std::string head = R"(
    model_types = ["llama"]
    inherits = "llama"
    [tensors]
    down_proj = { name = "model.layers.{i}.mlp.down_proj.weight", transposed = true }
    q_proj = { name = "model.layers.{i}.self_attn.qkv.weight", transposed = true, rows = { count = 32 } }
    k_proj = { name = "model.layers.{i}.self_attn.qkv.weight", transposed = true, rows = { begin = 32, count = 16 } }
  )";
  const std::string v = R"(v_proj = { name = "model.layers.{i}.self_attn.qkv.weight", )";
  const Family family = family_from_text(head + v + "transposed = true, rows = { begin = 48, count = 16 } }");
  Tensors tensors = with_transposed_qkv({32, 64});
  for (const char* i : {"0", "1"})
    tensors[std::string("model.layers.") + i + ".mlp.down_proj.weight"] = {40, 32};
  const LayerSpec layer = describe(family, small_llama(), tensors).layers.at(1);
  EXPECT_EQ(layer.mlp.down_proj.weight.rows(), 32);
  EXPECT_EQ(layer.mlp.down_proj.weight.cols(), 40);
  EXPECT_TRUE(layer.attention.k_proj.weight.reads_columns());
  EXPECT_EQ(layer.attention.k_proj.weight.rows(), 16);
  EXPECT_EQ(layer.attention.k_proj.weight.cols(), 32);
  tensors["model.layers.0.self_attn.qkv.weight"] = {32, 65};
  expect_contains(message_of([&] { describe(family, small_llama(), tensors); }), "row 64 is used by no role");
  tensors["model.layers.0.mlp.down_proj.weight"] = {32, 40};
  expect_contains(message_of([&] { describe(family, small_llama(), tensors); }),
                  "shape is [32, 40], config.json asks for [hidden_size, intermediate_size] = [32, 40], "
                  "transposed");
}

TEST(Describe, RolesOfOneTensorAreTransposedTogether) {
  const Family family = family_from_text(R"(
    model_types = ["llama"]
    inherits = "llama"
    [tensors]
    k_proj = { name = "model.layers.{i}.self_attn.kv.weight", transposed = true, rows = { count = 16 } }
    v_proj = { name = "model.layers.{i}.self_attn.kv.weight", rows = { begin = 16, count = 16 } }
  )");
  Tensors tensors = llama_like_tensors(small_llama());
  for (const char* i : {"0", "1"}) {
    const std::string attention = std::string("model.layers.") + i + ".self_attn.";
    tensors.erase(attention + "k_proj.weight");
    tensors.erase(attention + "v_proj.weight");
    tensors[attention + "kv.weight"] = {32, 32};
  }
  expect_contains(message_of([&] { describe(family, small_llama(), tensors); }),
                  "roles 'k_proj' and 'v_proj' share a tensor, and only one is transposed");
}

TEST(Describe, RowsUsedTwiceAreAnError) {
  const Family family = family_from_text(R"(
    model_types = ["x"]
    inherits = "llama"
    [tensors]
    k_proj = { name = "model.layers.{i}.self_attn.kv.weight", rows = { count = "num_key_value_heads * head_dim" } }
    v_proj = { name = "model.layers.{i}.self_attn.kv.weight", rows = { begin = 8, count = "num_key_value_heads * head_dim" } }
  )");
  Tensors tensors = llama_like_tensors(small_llama());
  for (int i = 0; i < 2; ++i) {
    const std::string attention = "model.layers." + std::to_string(i) + ".self_attn.";
    tensors.erase(attention + "k_proj.weight");
    tensors.erase(attention + "v_proj.weight");
    tensors[attention + "kv.weight"] = {32, 32};
  }
  const JsonValue config = with_key(small_llama(), "architectures", "null");
  expect_contains(message_of([&] { describe(family, config, tensors); }), "row 8 is used twice");
}

}  // namespace
}  // namespace llm2mnn
