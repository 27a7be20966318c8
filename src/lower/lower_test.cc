#include "lower/lower.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <memory>

#include "base/error.h"

namespace llm2mnn {
namespace {

/// A checkpoint that has one zero tensor for every matrix shape of the tiny model, so that bindings have
/// shapes. H 8, F 12, Hq 2, Hkv 1, Dh 4, V 10.
class LowerTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = std::filesystem::path(::testing::TempDir()) / "llm2mnn_lower_test";
    std::filesystem::create_directories(dir_);
    std::ofstream(dir_ / "config.json") << "{}";
    std::string header;
    std::uint64_t end = 0;
    for (const auto& [o, i] : {std::pair{8, 8}, {4, 8}, {12, 8}, {8, 12}, {10, 8}}) {
      const std::uint64_t bytes = 4u * static_cast<std::uint64_t>(o * i);
      header += fmt::format(R"({}"{}x{}":{{"dtype":"F32","shape":[{},{}],"data_offsets":[{},{}]}})",
                            header.empty() ? "{" : ",", o, i, o, i, end, end + bytes);
      end += bytes;
    }
    header += "}";
    header.resize((header.size() + 7) / 8 * 8, ' ');
    std::ofstream file(dir_ / "model.safetensors", std::ios::binary);
    for (int i = 0; i < 8; ++i)
      file.put(static_cast<char>(header.size() >> (8 * i) & 0xff));
    file << header << std::string(end, '\0');
    file.close();
    checkpoint_ = std::make_unique<Checkpoint>(Checkpoint::open(dir_));
  }
  static void TearDownTestSuite() {
    checkpoint_.reset();
    std::filesystem::remove_all(dir_);
  }

  static LinearSpec linear(std::string address, WeightRole role, int o, int i, bool bias = false) {
    const auto id = checkpoint_->find(fmt::format("{}x{}", o, i));
    return {std::move(address), role, Binding::source(id.value_or(0), Shape{o, i}),
            bias ? Binding::constant(o, 0.5F) : Binding()};
  }
  static NormSpec norm(std::string address, WeightRole role, int n) {
    return {std::move(address), role, NormKind::kRms, 1e-6, Binding::constant(n, 1), Binding()};
  }

  static LayerSpec layer(int idx, ResidualKind residual) {
    const std::string p = fmt::format("layers.{}", idx);
    LayerSpec layer;
    layer.residual = residual;
    if (residual != ResidualKind::kPost) {
      layer.input_norm = norm(p + ".input_layernorm", WeightRole::kInputLayernorm, 8);
      layer.pre_mlp_norm = norm(p + ".post_attention_layernorm", WeightRole::kPreMlpNorm, 8);
    }
    if (residual != ResidualKind::kPre) {
      layer.post_attention_norm = norm(p + ".post_attention_norm", WeightRole::kPostAttentionNorm, 8);
      layer.post_mlp_norm = norm(p + ".post_mlp_norm", WeightRole::kPostMlpNorm, 8);
    }
    layer.attention.q_proj = linear(p + ".self_attn.q_proj", WeightRole::kQProj, 8, 8);
    layer.attention.k_proj = linear(p + ".self_attn.k_proj", WeightRole::kKProj, 4, 8);
    layer.attention.v_proj = linear(p + ".self_attn.v_proj", WeightRole::kVProj, 4, 8);
    layer.attention.o_proj = linear(p + ".self_attn.o_proj", WeightRole::kOProj, 8, 8);
    layer.attention.num_attention_heads = 2;
    layer.attention.num_key_value_heads = 1;
    layer.attention.head_dim = 4;
    layer.mlp.gate_proj = linear(p + ".mlp.gate_proj", WeightRole::kGateProj, 12, 8);
    layer.mlp.up_proj = linear(p + ".mlp.up_proj", WeightRole::kUpProj, 12, 8);
    layer.mlp.down_proj = linear(p + ".mlp.down_proj", WeightRole::kDownProj, 8, 12);
    return layer;
  }

  static DecoderSpec decoder(ResidualKind residual, int layers = 1) {
    DecoderSpec spec;
    spec.hidden_size = 8;
    spec.vocab_size = 10;
    spec.max_position_embeddings = 64;
    spec.ropes.push_back({"default", 4, {1.0F, 0.01F}, 1.0, 0});
    for (int i = 0; i < layers; ++i)
      spec.layers.push_back(layer(i, residual));
    spec.norm = norm("norm", WeightRole::kNorm, 8);
    spec.lm_head = linear("lm_head", WeightRole::kLmHead, 10, 8);
    return spec;
  }

  static std::string op_list(const DecoderSpec& spec) {
    std::string text;
    for (const ir::Node& node : lower(spec).graph.nodes)
      text += fmt::format("{} {}\n", ir::op_name(node.op), node.name);
    return text;
  }
  static std::size_t count(const DecoderSpec& spec, std::string_view name) {
    std::size_t found = 0;
    for (const ir::Node& node : lower(spec).graph.nodes)
      found += ir::op_name(node.op) == name ? 1 : 0;
    return found;
  }

  static std::filesystem::path dir_;
  static std::unique_ptr<Checkpoint> checkpoint_;
};
std::filesystem::path LowerTest::dir_;
std::unique_ptr<Checkpoint> LowerTest::checkpoint_;

