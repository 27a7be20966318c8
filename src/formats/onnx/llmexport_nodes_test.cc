#include "formats/onnx/llmexport_nodes.h"

#include <gtest/gtest.h>

namespace llm2mnn::onnx {
namespace {

TEST(Reshaped, KeepsRows) {
  EXPECT_EQ(reshaped({kTokens, 1, 64}, {1, -1, 64}), (Dims{1, kTokens, 64}));
  EXPECT_EQ(reshaped({1, kTokens, 64}, {1, kTokens, 4, 16}), (Dims{1, kTokens, 4, 16}));
  EXPECT_EQ(reshaped({1, kTokens, 64}, {0, 0, 4, -1}), (Dims{1, kTokens, 4, 16}));
  EXPECT_EQ(reshaped({1, kTokens, 4, 16}, {1, -1, 64}), (Dims{1, kTokens, 64}));
  EXPECT_EQ(reshaped({1, kTokens}, {-1}), (Dims{kTokens}));
  EXPECT_EQ(reshaped({kTokens, 8}, {kTokens, -1}), (Dims{kTokens, 8}));
}

TEST(Reshaped, RefusesOtherElements) {
  EXPECT_FALSE(reshaped({1, kTokens, 64}, {1, -1, 60}));
  EXPECT_FALSE(reshaped({1, kTokens, 64}, {64, -1}));            // channels in front of T
  EXPECT_FALSE(reshaped({1, kTokens, 64}, {1, kSelected, 64}));  // other rows
  EXPECT_FALSE(reshaped({1, kTokens, 64}, {-1, -1}));
  EXPECT_FALSE(reshaped({1, kTokens, 64}, {1, kTokens, 0, 0}));
  EXPECT_FALSE(reshaped({1, kTokens, 64}, {1, -5, 64}));
  EXPECT_FALSE(reshaped({1, kTokens, 64}, {kTokens, kTokens, 64}));
  EXPECT_FALSE(reshaped({1, kTokens, INT64_MAX}, {1, kTokens, 4, INT64_MAX}));
}

TEST(AxisOf, CountsFromBothEnds) {
  EXPECT_EQ(axis_of(-1, 3), 2u);
  EXPECT_EQ(axis_of(0, 3), 0u);
  EXPECT_FALSE(axis_of(3, 3));
  EXPECT_FALSE(axis_of(-4, 3));
}

}  // namespace
}  // namespace llm2mnn::onnx
