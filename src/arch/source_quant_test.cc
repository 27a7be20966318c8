#include "arch/source_quant.h"

#include <gtest/gtest.h>
#include <map>

#include "arch/arch_test_util.h"

namespace llm2mnn {
namespace {

using testing::message_of;

SourceQuant read(const std::string& quantization) {
  return read_source_quant(parse_json(R"({"quantization_config": )" + quantization + "}"));
}

TEST(SourceQuant, PublishedForms) {
  EXPECT_FALSE(read_source_quant(parse_json("{}")).is_fp8());
  EXPECT_FALSE(read("null").is_fp8());
  const SourceQuant blocks = read(R"({"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
      "modules_to_not_convert": ["lm_head"], "weight_block_size": [128, 64], "scale_fmt": "ue8m0"})");
  EXPECT_TRUE(blocks.is_fp8());
  EXPECT_EQ(blocks.block, (BlockShape{128, 64}));
  EXPECT_EQ(read(R"({"activation_scheme": "static", "dequantize": false, "modules_to_not_convert": [],
      "quant_method": "fp8", "weight_block_size": null})")
                .block,
            std::nullopt);
  EXPECT_TRUE(read(R"({"activation_scale_ub": 1200.0, "modules_to_not_convert": [],
      "quant_method": "fbgemm_fp8"})")
                  .is_fp8());
  EXPECT_TRUE(read(R"({"config_groups": {"group_0": {"input_activations": {"dynamic": false, "num_bits": 8,
      "type": "float"}, "weights": {"dynamic": false, "num_bits": 8, "type": "float"}}}, "ignore": ["lm_head"],
      "quant_algo": "FP8", "kv_cache_scheme": {"num_bits": 8}, "producer": {"name": "modelopt"},
      "quant_method": "modelopt"})")
                  .is_fp8());
  EXPECT_EQ(read(R"({"config_groups": {"group_0": {"format": null, "input_activations": {"dynamic": true},
      "output_activations": null, "targets": ["Linear"], "weights": {"actorder": null,
      "block_structure": [128, 128], "dynamic": false, "num_bits": 8, "observer": "minmax",
      "strategy": "block", "symmetric": true, "type": "float"}}}, "format": "float-quantized",
      "global_compression_ratio": 1.5, "ignore": ["lm_head"], "kv_cache_scheme": null,
      "quant_method": "compressed-tensors", "quantization_status": "compressed",
      "sparsity_config": {"format": "dense"}, "transform_config": {}, "version": "0.11"})")
                .block,
            (BlockShape{128, 128}));
}

TEST(SourceQuant, ModelOptMayNotSayItsMethod) {
  EXPECT_TRUE(read(R"({"config_groups": {"group_0": {"weights": {"dynamic": false, "num_bits": 8,
      "type": "float"}}}, "ignore": ["lm_head"], "quant_algo": "FP8", "kv_cache_scheme": "FP8",
      "producer": {"name": "modelopt", "version": "0.31.0"}})")
                  .is_fp8());
  EXPECT_NE(message_of([] { read(R"({"quant_algo": "NVFP4"})"); }).find("NVFP4"), std::string::npos);
}

TEST(SourceQuant, TernaryCodesAreTimesOrOverTheirScale) {
  const SourceQuant plain = read(R"({"quant_method": "bitnet", "modules_to_not_convert": null})");
  EXPECT_TRUE(plain.is_ternary() && plain.divides && !plain.is_fp8());
  EXPECT_TRUE(read(R"({"quant_method": "bitnet", "linear_class": "bitlinear"})").divides);
  EXPECT_FALSE(read(R"({"quant_method": "bitnet", "linear_class": "autobitlinear",
      "quantization_mode": "offline", "use_rms_norm": false, "rms_norm_eps": 1e-6})")
                   .divides);
}