TEST_F(LowerTest, QwenLikeLayerAsText) {
  DecoderSpec spec = decoder(ResidualKind::kPre);
  AttentionSpec& attention = spec.layers[0].attention;
  attention.q_norm = norm("layers.0.self_attn.q_norm", WeightRole::kQNorm, 4);
  attention.k_norm = norm("layers.0.self_attn.k_norm", WeightRole::kKNorm, 4);
  attention.q_proj.bias = Binding::constant(8, 0.5F);
  EXPECT_EQ(ir::print(lower(spec).graph),
            "input /embed_tokens/output hidden_size=8 vocab_size=10\n"
            "/rotary.0: /rotary.0/cos, /rotary.0/sin = RopeTable(rotary_dim=4, factor=1, positions=32768)\n"
            "/layers.0/input_layernorm: /layers.0/input_layernorm/output = Norm(/embed_tokens/output, "
            "gamma=layers.0.input_layernorm.weight[8], rms, eps=1e-06, heads=1)\n"
            "/layers.0/self_attn/q_proj: /layers.0/self_attn/q_proj/output = "
            "Linear(/layers.0/input_layernorm/output, weight=layers.0.self_attn.q_proj.weight[8, 8], "
            "bias=layers.0.self_attn.q_proj.bias[8])\n"
            "/layers.0/self_attn/k_proj: /layers.0/self_attn/k_proj/output = "
            "Linear(/layers.0/input_layernorm/output, weight=layers.0.self_attn.k_proj.weight[4, 8])\n"
            "/layers.0/self_attn/v_proj: /layers.0/self_attn/v_proj/output = "
            "Linear(/layers.0/input_layernorm/output, weight=layers.0.self_attn.v_proj.weight[4, 8])\n"
            "/layers.0/self_attn/q_norm: /layers.0/self_attn/q_norm/output = "
            "Norm(/layers.0/self_attn/q_proj/output, gamma=layers.0.self_attn.q_norm.weight[4], rms, "
            "eps=1e-06, heads=2)\n"
            "/layers.0/self_attn/k_norm: /layers.0/self_attn/k_norm/output = "
            "Norm(/layers.0/self_attn/k_proj/output, gamma=layers.0.self_attn.k_norm.weight[4], rms, "
            "eps=1e-06, heads=1)\n"
            "/layers.0/self_attn/rotary: /layers.0/self_attn/rotary/q, /layers.0/self_attn/rotary/k = "
            "Rope(/layers.0/self_attn/q_norm/output, /layers.0/self_attn/k_norm/output, /rotary.0/cos, "
            "/rotary.0/sin, heads=2/1, head_dim=4, rotary_dim=4)\n"
            "/layers.0/self_attn/attention: /layers.0/self_attn/attention/output = "
            "Attention(/layers.0/self_attn/rotary/q, /layers.0/self_attn/rotary/k, "
            "/layers.0/self_attn/v_proj/output, heads=2/1, head_dim=4, layer=0, mask=full)\n"
            "/layers.0/self_attn/o_proj: /layers.0/self_attn/o_proj/output = "
            "Linear(/layers.0/self_attn/attention/output, weight=layers.0.self_attn.o_proj.weight[8, 8])\n"
            "/layers.0/attention_residual: /layers.0/attention_residual/output = "
            "Add(/embed_tokens/output, /layers.0/self_attn/o_proj/output)\n"
            "/layers.0/post_attention_layernorm: /layers.0/post_attention_layernorm/output = "
            "Norm(/layers.0/attention_residual/output, gamma=layers.0.post_attention_layernorm.weight[8], "
            "rms, eps=1e-06, heads=1)\n"
            "/layers.0/mlp/gate_proj: /layers.0/mlp/gate_proj/output = "
            "Linear(/layers.0/post_attention_layernorm/output, weight=layers.0.mlp.gate_proj.weight[12, 8])\n"
            "/layers.0/mlp/up_proj: /layers.0/mlp/up_proj/output = "
            "Linear(/layers.0/post_attention_layernorm/output, weight=layers.0.mlp.up_proj.weight[12, 8])\n"
            "/layers.0/mlp/act: /layers.0/mlp/act/output = GatedUnit(/layers.0/mlp/gate_proj/output, "
            "/layers.0/mlp/up_proj/output, silu)\n"
            "/layers.0/mlp/down_proj: /layers.0/mlp/down_proj/output = Linear(/layers.0/mlp/act/output, "
            "weight=layers.0.mlp.down_proj.weight[8, 12])\n"
            "/layers.0/mlp_residual: /layers.0/mlp_residual/output = "
            "Add(/layers.0/attention_residual/output, /layers.0/mlp/down_proj/output)\n"
            "/select_tokens: /select_tokens/output = SelectTokens(/layers.0/mlp_residual/output)\n"
            "/norm: /norm/output = Norm(/select_tokens/output, gamma=norm.weight[8], rms, eps=1e-06, "
            "heads=1)\n"
            "/lm_head: /lm_head/output = Linear(/norm/output, weight=lm_head.weight[10, 8])\n"
            "output /lm_head/output /norm/output\n");
}

// Experts of the dense MLP's shape.
MoeSpec experts_like(const MlpSpec& mlp, const LinearSpec& router, std::int64_t experts_per_token) {
  MoeSpec moe;
  moe.router.proj = router;
  moe.router.experts_per_token = experts_per_token;
  for (std::int64_t e = 0; e < router.weight.rows(); ++e) {
    MlpSpec expert = mlp;
    for (LinearSpec* part : {&*expert.gate_proj, &expert.up_proj, &expert.down_proj})
      part->address.replace(part->address.find(".mlp."), 5, fmt::format(".mlp.experts.{}.", e));
    moe.experts.push_back(std::move(expert));
  }
  return moe;
}

