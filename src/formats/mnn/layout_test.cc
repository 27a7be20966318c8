#include <algorithm>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "formats/mnn/test_graph.h"

namespace llm2mnn::mnn {
namespace {

using testing::schemes_of;
using testing::tiny_graph;
using testing::TinyOptions;

std::string hex(const std::vector<std::byte>& bytes) {
  std::string text;
  for (const std::byte byte : bytes)
    text += fmt::format("{:02x}", static_cast<unsigned>(byte));
  return text;
}

/// A graph of one linear [rows, cols].
ir::Graph one_linear(std::int64_t rows, std::int64_t cols) {
  ir::Graph graph;
  graph.hidden_size = cols;
  graph.vocab_size = rows;
  graph.input = graph.add_value("/x");
  graph.logits = graph.hidden_states = graph.add_value("/y");
  const ir::WeightId weight = graph.add_weight("lm_head.weight", {rows, cols});
  graph.add_node("/lm_head", ir::Linear{graph.input, graph.logits, weight, {}, cols, rows});
  return graph;
}

LinearBlob blob_of(std::int64_t rows, std::int64_t cols, const QuantScheme& scheme) {
  const ir::Graph graph = one_linear(rows, cols);
  return lay_out(graph, std::vector{scheme}, GraphForm::kPacked).linears.at(0);
}

TEST(Layout, HeaderOfFourBitsIsExact) {
  const LinearBlob blob = blob_of(258, 32, {4, 32, false, ScaleType::kF16});
  EXPECT_EQ(hex(blob.header), "020201200010f8f9fafbfcfdfeff0001020304050607");
  EXPECT_EQ(blob.codes_bytes, 258u * 32u / 2u);
  EXPECT_EQ(blob.alpha_bytes, 258u * 1u * 2u * 2u);
  EXPECT_EQ(blob.bias_bytes, 0u);
}

TEST(Layout, HeaderOfEightBitsCounts256SamplesAsZero) {
  const LinearBlob blob = blob_of(2, 16, {8, 16, true, ScaleType::kF32});
  ASSERT_EQ(blob.header.size(), 262u);
  EXPECT_EQ(hex(blob.header).substr(0, 16), "0202001000008081");
  EXPECT_EQ(blob.alpha_bytes, 2u * 4u);
}

TEST(Layout, HeaderSizesGrowTo32BitsBeyond65535) {
  EXPECT_EQ(blob_of(65535, 16, {4, 16, false, ScaleType::kF16}).header.size(), 22u);
  const LinearBlob blob = blob_of(65536, 16, {4, 16, false, ScaleType::kF16});
  EXPECT_EQ(hex(blob.header), "02000001001000000010f8f9fafbfcfdfeff0001020304050607");
}

TEST(Layout, OddBitStreamsRoundUpToBytes) {
  EXPECT_EQ(blob_of(3, 5, {3, 0, false, ScaleType::kF32}).codes_bytes, 6u);  // 45 bits
  EXPECT_EQ(blob_of(3, 5, {2, 0, false, ScaleType::kF32}).codes_bytes, 4u);  // 30 bits
}

TEST(Layout, SixteenBitsHaveNoHeaderAnd32BitsAlwaysABias) {
  const LinearBlob half = blob_of(6, 4, {16, 0, false, ScaleType::kF16});
  EXPECT_TRUE(half.header.empty());
  EXPECT_EQ(half.codes_bytes, 48u);
  EXPECT_EQ(half.alpha_bytes + half.bias_bytes, 0u);
  const LinearBlob full = blob_of(6, 4, {32, 0, false, ScaleType::kF16});
  EXPECT_TRUE(full.header.empty());
  EXPECT_EQ(full.codes_bytes, 96u);
  EXPECT_EQ(full.alpha_bytes, 0u);
  EXPECT_EQ(full.bias_bytes, 24u);
}

TEST(Layout, MatrixOf2To31WeightsIsRefusedByName) {
  try {
    blob_of(std::int64_t{1} << 21, 1 << 10, {4, 64, false, ScaleType::kF16});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
    EXPECT_NE(error.message().find("'lm_head.weight'"), std::string::npos);
  }
  EXPECT_NO_THROW(blob_of((1 << 21) - 1, 1 << 10, {4, 64, false, ScaleType::kF16}));
}

TEST(Layout, WideHeadNormsStayInTheWeightFile) {
  TinyOptions options;
  options.head_dim = 1024;
  const ir::Graph graph = tiny_graph(options);
  EXPECT_EQ(lay_out(graph, schemes_of(graph, 4), GraphForm::kPacked).norms.size(), 5u);
}

TEST(Layout, TablesOfAbsurdHeadsAreRefused) {
  TinyOptions options;
  options.head_dim = 1026;
  const ir::Graph graph = tiny_graph(options);
  EXPECT_THROW(lay_out(graph, schemes_of(graph, 4), GraphForm::kPacked), Error);
}

using Spans = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

Spans spans_of(const WeightFileLayout& layout) {
  Spans spans;
  for (const LinearBlob& blob : layout.linears)
    spans.emplace_back(blob.offset, blob.end());
  for (const NormBlob& blob : layout.norms)
    spans.emplace_back(blob.offset, blob.end());
  for (const VectorBlob& blob : layout.vectors)
    spans.emplace_back(blob.offset, blob.end());
  for (const ConstBlob& blob : layout.consts)
    spans.emplace_back(blob.offset, blob.end());
  for (const TableBlob& blob : layout.tables)
    spans.emplace_back(blob.offset, blob.offset + blob.bytes());
  std::sort(spans.begin(), spans.end());
  return spans;
}

TEST(Layout, HasNoGapAndNoOverlap) {
  for (const bool has_bias : {false, true})
    for (const GraphForm form : {GraphForm::kPacked, GraphForm::kCompat})
      for (const int bits : {2, 3, 4, 5, 6, 7, 8, 16, 32}) {
        TinyOptions options;
        options.has_bias = options.has_head_weights = has_bias;
        options.has_positions = has_bias;
        const ir::Graph graph = tiny_graph(options);
        const WeightFileLayout layout = lay_out(graph, schemes_of(graph, bits, 16), form);
        EXPECT_EQ(layout.tables.size(), has_bias ? 1u : 0u);
        std::uint64_t end = 0;
        for (const auto& [first, last] : spans_of(layout)) {
          EXPECT_EQ(first, end);
          end = last;
        }
        EXPECT_EQ(layout.total_bytes, end);
      }
}

TEST(Layout, PackedFormKeepsHeadNormsOutOfTheFile) {
  const ir::Graph graph = tiny_graph();
  EXPECT_EQ(lay_out(graph, schemes_of(graph, 4), GraphForm::kPacked).norms.size(), 3u);
  EXPECT_EQ(lay_out(graph, schemes_of(graph, 4), GraphForm::kCompat).norms.size(), 5u);
}

TEST(Layout, HeadNormsThatNoRopeReadsAreStored) {
  TinyOptions options;
  options.has_rope = false;
  const ir::Graph graph = tiny_graph(options);
  EXPECT_EQ(lay_out(graph, schemes_of(graph, 4), GraphForm::kPacked).norms.size(), 5u);
}

TEST(Layout, LinearOfFindsABlobByItsWeight) {
  const ir::Graph graph = tiny_graph();
  const WeightFileLayout layout = lay_out(graph, schemes_of(graph, 4), GraphForm::kPacked);
  const LinearBlob& last = layout.linears.back();
  EXPECT_EQ(&layout.linear_of(last.weight), &last);
  EXPECT_THROW(layout.linear_of(0), Error);  // a norm's weight
}

}  // namespace
}  // namespace llm2mnn::mnn