TEST(SourceQuant, OthersAreRefusedByName) {
  const std::pair<const char*, const char*> refused[] = {
      {R"({"quant_method": "gptq", "bits": 4})", "'quantization_config' ('gptq')"},
      {R"({"quant_method": "awq"})", "('awq')"},
      {R"({"quant_method": "bitsandbytes", "load_in_4bit": true})", "('bitsandbytes')"},
      {R"({"quant_method": "torchao"})", "('torchao')"},
      {R"({"load_in_8bit": true})", "'quantization_config': quantised"},
      {R"("fp8")", "'quantization_config': quantised"},
      {R"({"quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "online"})",
       "'quantization_config.quantization_mode' is '\"online\"'"},
      {R"({"quant_method": "bitnet", "use_rms_norm": true})", "use_rms_norm"},
      {R"({"quant_method": "fp8", "bits": 4})", "'quantization_config.bits' is '4'"},
      {R"({"quant_method": "fp8", "weight_block_size": [128]})",
       "'quantization_config.weight_block_size' is '[128]'"},
      {R"({"quant_method": "fp8", "weight_block_size": [0, 128]})", "weight_block_size"},
      {R"({"quant_method": "fp8", "weight_block_size": 128})", "weight_block_size"},
      {R"({"quant_method": "modelopt", "quant_algo": "NVFP4"})", "NVFP4"},
      {R"({"quant_method": "modelopt"})", "modelopt"},
      {R"({"quant_method": "compressed-tensors", "format": "pack-quantized"})", "pack-quantized"},
      {R"({"quant_method": "compressed-tensors", "sparsity_config": {"format": "sparse-24-bitmask"}})",
       "sparse-24"},
      {R"({"quant_method": "compressed-tensors", "transform_config": {"config_groups": {"R1": {}}}})", "R1"},
      {R"({"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": 4, "type": "int"}}}})",
       "config_groups.g.weights"},
      {R"({"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": 8, "type": "float",
          "strategy": "group"}}}})",
       "weights.strategy"},
      {R"({"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": 8, "type": "float",
          "symmetric": false}}}})",
       "weights.symmetric"},
  };
  for (const auto& [quantization, words] : refused) {
    ErrorKind kind = ErrorKind::kInternal;
    const std::string message = message_of([text = quantization] { read(text); }, &kind);
    EXPECT_NE(message.find(words), std::string::npos) << quantization << "\n" << message;
    EXPECT_EQ(kind, ErrorKind::kUnsupported) << quantization;
  }
}

TEST(SourceQuant, ScalesBelongToTheWholeARowOrABlock) {
  const SourceQuant plain = {.method = "fp8", .block = {}};
  const SourceQuant blocks = {.method = "fp8", .block = BlockShape{128, 64}};
  using Block = std::optional<BlockShape>;
  for (const Shape& one : {Shape{}, Shape{1}, Shape{1, 1}})
    EXPECT_EQ(block_of_scales(plain, {300, 200}, one), (Block{{300, 200}}));
  EXPECT_EQ(block_of_scales(plain, {300, 200}, {300, 1}), (Block{{1, 200}}));
  EXPECT_EQ(block_of_scales(plain, {300, 200}, {300}), (Block{{1, 200}}));
  EXPECT_EQ(block_of_scales(plain, {300, 200}, {3, 4}), std::nullopt);
  EXPECT_EQ(block_of_scales(blocks, {300, 200}, {3, 4}), (Block{{128, 64}}));
  EXPECT_EQ(block_of_scales(blocks, {300, 200}, {2, 4}), std::nullopt);
  EXPECT_EQ(block_of_scales(blocks, {300, 200}, {4, 3}), std::nullopt);
  EXPECT_EQ(block_of_scales(blocks, {300, 200}, {200}), std::nullopt);
  EXPECT_EQ(block_of_scales(blocks, {2, 300, 200}, {2, 3, 4}), std::nullopt);
}