TEST_F(LowerTest, ASparseLayerHasARouterExpertsAndASharedExpert) {
  DecoderSpec spec = decoder(ResidualKind::kPre);
  LayerSpec& layer = spec.layers[0];
  layer.moe = experts_like(layer.mlp, linear("layers.0.mlp.router", WeightRole::kRouter, 4, 8), 2);
  layer.moe->router.selection_bias = Binding::constant(4, 1);
  layer.moe->router.renormalise = true;
  layer.moe->shared = layer.mlp;
  for (LinearSpec* part :
       {&*layer.moe->shared->gate_proj, &layer.moe->shared->up_proj, &layer.moe->shared->down_proj})
    part->address.replace(part->address.find(".mlp."), 5, ".mlp.shared_expert.");
  layer.moe->shared_gate = {"layers.0.mlp.shared_expert_gate",
                            WeightRole::kSharedExpertGate,
                            layer.attention.q_proj.weight.gather_rows({{0, 1, 1}}),
                            {}};
  const std::string list = op_list(spec);
  const std::string begin = "Norm /layers.0/post_attention_layernorm\n";
  EXPECT_EQ(list.substr(list.find(begin) + begin.size(),
                        list.find("SelectTokens") - list.find(begin) - begin.size()),
            "Linear /layers.0/mlp/router\n"
            "Route /layers.0/mlp/route\n"
            "Experts /layers.0/mlp/experts\n"
            "Linear /layers.0/mlp/shared_expert/gate_proj\n"
            "Linear /layers.0/mlp/shared_expert/up_proj\n"
            "GatedUnit /layers.0/mlp/shared_expert/act\n"
            "Linear /layers.0/mlp/shared_expert/down_proj\n"
            "Linear /layers.0/mlp/shared_expert_gate\n"
            "Unary /layers.0/mlp/shared_expert_gate/sigmoid\n"
            "Multiply /layers.0/mlp/shared_expert_gate/product\n"
            "Add /layers.0/mlp/shared_residual\n"
            "Add /layers.0/mlp_residual\n");
  const Lowered lowered = lower(spec);
  const auto at = [&](const std::string& address) {
    const auto& weights = lowered.graph.weights;
    const auto found = std::find_if(weights.begin(), weights.end(),
                                    [&](const ir::Weight& weight) { return weight.address == address; });
    return lowered.weights.at(static_cast<std::size_t>(found - weights.begin()));
  };
  EXPECT_TRUE(at("layers.0.mlp.experts.3.down_proj.weight").is_matrix);
  EXPECT_FALSE(at("layers.0.mlp.selection_bias").is_matrix);
  EXPECT_EQ(at("layers.0.mlp.selection_bias").role, WeightRole::kSelectionBias);
}

TEST_F(LowerTest, SandwichNormsStandBeforeAndAfterEachHalf) {
  DecoderSpec spec = decoder(ResidualKind::kSandwich);
  spec.layers[0].attention.mask = MaskKind::kSliding;
  spec.embed_scale = 8;
  spec.logit_softcap = 30;
  EXPECT_EQ(op_list(spec),
            "Scale /embed_scale\n"
            "RopeTable /rotary.0\n"
            "Norm /layers.0/input_layernorm\n"
            "Linear /layers.0/self_attn/q_proj\n"
            "Linear /layers.0/self_attn/k_proj\n"
            "Linear /layers.0/self_attn/v_proj\n"
            "Rope /layers.0/self_attn/rotary\n"
            "Attention /layers.0/self_attn/attention\n"
            "Linear /layers.0/self_attn/o_proj\n"
            "Norm /layers.0/post_attention_norm\n"
            "Add /layers.0/attention_residual\n"
            "Norm /layers.0/post_attention_layernorm\n"
            "Linear /layers.0/mlp/gate_proj\n"
            "Linear /layers.0/mlp/up_proj\n"
            "GatedUnit /layers.0/mlp/act\n"
            "Linear /layers.0/mlp/down_proj\n"
            "Norm /layers.0/post_mlp_norm\n"
            "Add /layers.0/mlp_residual\n"
            "SelectTokens /select_tokens\n"
            "Norm /norm\n"
            "Linear /lm_head\n"
            "Scale /logit_scale\n"
            "Unary /logit_softcap/tanh\n"
            "Scale /logit_softcap\n");
  EXPECT_TRUE(lower(spec).graph.has_sliding_layers);
}

TEST_F(LowerTest, AParallelMlpReadsTheInputOrTheAttentionsNorm) {
  const auto line_of = [](const DecoderSpec& spec, const std::string& node) {
    const std::string text = print(lower(spec).graph);
    const std::size_t begin = text.find(node + ": ");
    return begin == std::string::npos ? "" : text.substr(begin, text.find('\n', begin) - begin);
  };
  DecoderSpec spec = decoder(ResidualKind::kPre);
  const std::string norm = "/layers.0/post_attention_layernorm";
  EXPECT_NE(line_of(spec, norm).find("(/layers.0/attention_residual/output"), std::string::npos);
  spec.layers[0].is_parallel = true;
  EXPECT_NE(line_of(spec, norm).find("(/embed_tokens/output"), std::string::npos) << line_of(spec, norm);
  spec.layers[0].pre_mlp_norm.reset();
  const std::string up = line_of(spec, "/layers.0/mlp/up_proj");
  EXPECT_NE(up.find("(/layers.0/input_layernorm/output"), std::string::npos) << up;
  spec.layers[0].is_parallel = false;
  EXPECT_THROW(lower(spec), Error);
}

