#include <algorithm>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <set>

#include "formats/mnn/test_graph.h"
#include "mnn_generated.h"

namespace llm2mnn::mnn {
namespace {

using testing::ones;
using testing::schemes_of;
using testing::tiny_graph;
using testing::TinyOptions;

/// A written graph, its layout and the parsed root.
struct Written {
  ir::Graph graph;
  WeightFileLayout layout;
  std::vector<std::byte> bytes;
  const fb::Net& net() const { return *flatbuffers::GetRoot<fb::Net>(bytes.data()); }
  const fb::Op* op(std::string_view output) const {
    for (const fb::Op* op : *net().oplists())
      for (const int id : *op->outputIndexes())
        if (net().tensorName()->Get(static_cast<flatbuffers::uoffset_t>(id))->string_view() == output)
          return op;
    ADD_FAILURE() << "no op makes " << output;
    return nullptr;
  }
};

Written write(const TinyOptions& options, GraphForm form, int bits = 4, bool symmetric = false,
              ScaleType scale_type = ScaleType::kF16) {
  Written w;
  w.graph = tiny_graph(options);
  const std::int64_t group_size = options.head_dim % 4 == 0 ? 16 : 8;  // divides 4 * head_dim
  w.layout = lay_out(w.graph, schemes_of(w.graph, bits, group_size, symmetric, scale_type), form);
  w.bytes = write_graph(w.graph, w.layout, form, ones(w.graph));
  return w;
}

std::vector<TinyOptions> variants() {
  std::vector<TinyOptions> all(13);
  all[1].has_bias = true;
  all[1].num_layers = 2;
  all[2].has_rope = false;
  all[2].has_positions = true;
  all[3].has_qk_norm = false;
  all[3].activation = ir::UnaryKind::kGeluTanh;
  all[4].mask = ir::MaskKind::kSliding;
  all[5].rms = false;
  all[6].hidden_size = 48;
  all[6].head_dim = 6;  // 24 channels of attention do not fill packs
  all[7].has_head_weights = true;
  for (std::size_t i = 8; i < 11; ++i)
    all[i].num_experts = 6;
  all[8].has_bias = true;
  all[8].num_layers = 2;
  all[9].router = ir::RouterKind::kSigmoid;
  all[9].has_groups = true;
  all[10].router = ir::RouterKind::kSparsemixer;
  all[11].has_clip = all[11].norms_after_rope = true;
  all[12].has_xielu = true;
  return all;
}

class WrittenGraph : public ::testing::TestWithParam<GraphForm> {};
INSTANTIATE_TEST_SUITE_P(BothForms, WrittenGraph, ::testing::Values(GraphForm::kPacked, GraphForm::kCompat),
                         [](const auto& test) {
                           return std::string(test.param == GraphForm::kPacked ? "Packed" : "Compat");
                         });

TEST_P(WrittenGraph, PassesTheVerifier) {
  for (const TinyOptions& options : variants()) {
    const Written w = write(options, GetParam());
    // The runtime's own limits: depth 64, a million tables.
    flatbuffers::Verifier verifier(reinterpret_cast<const std::uint8_t*>(w.bytes.data()), w.bytes.size(), 64,
                                   1000000);
    EXPECT_TRUE(verifier.VerifyBuffer<fb::Net>(nullptr));
  }
}

TEST_P(WrittenGraph, IsTopologicalWithUniqueNames) {
  for (const TinyOptions& options : variants()) {
    const Written w = write(options, GetParam());
    std::set<std::string> tensor_names, op_names;
    for (const auto* name : *w.net().tensorName())
      EXPECT_TRUE(tensor_names.insert(name->str()).second);
    EXPECT_EQ(w.net().tensorNumber(), static_cast<int>(tensor_names.size()));
    std::set<int> made;
    for (const fb::Op* op : *w.net().oplists()) {
      EXPECT_TRUE(op_names.insert(op->name()->str()).second) << op->name()->str();
      if (op->inputIndexes() != nullptr) {
        for (const int id : *op->inputIndexes()) {
          EXPECT_TRUE(made.contains(id)) << op->name()->str();
        }
      }
      for (const int id : *op->outputIndexes())
        EXPECT_TRUE(made.insert(id).second);
    }
    EXPECT_EQ(made.size(), tensor_names.size());
  }
}

TEST_P(WrittenGraph, HasTheEnginesInputsAndOutputs) {
  const Written w = write({}, GetParam());
  const auto check = [&w](const char* name, std::vector<int> dims, fb::DataType dtype) {
    const fb::Input* input = w.op(name)->main_as_Input();
    ASSERT_NE(input, nullptr);
    EXPECT_EQ(std::vector<int>(input->dims()->begin(), input->dims()->end()), dims);
    EXPECT_EQ(input->dtype(), dtype);
    EXPECT_EQ(input->dformat(), fb::DataFormat::NCHW);
  };
  check("input_ids", {-1, 1, 16}, fb::DataType::FLOAT);
  check("attention_mask", {1, 1, -1, -1}, fb::DataType::FLOAT);
  check("position_ids", {1, -1}, fb::DataType::INT32);
  check("logits_index", {1}, fb::DataType::INT32);
  ASSERT_EQ(w.net().outputName()->size(), 2u);
  EXPECT_EQ(w.net().outputName()->Get(0)->str(), "logits");
  EXPECT_EQ(w.net().outputName()->Get(1)->str(), "hidden_states");
  EXPECT_NE(w.op("logits"), nullptr);
  EXPECT_NE(w.op("hidden_states"), nullptr);
}

/// Every external span of the graph: [offset, sizes...].
std::vector<std::pair<std::uint64_t, std::uint64_t>> externals(const fb::Net& net) {
  std::vector<const fb::Op*> ops(net.oplists()->begin(), net.oplists()->end());
  if (net.subgraphs() != nullptr)
    for (const fb::SubGraphProto* graph : *net.subgraphs())
      ops.insert(ops.end(), graph->nodes()->begin(), graph->nodes()->end());
  std::vector<std::pair<std::uint64_t, std::uint64_t>> spans;
  for (const fb::Op* op : ops) {
    const flatbuffers::Vector<std::int64_t>* external = nullptr;
    if (const auto* conv = op->main_as_Convolution2D()) external = conv->external();
    if (const auto* norm = op->main_as_LayerNorm()) external = norm->external();
    if (const auto* blob = op->main_as_Blob()) external = blob->external();
    if (external == nullptr) continue;
    std::uint64_t bytes = 0;
    for (flatbuffers::uoffset_t i = 1; i < external->size(); ++i)
      bytes += static_cast<std::uint64_t>(external->Get(i));
    spans.emplace_back(external->Get(0), static_cast<std::uint64_t>(external->Get(0)) + bytes);
  }
  std::sort(spans.begin(), spans.end());
  return spans;
}

TEST_P(WrittenGraph, ExternalsCoverTheWeightFileExactly) {
  for (const TinyOptions& options : variants())
    for (const int bits : {4, 8, 16, 32}) {
      const Written w = write(options, GetParam(), bits);
      std::uint64_t end = 0;
      for (const auto& [first, last] : externals(w.net())) {
        EXPECT_EQ(first, end);
        end = last;
      }
      EXPECT_EQ(end, w.layout.total_bytes);
    }
}

TEST_P(WrittenGraph, QuantisedConvolutionStatesItsStorage) {
  const Written w = write({}, GetParam(), 4);
  const auto* conv = w.op("/layers.0/down_proj/output/packed")->main_as_Convolution2D();
  ASSERT_NE(conv, nullptr);
  EXPECT_EQ(conv->common()->inputCount(), 32);
  EXPECT_EQ(conv->common()->outputCount(), 16);
  const fb::IDSTQuan* quan = conv->quanParameter();
  ASSERT_NE(quan, nullptr);
  EXPECT_EQ(quan->type(), 1);
  EXPECT_EQ(quan->quantScale(), 1.0F);
  EXPECT_EQ(quan->aMaxOrBits(), 4);
  EXPECT_EQ(quan->aMin(), 1);
  EXPECT_EQ(quan->readType(), 16 * 2);
  EXPECT_FALSE(quan->shapeInt32());
  EXPECT_EQ(quan->scaleStorage(), fb::ScaleStorage::FP16);
  EXPECT_EQ(quan->scaleIn(), 0.0F);
  EXPECT_EQ(conv->external()->size(), 5u);
}

TEST_P(WrittenGraph, SymmetricStorageHasNoOffsets) {
  const Written w = write({}, GetParam(), 8, true, ScaleType::kF32);
  const auto* quan = w.op("/layers.0/down_proj/output/packed")->main_as_Convolution2D()->quanParameter();
  EXPECT_EQ(quan->readType(), 0);
  EXPECT_EQ(quan->aMin(), 0);
  EXPECT_EQ(quan->scaleStorage(), fb::ScaleStorage::FP32);
}

TEST_P(WrittenGraph, FloatConvolutionsHaveTheirOwnForms) {
  const Written half = write({}, GetParam(), 16);
  const auto* conv = half.op("/lm_head/output/packed")->main_as_Convolution2D();
  EXPECT_EQ(conv->quanParameter()->type(), 3);
  EXPECT_EQ(conv->external()->size(), 5u);
  const Written full = write({}, GetParam(), 32);
  conv = full.op("/lm_head/output/packed")->main_as_Convolution2D();
  EXPECT_EQ(conv->quanParameter(), nullptr);
  EXPECT_EQ(conv->external()->size(), 3u);
  EXPECT_EQ(conv->external()->Get(2), 20 * 4);
}

TEST(PackedGraph, HeadNormsAreInlineInTheRope) {
  const Written w = write({}, GraphForm::kPacked);
  const auto* rope = w.op("/layers.0/rope/q/heads")->main_as_RoPEParam();
  ASSERT_NE(rope, nullptr);
  ASSERT_NE(rope->q_norm(), nullptr);
  EXPECT_EQ(rope->q_norm()->gamma()->size(), 4u);
  EXPECT_TRUE(rope->k_norm()->useRMSNorm());
  EXPECT_EQ(rope->num_head(), 4);
  EXPECT_EQ(rope->kv_num_head(), 2);
}

TEST(PackedGraph, PackedNormsSayTheirFormat) {
  const Written w = write({}, GraphForm::kPacked);
  int packed_norms = 0;
  for (const fb::Op* op : *w.net().oplists())
    if (op->type() == fb::OpType::LayerNorm) {
      EXPECT_EQ(op->defaultDimentionFormat(), fb::DataFormat::NC4HW4);
      ++packed_norms;
    }
  EXPECT_EQ(packed_norms, 3);
}

TEST(PackedGraph, MultipliesUpByTheActivatedGate) {
  const Written w = write({}, GraphForm::kPacked);
  const fb::Op* op = w.op("/layers.0/act/output/packed");
  EXPECT_EQ(op->main_as_BinaryOp()->opType(), fb::BinaryKind::MUL_SILU);
  const auto input = [&](unsigned i) {
    return w.net().tensorName()->Get(static_cast<unsigned>(op->inputIndexes()->Get(i)))->str();
  };
  EXPECT_EQ(input(0), "/layers.0/up_proj/output/packed");
  EXPECT_EQ(input(1), "/layers.0/gate_proj/output/packed");
}

TEST(SlidingGraph, EveryLayerReadsAPlaneOfTheMask) {
  TinyOptions options;
  options.mask = ir::MaskKind::kSliding;
  for (const GraphForm form : {GraphForm::kPacked, GraphForm::kCompat}) {
    const Written w = write(options, form);
    const fb::Op* gather = w.op("/mask/sliding");
    ASSERT_NE(gather, nullptr);
    const int index = gather->inputIndexes()->Get(1);
    const std::string name = w.net().tensorName()->Get(static_cast<unsigned>(index))->str();
    EXPECT_EQ(w.op(name)->main_as_Blob()->int32s()->Get(0), 1);
  }
}

TEST(SinksGraph, TheAttentionOpsFifthInputHoldsThem) {
  TinyOptions options;
  options.has_sinks = true;
  for (const GraphForm form : {GraphForm::kPacked, GraphForm::kCompat}) {
    const Written w = write(options, form);
    const fb::Op* sinks = w.op("/layers.0/attention/sinks");
    ASSERT_NE(sinks, nullptr);
    EXPECT_EQ(sinks->main_as_Blob()->dims()->Get(0), 4);
    EXPECT_EQ(sinks->main_as_Blob()->external()->Get(1), 16);
    int found = 0;
    for (const fb::Op* op : *w.net().oplists()) {
      if (op->type() != fb::OpType::Attention) continue;
      ASSERT_EQ(op->inputIndexes()->size(), 5U);
      EXPECT_EQ(op->inputIndexes()->Get(4), sinks->outputIndexes()->Get(0));
      ++found;
    }
    EXPECT_EQ(found, 1);
  }
}

std::string op_list(const Written& w) {
  std::string text;
  for (const fb::Op* op : *w.net().oplists())
    if (op->type() != fb::OpType::Const && op->type() != fb::OpType::Input)
      text += fmt::format("{} {}\n", fb::EnumNameOpType(op->type()), op->name()->str());
  return text;
}

/// The rotary part, the same in both forms up to its last ops.
const std::string kRotaryOps =
    "Reshape /positions.0/flat\n"
    "BinaryOp /positions.0/least\n"
    "BinaryOp /positions.0/clamped\n"
    "BinaryOp /positions.0/high\n"
    "BinaryOp /positions.0/base\n"
    "BinaryOp /positions.0/low\n"
    "GatherV2 /rotary/cos_high\n"
    "GatherV2 /rotary/sin_high\n"
    "GatherV2 /rotary/cos_low\n"
    "GatherV2 /rotary/sin_low\n"
    "BinaryOp /rotary/cos_cos\n"
    "BinaryOp /rotary/sin_sin\n"
    "BinaryOp /rotary/cos_half\n"
    "BinaryOp /rotary/sin_cos\n"
    "BinaryOp /rotary/cos_sin\n"
    "BinaryOp /rotary/sin_half\n";

TEST(PackedGraph, OpListOfALayer) {
  EXPECT_EQ(op_list(write({}, GraphForm::kPacked)), "Reshape /embed_tokens/plain\n" + kRotaryOps +
                                                        "Concat /rotary/cos/plain\n"
                                                        "Concat /rotary/sin/plain\n"
                                                        "Reshape /embed_tokens/rows\n"
                                                        "ConvertTensor /embed_tokens/packed\n"
                                                        "LayerNorm /layers.0/input_norm/output/packed\n"
                                                        "Convolution /layers.0/q_proj/output/packed\n"
                                                        "Convolution /layers.0/k_proj/output/packed\n"
                                                        "Convolution /layers.0/v_proj/output/packed\n"
                                                        "RoPE /layers.0/rope\n"
                                                        "Attention /layers.0/attention/output/packed\n"
                                                        "Convolution /layers.0/o_proj/output/packed\n"
                                                        "LayerNorm /layers.0/mlp_norm\n"
                                                        "Convolution /layers.0/gate_proj/output/packed\n"
                                                        "Convolution /layers.0/up_proj/output/packed\n"
                                                        "BinaryOp /layers.0/act/output/packed\n"
                                                        "Convolution /layers.0/down_proj/output/packed\n"
                                                        "BinaryOp /layers.0/mlp_residual/output/packed\n"
                                                        "StridedSlice /last/packed\n"
                                                        "LayerNorm hidden_states\n"
                                                        "Convolution /lm_head/output/packed\n"
                                                        "ConvertTensor /lm_head/output/unpacked\n"
                                                        "Reshape logits\n");
}

TEST(CompatGraph, OpListOfALayer) {
  EXPECT_EQ(op_list(write({}, GraphForm::kCompat)), "Reshape /embed_tokens/plain\n" + kRotaryOps +
                                                        "UnaryOp /rotary/minus_sin\n"
                                                        "Concat /rotary/cos_row\n"
                                                        "Concat /rotary/sin_row\n"
                                                        "Reshape /rotary/cos/heads\n"
                                                        "Reshape /rotary/sin/heads\n"
                                                        "LayerNorm /layers.0/input_norm/output/plain\n"
                                                        "Reshape /layers.0/input_norm/output/rows\n"
                                                        "ConvertTensor /layers.0/input_norm/output/packed\n"
                                                        "Convolution /layers.0/q_proj/output/packed\n"
                                                        "Convolution /layers.0/k_proj/output/packed\n"
                                                        "Convolution /layers.0/v_proj/output/packed\n"
                                                        "ConvertTensor /layers.0/q_proj/output/unpacked\n"
                                                        "Reshape /layers.0/q_proj/output/heads\n"
                                                        "LayerNorm /layers.0/q_norm/output/heads\n"
                                                        "ConvertTensor /layers.0/k_proj/output/unpacked\n"
                                                        "Reshape /layers.0/k_proj/output/heads\n"
                                                        "LayerNorm /layers.0/k_norm/output/heads\n"
                                                        "Slice /layers.0/rope/q/halves\n"
                                                        "Concat /layers.0/rope/q/swapped\n"
                                                        "BinaryOp /layers.0/rope/q/along\n"
                                                        "BinaryOp /layers.0/rope/q/across\n"
                                                        "BinaryOp /layers.0/rope/q/heads\n"
                                                        "Slice /layers.0/rope/k/halves\n"
                                                        "Concat /layers.0/rope/k/swapped\n"
                                                        "BinaryOp /layers.0/rope/k/along\n"
                                                        "BinaryOp /layers.0/rope/k/across\n"
                                                        "BinaryOp /layers.0/rope/k/heads\n"
                                                        "ConvertTensor /layers.0/v_proj/output/unpacked\n"
                                                        "Reshape /layers.0/v_proj/output/heads\n"
                                                        "Attention /layers.0/attention/output/plain\n"
                                                        "Reshape /layers.0/attention/output/rows\n"
                                                        "ConvertTensor /layers.0/attention/output/packed\n"
                                                        "Convolution /layers.0/o_proj/output/packed\n"
                                                        "ConvertTensor /layers.0/o_proj/output/unpacked\n"
                                                        "Reshape /layers.0/o_proj/output/plain\n"
                                                        "BinaryOp /layers.0/residual/output/plain\n"
                                                        "LayerNorm /layers.0/mlp_norm/output/plain\n"
                                                        "Reshape /layers.0/mlp_norm/output/rows\n"
                                                        "ConvertTensor /layers.0/mlp_norm/output/packed\n"
                                                        "Convolution /layers.0/gate_proj/output/packed\n"
                                                        "Convolution /layers.0/up_proj/output/packed\n"
                                                        "UnaryOp /layers.0/act/gate\n"
                                                        "BinaryOp /layers.0/act/output/packed\n"
                                                        "Convolution /layers.0/down_proj/output/packed\n"
                                                        "ConvertTensor /layers.0/down_proj/output/unpacked\n"
                                                        "Reshape /layers.0/down_proj/output/plain\n"
                                                        "BinaryOp /layers.0/mlp_residual/output/plain\n"
                                                        "StridedSlice /last/plain\n"
                                                        "LayerNorm hidden_states\n"
                                                        "Reshape /norm/output/rows\n"
                                                        "ConvertTensor /norm/output/packed\n"
                                                        "Convolution /lm_head/output/packed\n"
                                                        "ConvertTensor /lm_head/output/unpacked\n"
                                                        "Reshape logits\n");
}

}  // namespace
}  // namespace llm2mnn::mnn