TEST(SourceQuant, ScalesOfMatricesOneAfterTheOtherNameTheBlockOfEach) {
  using Block = std::optional<BlockShape>;
  const SourceQuant plain{"fp8", {}}, blocks{"fp8", BlockShape{128, 64}};
  for (const bool transposed : {false, true}) {
    const Shape values = transposed ? Shape{2, 200, 300} : Shape{2, 300, 200};
    for (const Shape& one : {Shape{2}, Shape{2, 1, 1}})
      EXPECT_EQ(block_of_stacked_scales(plain, values, one, transposed), (Block{{300, 200}}));
    for (const Shape& rows : {Shape{2, 300}, Shape{2, 300, 1}, Shape{2, 1, 300}})
      EXPECT_EQ(block_of_stacked_scales(plain, values, rows, transposed), (Block{{1, 200}}));
    for (const Shape& strange : {Shape{}, Shape{1}, Shape{2, 200}, Shape{3, 300, 1}, Shape{2, 3, 4}})
      EXPECT_EQ(block_of_stacked_scales(plain, values, strange, transposed), std::nullopt);
  }
  EXPECT_EQ(block_of_stacked_scales(blocks, {2, 300, 200}, {2, 3, 4}, false), (Block{{128, 64}}));
  EXPECT_EQ(block_of_stacked_scales(blocks, {2, 200, 300}, {2, 2, 5}, true), (Block{{64, 128}}));
  EXPECT_EQ(block_of_stacked_scales(blocks, {2, 200, 300}, {2, 3, 4}, true), std::nullopt);
  EXPECT_EQ(block_of_stacked_scales(blocks, {300, 200}, {3, 4}, false), std::nullopt);
}

// A small Llama whose projections are 8 bit floats.
class Fp8Checkpoint : public ::testing::Test {
 protected:
  Fp8Checkpoint() : config_(parse_json(testing::kSmallLlama)) {
    for (const auto& [name, shape] : testing::llama_like_tensors(config_)) {
      const bool coded = name.find("proj") != std::string::npos;
      tensors_[name] = {name, coded ? DType::kF8E4M3 : DType::kBF16, shape};
      if (coded) tensors_[name + "_scale_inv"] = {name + "_scale_inv", DType::kBF16, {}};
    }
    quantize(R"({"quant_method": "fp8", "activation_scheme": "static"})");
  }

  void quantize(const std::string& json) {
    config_ = testing::with_key(config_, "quantization_config", json);
  }

  DecoderSpec describe() {
    infos_.clear();
    for (const auto& [name, info] : tensors_)
      infos_.push_back(info);
    return describe_model({testing::family_named("llama"), config_, infos_, {}, false});
  }

  TensorId id(const std::string& name) const {
    return static_cast<TensorId>(std::distance(tensors_.begin(), tensors_.find(name)));
  }

  const std::string q_ = "model.layers.1.self_attn.q_proj.weight";
  JsonValue config_;
  std::map<std::string, TensorInfo> tensors_;
  std::vector<TensorInfo> infos_;
};

TEST_F(Fp8Checkpoint, WeightsAreReadWithTheirScales) {
  tensors_["model.layers.0.mlp.up_proj.activation_scale"] = {
      "model.layers.0.mlp.up_proj.activation_scale", DType::kBF16, {}};
  const DecoderSpec spec = describe();
  std::vector<TensorId> sources;
  spec.layers[1].attention.q_proj.weight.collect_sources(sources);
  EXPECT_EQ(sources, (std::vector<TensorId>{id(q_), id(q_ + "_scale_inv")}));
  EXPECT_EQ(spec.scales.size(), 14u);
  ASSERT_EQ(spec.ignored.size(), 1u);
  EXPECT_EQ(spec.ignored[0].rule, "scale of activations, which stay float");
  EXPECT_NE(spec.notes.back().find("14 tensors of 8 bit floats ('fp8')"), std::string::npos);
  EXPECT_EQ(spec.unread_config_keys, std::vector<std::string>());
}

TEST_F(Fp8Checkpoint, ScalesThatAreMissingTwiceThereOrMisshapenAreNamed) {
  const TensorInfo scale = tensors_[q_ + "_scale_inv"];
  tensors_.erase(q_ + "_scale_inv");
  EXPECT_NE(message_of([&] { describe(); }).find("its scales are missing: neither '" + q_ + "_scale_inv'"),
            std::string::npos);
  tensors_[q_ + "_scale"] = {q_ + "_scale", DType::kF32, {32, 1}};
  EXPECT_NO_THROW(describe());
  tensors_[q_ + "_scale_inv"] = scale;
  EXPECT_NE(message_of([&] { describe(); }).find("two tensors of scales"), std::string::npos);
  tensors_.erase(q_ + "_scale_inv");
  tensors_[q_ + "_scale"].shape = {2, 2};
  EXPECT_NE(message_of([&] { describe(); }).find("F32 [2, 2] scales of a [32, 32] tensor"), std::string::npos)
      << message_of([&] { describe(); });
  quantize(R"({"quant_method": "fp8", "weight_block_size": [16, 16]})");
  EXPECT_NO_THROW(describe());
  tensors_[q_ + "_scale"].dtype = DType::kI32;
  EXPECT_NE(message_of([&] { describe(); }).find("as F32, F16 or BF16"), std::string::npos);
}