TEST_F(LowerTest, LearnedPositionsAreAddedToTheScaledEmbedding) {
  DecoderSpec spec = decoder(ResidualKind::kPre);
  spec.embed_scale = 8;
  spec.position_embedding = linear("", WeightRole::kPositionEmbedding, 12, 8).weight;
  const std::string text = print(lower(spec).graph);
  EXPECT_NE(text.find("/embed_scale: /embed_scale/output = Scale(/embed_tokens/output, factor=8)\n"
                      "/embed_positions: /embed_positions/output = "
                      "PositionEmbedding(table=embed_positions.weight[12, 8])\n"
                      "/position_sum: /position_sum/output = Add(/embed_scale/output, "
                      "/embed_positions/output)\n"),
            std::string::npos)
      << text;
  EXPECT_FALSE(lower(spec).weights.front().is_matrix);
}

TEST_F(LowerTest, AlibiJoinsThePositionToEachKey) {
  DecoderSpec spec = decoder(ResidualKind::kPre);
  AttentionSpec& attention = spec.layers[0].attention;
  attention.rope_idx = -1;
  attention.has_alibi = true;
  attention.q_proj = linear("layers.0.self_attn.q_proj", WeightRole::kQProj, 12, 8);  // 2 heads of 2 + 4
  spec.embed_norm = norm("embed_norm", WeightRole::kEmbedNorm, 8);
  const std::string text = print(lower(spec).graph);
  for (const char* part :
       {"/embed_norm: /embed_norm/output = Norm(/embed_tokens/output", "table=alibi_high.weight[32768, 1]",
        "JoinHeads(/alibi_low/output, /layers.0/self_attn/k_proj/output, heads=1",
        "JoinHeads(/alibi_high/output, /layers.0/self_attn/key_low/output, heads=1",
        "ResizeHeads(/layers.0/self_attn/v_proj/output, heads=1, from=4, to=6)",
        "heads=2/1, head_dim=6, layer=0",
        "ResizeHeads(/layers.0/self_attn/attention/output, heads=2, from=6, to=4)"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
}

TEST_F(LowerTest, ChunksAreCodesInFrontOfEachHead) {
  DecoderSpec spec = decoder(ResidualKind::kPre);
  spec.max_position_embeddings = 128;
  spec.layers[0].attention.chunk_size = 10000;  // four of them: two bits
  const Lowered lowered = lower(spec);
  const std::string text = print(lowered.graph);
  for (const char* part : {"PositionEmbedding(table=chunk_queries.weight[4, 2], row=(position + 0) / 10000)",
                           "JoinHeads(/chunk_queries/output, /layers.0/self_attn/query_scale/output, heads=2",
                           "JoinHeads(/chunk_keys/output, /layers.0/self_attn/rotary/k, heads=1",
                           "ResizeHeads(/layers.0/self_attn/v_proj/output, heads=1, from=4, to=6)",
                           "heads=2/1, head_dim=6, layer=0, mask=full",
                           "ResizeHeads(/layers.0/self_attn/attention/output, heads=2, from=6, to=4)"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  std::map<std::string, std::vector<float>> tables;
  for (std::size_t i = 0; i < lowered.weights.size(); ++i) {
    const Binding& binding = lowered.weights[i].binding;
    std::vector<float> values(static_cast<std::size_t>(binding.rows() * binding.cols()));
    std::vector<std::byte> scratch;
    binding.read_rows(*checkpoint_, 0, binding.rows(), values.data(), scratch);
    tables[lowered.graph.weights[i].address] = std::move(values);
  }
  const auto score = [&](std::size_t query, std::size_t key) {
    float sum = 0;
    for (std::size_t i = 0; i < 2; ++i)
      sum += tables.at("chunk_queries.weight")[2 * query + i] * tables.at("chunk_keys.weight")[2 * key + i];
    return sum;
  };
  for (std::size_t query = 0; query < 4; ++query) {
    EXPECT_EQ(score(query, query), 0);
    for (std::size_t key = 0; key < query; ++key)
      EXPECT_LE(score(query, key), -2048);
  }
  spec.layers[0].attention.chunk_size = 32768;  // all positions of the tables
  EXPECT_EQ(print(lower(spec).graph).find("chunk"), std::string::npos);
}

TEST_F(LowerTest, TemperaturesMultiplyQ) {
  DecoderSpec spec = decoder(ResidualKind::kPre);
  spec.max_position_embeddings = 128;
  spec.layers[0].attention.temperature = TemperatureSpec{0.5, 8192};
  const std::string text = print(lower(spec).graph);
  for (const char* part : {"table=temperatures.weight[5, 1], row=(position + 1) / 8192",
                           "Multiply(/layers.0/self_attn/rotary/q, /temperatures/output)"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
}

TEST_F(LowerTest, AlibiOfBfloat16IsAddedToTheKeys) {
  DecoderSpec spec = decoder(ResidualKind::kPre);
  AttentionSpec& attention = spec.layers[0].attention;
  attention.rope_idx = -1;
  attention.num_key_value_heads = 2;
  attention.rounded_slopes = {0.5F, 0.70703125F};
  attention.q_proj = linear("layers.0.self_attn.q_proj", WeightRole::kQProj, 10, 8);  // 2 heads of 1 + 4
  attention.k_proj = linear("layers.0.self_attn.k_proj", WeightRole::kKProj, 10, 8);
  attention.v_proj = linear("layers.0.self_attn.v_proj", WeightRole::kVProj, 8, 8);
  const std::string text = print(lower(spec).graph);
  for (const char* part :
       {"table=alibi_products.weight[32768, 2]", "ResizeHeads(/alibi_products/output, heads=2, from=1, to=5)",
        "Add(/layers.0/self_attn/k_proj/output, /alibi_channels/output)", "heads=2/2, head_dim=5, layer=0"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
}

TEST_F(LowerTest, AlibiIsAddedBehindALimitOfQ) {
  DecoderSpec spec = decoder(ResidualKind::kPre);
  AttentionSpec& attention = spec.layers[0].attention;
  attention.rope_idx = -1;
  attention.has_alibi = true;
  attention.clip_qkv = 6;
  attention.q_proj = linear("layers.0.self_attn.q_proj", WeightRole::kQProj, 12, 8);
  attention.alibi_query = Binding::constant(12, 3);
  const std::string text = print(lower(spec).graph);
  EXPECT_NE(text.find("/layers.0/self_attn/query/output = Add(/layers.0/self_attn/q_clip/output, "
                      "/layers.0/self_attn/query_slopes/output)"),
            std::string::npos)
      << text;
}

TEST_F(LowerTest, ANarrowEmbeddingAndNormsOfSums) {
  DecoderSpec spec = decoder(ResidualKind::kPre);
  spec.layers[0].residual = ResidualKind::kSums;
  spec.norm.reset();
  spec.embed_tokens = linear("", WeightRole::kEmbedTokens, 16, 4).weight;
  spec.embed_in_proj = linear("embed_in_proj", WeightRole::kEmbedInProj, 8, 4);
  spec.embed_out_proj = linear("embed_out_proj", WeightRole::kEmbedOutProj, 4, 8);
  spec.lm_head = linear("lm_head", WeightRole::kLmHead, 16, 4);
  EXPECT_EQ(lower(spec).graph.hidden_size, 4);
  const std::string ops = op_list(spec);
  for (const char* part : {"Linear /embed_in_proj\nRopeTable /rotary.0\nLinear /layers.0/self_attn/q_proj\n",
                           "Add /layers.0/attention_residual\nNorm /layers.0/input_layernorm\n"
                           "Linear /layers.0/mlp/gate_proj\n",
                           "Add /layers.0/mlp_residual\nNorm /layers.0/post_attention_layernorm\n"
                           "SelectTokens /select_tokens\nLinear /embed_out_proj\nLinear /lm_head\n"})
    EXPECT_NE(ops.find(part), std::string::npos) << part << ops;
}

TEST_F(LowerTest, PostNormsPlainMlpAndNoRotaryEmbedding) {
  DecoderSpec spec = decoder(ResidualKind::kPost);
  spec.layers[0].attention.rope_idx = -1;
  spec.layers[0].mlp.kind = MlpKind::kPlain;
  spec.layers[0].mlp.activation = Activation::kRelu2;
  EXPECT_EQ(op_list(spec),
            "Linear /layers.0/self_attn/q_proj\n"
            "Linear /layers.0/self_attn/k_proj\n"
            "Linear /layers.0/self_attn/v_proj\n"
            "Attention /layers.0/self_attn/attention\n"
            "Linear /layers.0/self_attn/o_proj\n"
            "Norm /layers.0/post_attention_norm\n"
            "Add /layers.0/attention_residual\n"
            "Linear /layers.0/mlp/up_proj\n"
            "Unary /layers.0/mlp/act\n"
            "Linear /layers.0/mlp/down_proj\n"
            "Norm /layers.0/post_mlp_norm\n"
            "Add /layers.0/mlp_residual\n"
            "SelectTokens /select_tokens\n"
            "Norm /norm\n"
            "Linear /lm_head\n");
}

TEST_F(LowerTest, SoftcapAndScaleMakeOneFactorBeforeTheTanh) {
  DecoderSpec spec = decoder(ResidualKind::kPre);
  spec.logit_scale = 0.5;
  spec.logit_softcap = 4;
  std::vector<double> factors;
  for (const ir::Node& node : lower(spec).graph.nodes)
    if (const auto* scale = std::get_if<ir::Scale>(&node.op)) factors.push_back(scale->factor);
  EXPECT_EQ(factors, (std::vector<double>{0.125, 4}));
}

TEST_F(LowerTest, EqualRopesShareOneTableAndUnusedOnesHaveNone) {
  DecoderSpec spec = decoder(ResidualKind::kPre, 2);
  spec.ropes.push_back(spec.ropes[0]);
  spec.ropes.push_back({"default", 4, {1.0F, 0.5F}, 1.0, 0});
  spec.layers[1].attention.rope_idx = 1;
  EXPECT_EQ(count(spec, "RopeTable"), 1u);
  spec.layers[1].attention.rope_idx = 2;
  EXPECT_EQ(count(spec, "RopeTable"), 2u);
}

TEST_F(LowerTest, SinksAreAWeightOfTheAttention) {
  DecoderSpec spec = decoder(ResidualKind::kPre);
  spec.layers[0].attention.sinks = Binding::constant(2, 0.5F);
  const Lowered lowered = lower(spec);
  EXPECT_NE(print(lowered.graph).find("Attention(/layers.0/self_attn/"), std::string::npos);
  EXPECT_NE(print(lowered.graph).find(", sinks=layers.0.self_attn.sinks[2], heads=2/1"), std::string::npos)
      << print(lowered.graph);
  const auto found =
      std::find_if(lowered.weights.begin(), lowered.weights.end(),
                   [](const LoweredWeight& weight) { return weight.role == WeightRole::kSinks; });
  ASSERT_NE(found, lowered.weights.end());
  EXPECT_FALSE(found->is_matrix);
  spec.layers[0].attention.sinks = Binding::constant(3, 0.5F);
  EXPECT_THROW(lower(spec), Error);
}

TEST_F(LowerTest, NormOverAllHeadsIsOneRow) {
  DecoderSpec spec = decoder(ResidualKind::kPre);
  spec.layers[0].attention.q_norm = norm("layers.0.self_attn.q_norm", WeightRole::kQNorm, 8);
  spec.layers[0].attention.qk_norm_kind = QkNormKind::kAll;
  for (const ir::Node& node : lower(spec).graph.nodes)
    if (node.name == "/layers.0/self_attn/q_norm") {
      EXPECT_EQ(std::get<ir::Norm>(node.op).heads, 1);
      EXPECT_EQ(std::get<ir::Norm>(node.op).size, 8);
    }
}

TEST_F(LowerTest, WeightsForEachHeadStandBehindANormWithoutWeights) {
  DecoderSpec spec = decoder(ResidualKind::kPre);
  AttentionSpec& attention = spec.layers[0].attention;
  attention.qk_norm_kind = QkNormKind::kHeads;
  attention.q_norm = norm("layers.0.self_attn.q_norm", WeightRole::kQNorm, 8);
  attention.q_norm->kind = NormKind::kLayer;
  const std::string text = print(lower(spec).graph);
  EXPECT_NE(
      text.find("/layers.0/self_attn/q_norm/unit: /layers.0/self_attn/q_norm/unit/output = "
                "Norm(/layers.0/self_attn/q_proj/output, gamma=layers.0.self_attn.q_norm.unit.weight[4], "
                "layer, eps=1e-06, heads=2)\n"
                "/layers.0/self_attn/q_norm: /layers.0/self_attn/q_norm/output = "
                "ChannelScale(/layers.0/self_attn/q_norm/unit/output, "
                "weight=layers.0.self_attn.q_norm.weight[8])\n"),
      std::string::npos)
      << text;
}

TEST_F(LowerTest, LatentAttentionJoinsTheSharedKeyAndFillsUpTheValue) {
  // Heads of 4 + 4 channels, of which v has 6; all latents are 8 wide.
  DecoderSpec spec = decoder(ResidualKind::kPre);
  AttentionSpec& attention = spec.layers[0].attention;
  const std::string p = "layers.0.self_attn.";
  LatentSpec latent;
  latent.q_a_proj = linear(p + "q_a_proj", WeightRole::kQAProj, 8, 8);
  latent.q_a_norm = norm(p + "q_a_norm", WeightRole::kQANorm, 8);
  latent.kv_a_proj = linear(p + "kv_a_proj", WeightRole::kKvAProj, 8, 8);
  latent.kv_a_norm = norm(p + "kv_a_norm", WeightRole::kKvANorm, 8);
  latent.k_rope_proj = linear(p + "k_rope_proj", WeightRole::kKRopeProj, 4, 8);
  latent.rope_dim = 4;
  latent.value_dim = 6;
  attention.latent = latent;
  attention.head_dim = 8;
  attention.num_attention_heads = attention.num_key_value_heads = 2;
  attention.q_proj.weight = Binding::concat_rows({attention.q_proj.weight, attention.q_proj.weight});
  attention.k_proj.weight = attention.o_proj.weight;
  attention.v_proj.weight = spec.layers[0].mlp.up_proj.weight;
  attention.o_proj.weight = spec.layers[0].mlp.down_proj.weight;
  const std::string text = print(lower(spec).graph);
  for (const char* line : {"/layers.0/self_attn/key: /layers.0/self_attn/key/output = "
                           "JoinHeads(/layers.0/self_attn/k_rope_proj/output, "
                           "/layers.0/self_attn/k_proj/output, heads=2, shared=4, own=4)",
                           "/layers.0/self_attn/value: /layers.0/self_attn/value/output = "
                           "ResizeHeads(/layers.0/self_attn/v_proj/output, heads=2, from=6, to=8)",
                           "/layers.0/self_attn/value_part: /layers.0/self_attn/value_part/output = "
                           "ResizeHeads(/layers.0/self_attn/attention/output, heads=2, from=8, to=6)"}) {
    EXPECT_NE(text.find(line), std::string::npos) << text;
  }
  EXPECT_NE(text.find("q_proj/output = Linear(/layers.0/self_attn/q_a_norm/output"), std::string::npos)
      << text;
}

TEST_F(LowerTest, AShortConvolutionStandsInThePlaceOfAttention) {
  DecoderSpec spec = decoder(ResidualKind::kPre, 2);
  ShortConvSpec conv;
  conv.in_proj = linear("layers.0.conv.in_proj", WeightRole::kConvInProj, 12, 8);
  conv.in_proj.weight = Binding::concat_rows({conv.in_proj.weight, conv.in_proj.weight});
  conv.kernel = Binding::constant(24, 0.5F);
  conv.out_proj = linear("layers.0.conv.out_proj", WeightRole::kConvOutProj, 8, 8);
  conv.taps = 3;
  spec.layers[0].short_conv = conv;
  const std::string text = print(lower(spec).graph);
  EXPECT_NE(text.find("/layers.0/conv/short_conv/output = ShortConv(/layers.0/conv/in_proj/output, "
                      "kernel=layers.0.conv.kernel[24], taps=3, layer=0)"),
            std::string::npos)
      << text;
  EXPECT_EQ(text.find("layers.0/self_attn"), std::string::npos) << text;
  EXPECT_NE(text.find("layers.1/self_attn/attention"), std::string::npos) << text;
}

TEST_F(LowerTest, LinearAttentionIsARuleBetweenGates) {
  // One key head and two value heads of 4 channels.
  DecoderSpec spec = decoder(ResidualKind::kPre);
  const std::string p = "layers.0.linear_attn.";
  GatedDeltaSpec delta;
  delta.qkv_proj = linear(p + "qkv_proj", WeightRole::kLinearQkvProj, 8, 8);
  delta.qkv_proj.weight = Binding::concat_rows({delta.qkv_proj.weight, delta.qkv_proj.weight});
  delta.z_proj = linear(p + "z_proj", WeightRole::kLinearZProj, 8, 8);
  delta.a_proj = linear(p + "a_proj", WeightRole::kLinearAProj, 4, 8);
  delta.a_proj.weight = delta.a_proj.weight.gather_rows({{0, 2, 1}});
  delta.a_proj.bias = Binding::constant(2, 1);
  delta.b_proj = linear(p + "b_proj", WeightRole::kLinearBProj, 4, 8);
  delta.b_proj.weight = delta.a_proj.weight;
  delta.kernel = Binding::constant(64, 1);
  delta.decay = Binding::constant(2, -1);
  delta.norm = norm(p + "norm", WeightRole::kLinearNorm, 4);
  delta.out_proj = linear(p + "out_proj", WeightRole::kLinearOutProj, 8, 8);
  delta.num_key_heads = 1;
  delta.num_value_heads = 2;
  delta.key_dim = delta.value_dim = delta.taps = 4;
  spec.layers[0].gated_delta = delta;
  const std::string text = print(lower(spec).graph);
  for (const char* line :
       {"/layers.0/linear_attn/a_proj/softplus/output = Unary(/layers.0/linear_attn/a_proj/output, softplus)",
        "/layers.0/linear_attn/b_proj/sigmoid/output = Unary(/layers.0/linear_attn/b_proj/output, sigmoid)",
        "/layers.0/linear_attn/rule/output = GatedDelta(/layers.0/linear_attn/qkv_proj/output, "
        "/layers.0/linear_attn/decay/output, /layers.0/linear_attn/b_proj/sigmoid/output, "
        "kernel=layers.0.linear_attn.kernel[64], heads=2/1, key_dim=4, value_dim=4, taps=4, layer=0)",
        "GatedUnit(/layers.0/linear_attn/z_proj/output, /layers.0/linear_attn/norm/output, silu)"})
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
}

TEST_F(LowerTest, AnOutputGateMultipliesWhatOProjReads) {
  DecoderSpec spec = decoder(ResidualKind::kPre);
  spec.layers[0].attention.gate_proj = linear("layers.0.self_attn.o_gate_proj", WeightRole::kOGateProj, 8, 8);
  const std::string text = print(lower(spec).graph);
  EXPECT_NE(
      text.find("/layers.0/self_attn/output_gate/output = Multiply(/layers.0/self_attn/attention/output, "
                "/layers.0/self_attn/o_gate_proj/sigmoid/output)"),
      std::string::npos)
      << text;
  EXPECT_NE(text.find("o_proj/output = Linear(/layers.0/self_attn/output_gate/output"), std::string::npos)
      << text;
}

TEST_F(LowerTest, LimitsStandBehindTheProjectionsAndNormsMayFollowTheRotation) {
  DecoderSpec spec = decoder(ResidualKind::kPre);
  AttentionSpec& attention = spec.layers[0].attention;
  attention.clip_qkv = 8;
  attention.q_norm = norm("layers.0.self_attn.q_norm", WeightRole::kQNorm, 4);
  attention.qk_norm_after_rope = true;
  const std::string text = print(lower(spec).graph);
  for (const char* line :
       {"/layers.0/self_attn/v_clip/output = Clamp(/layers.0/self_attn/v_proj/output, limit=8)\n",
        "Rope(/layers.0/self_attn/q_clip/output, /layers.0/self_attn/k_clip/output, ",
        "/layers.0/self_attn/q_norm/output = Norm(/layers.0/self_attn/rotary/q, ",
        "Attention(/layers.0/self_attn/q_norm/output, /layers.0/self_attn/rotary/k, "
        "/layers.0/self_attn/v_clip/output, "})
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
}

TEST_F(LowerTest, SubNormsStandInFrontOfTheOutputProjections) {
  DecoderSpec spec = decoder(ResidualKind::kPre);
  LayerSpec& layer = spec.layers[0];
  layer.attention.sub_norm = norm("layers.0.self_attn.sub_norm", WeightRole::kAttentionSubNorm, 8);
  layer.mlp.sub_norm = norm("layers.0.mlp.sub_norm", WeightRole::kMlpSubNorm, 12);
  layer.attention.logit_softcap = 50;
  const std::string text = print(lower(spec).graph);
  for (const char* line :
       {"Linear(/layers.0/self_attn/sub_norm/output, ", "Linear(/layers.0/mlp/sub_norm/output, ",
        "Norm(/layers.0/mlp/act/output, ", "softcap=50"})
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
}

TEST_F(LowerTest, XieluHasItsThreeNumbersAsWeights) {
  DecoderSpec spec = decoder(ResidualKind::kPre);
  MlpSpec& mlp = spec.layers[0].mlp;
  mlp.kind = MlpKind::kPlain;
  mlp.activation = Activation::kXielu;
  mlp.xielu = XieluSpec{Binding::constant(1, 0.5F), Binding::constant(1, -0.5F), Binding::constant(1, 0.5F)};
  const std::string text = print(lower(spec).graph);
  EXPECT_NE(text.find("Xielu(/layers.0/mlp/up_proj/output, a=layers.0.mlp.act.a[1], b=layers.0.mlp.act.b[1], "
                      "n=layers.0.mlp.act.n[1])"),
            std::string::npos)
      << text;
}

TEST_F(LowerTest, ALayerThatSharesKeysAndValuesReadsThoseOfAnother) {
  DecoderSpec spec = decoder(ResidualKind::kPre, 2);
  spec.layers[0].attention.v_norm = norm("layers.0.self_attn.v_norm", WeightRole::kKNorm, 4);
  AttentionSpec& second = spec.layers[1].attention;
  second.kv_source = 0;
  second.k_proj = second.v_proj = {};
  second.k_norm.reset();
  const std::string text = print(lower(spec).graph);
  EXPECT_NE(text.find("Attention(/layers.1/self_attn/rotary/q, /layers.1/self_attn/rotary/k, "
                      "/layers.0/self_attn/v_norm/output"),
            std::string::npos)
      << text;
  EXPECT_EQ(text.find("layers.1.self_attn.k_proj"), std::string::npos) << text;
}

// A part of 4 channels for each layer and no streams: the layer adds what it makes of its part.
TEST_F(LowerTest, APerLayerEmbeddingIsAddedAtTheEndOfALayer) {
  DecoderSpec spec = decoder(ResidualKind::kPre, 2);
  PerLayerEmbeddingSpec own;
  own.size = 4;
  own.table_scale = 2;
  own.table = linear("", WeightRole::kPerLayerEmbedding, 10, 8).weight;
  own.projection = linear("per_layer_model_projection", WeightRole::kPerLayerModelProjection, 8, 8);
  own.projection_norm = norm("per_layer_projection_norm", WeightRole::kPerLayerProjectionNorm, 4);
  spec.per_layer_embedding = own;
  PerLayerInputSpec input;
  input.gate = linear("layers.1.per_layer_input_gate", WeightRole::kPerLayerInputGate, 4, 8);
  input.projection = linear("layers.1.per_layer_projection", WeightRole::kPerLayerProjection, 4, 8);
  input.projection.weight = Binding::concat_cols(
      {Binding::constant(8, 1), Binding::constant(8, 1), Binding::constant(8, 1), Binding::constant(8, 1)});
  input.norm = norm("layers.1.post_per_layer_input_norm", WeightRole::kPostPerLayerInputNorm, 8);
  spec.layers[1].per_layer_input = input;
  const std::string text = print(lower(spec).graph);
  for (const char* line :
       {"/per_layer_embedding/output = TokenEmbedding(table=per_layer_embedding.weight[10, 8])",
        "/per_layer_embedding/sum/output = Add(/per_layer_projection_norm/output, "
        "/per_layer_embedding/scale/output)",
        "/layers.1/per_layer_input/part/output = SliceChannels(/per_layer_embedding/sum/output, "
        "channels=4..8)",
        "/layers.1/per_layer_residual/output = Add(/layers.1/mlp_residual/output, "
        "/layers.1/post_per_layer_input_norm/output)"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
  }
  EXPECT_EQ(text.find("/layers.0/per_layer"), std::string::npos) << text;
}

TEST_F(LowerTest, WeightsCarryRoleAndKind) {
  const Lowered lowered = lower(decoder(ResidualKind::kPre));
  ASSERT_EQ(lowered.weights.size(), lowered.graph.weights.size());
  for (std::size_t i = 0; i < lowered.weights.size(); ++i) {
    EXPECT_EQ(lowered.weights[i].is_matrix, lowered.graph.weights[i].shape.size() == 2);
    EXPECT_EQ(lowered.weights[i].binding.rows(), lowered.graph.weights[i].shape[0]);
  }
  EXPECT_EQ(lowered.weights.back().role, WeightRole::kLmHead);
}

TEST_F(LowerTest, NormsThatDoNotFitTheResidualAreAFault) {
  DecoderSpec spec = decoder(ResidualKind::kPre);
  spec.layers[0].residual = ResidualKind::kSandwich;
  EXPECT_THROW(lower(spec), Error);
}

TEST(RopeTablePositions, AreFourTimesTheContextWithinBounds) {
  EXPECT_EQ(rope_table_positions(0), 32768);
  EXPECT_EQ(rope_table_positions(8192), 32768);
  EXPECT_EQ(rope_table_positions(8193), 4 * 8193);
  EXPECT_EQ(rope_table_positions(1 << 22), 1 << 24);
  EXPECT_EQ(rope_table_positions(INT64_MAX), 1 << 24);
}

}  // namespace
}  // namespace llm2mnn