TEST_F(Fp8Checkpoint, NothingIsScaledThatConfigDoesNotSay) {
  quantize("");
  EXPECT_NE(message_of([&] { describe(); }).find("is F8_E4M3; weights are read from F32, F16 and BF16"),
            std::string::npos);
}

TEST(Mxfp4Checkpoint, CodesAreFoundBehindTheNameOfTheWeight) {
  JsonValue config = testing::with_key(parse_json(testing::kSmallLlama), "quantization_config",
                                       R"({"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]})");
  const std::string up = "model.layers.1.mlp.up_proj.weight";
  std::map<std::string, TensorInfo> tensors;
  for (const auto& [name, shape] : testing::llama_like_tensors(config)) {
    if (name != up) tensors[name] = {name, DType::kBF16, shape};
  }
  tensors[up + "_blocks"] = {up + "_blocks", DType::kU8, {40, 1, 16}};
  tensors[up + "_scales"] = {up + "_scales", DType::kU8, {40, 1}};
  const auto describe = [&] {
    std::vector<TensorInfo> infos;
    for (const auto& [name, info] : tensors)
      infos.push_back(info);
    return describe_model({testing::family_named("llama"), config, infos, {}, false});
  };
  const DecoderSpec spec = describe();
  EXPECT_EQ(spec.layers[1].mlp.up_proj.weight.cols(), 32);
  EXPECT_EQ(spec.scales.size(), 1u);
  EXPECT_NE(spec.notes.back().find("1 tensors of 4 bit floats ('mxfp4')"), std::string::npos);
  tensors[up + "_scales"].shape = {40, 2};
  EXPECT_NE(message_of(describe).find("the codes beside it need U8 [40, 1]"), std::string::npos);
  tensors.erase(up + "_scales");
  EXPECT_NE(message_of(describe).find("its scales '" + up + "_scales' are missing"), std::string::npos);
}

TEST(TernaryCheckpoint, CodesAreAQuarterOfTheRows) {
  JsonValue config = testing::with_key(parse_json(testing::kSmallLlama), "quantization_config",
                                       R"({"quant_method": "bitnet"})");
  const std::string up = "model.layers.1.mlp.up_proj.weight";
  std::map<std::string, TensorInfo> tensors;
  for (const auto& [name, shape] : testing::llama_like_tensors(config))
    tensors[name] = {name, DType::kBF16, shape};
  tensors[up] = {up, DType::kU8, {10, 32}};
  tensors[up + "_scale"] = {up + "_scale", DType::kBF16, {1}};
  const auto describe = [&] {
    std::vector<TensorInfo> infos;
    for (const auto& [name, info] : tensors)
      infos.push_back(info);
    return describe_model({testing::family_named("llama"), config, infos, {}, false});
  };
  const DecoderSpec spec = describe();
  EXPECT_EQ(spec.layers[1].mlp.up_proj.weight.rows(), 40);
  EXPECT_EQ(spec.scales.size(), 1u);
  EXPECT_EQ(spec.weights_per_byte, 4);
  EXPECT_NE(spec.notes.back().find("keep their values with --sym"), std::string::npos);
  tensors[up + "_scale"].shape = {40};
  EXPECT_NE(message_of(describe).find("the ternary codes beside it need one F32, F16 or BF16"),
            std::string::npos);
  tensors[up].shape = {8, 32};
  EXPECT_NE(message_of(describe).find("shape is [32, 32], config.json asks for"), std::string::npos);
}

TEST_F(Fp8Checkpoint, AScaleThatBelongsToNothingIsLeftOver) {
  tensors_["model.norm.weight_scale_inv"] = {"model.norm.weight_scale_inv", DType::kF32, {}};
  EXPECT_NE(message_of([&] { describe(); }).find("'model.norm.weight_scale_inv'"), std::string::npos);
}

}  // namespace
}  // namespace llm2mnn
