#include "arch/describe.h"

#include <gtest/gtest.h>

#include "arch/arch_test_util.h"

namespace llm2mnn {
namespace {

using testing::describe;
using testing::family_named;
using testing::llama_like_tensors;
using testing::message_of;

TEST(Describe, Smoke) {
  const JsonValue config = parse_json(testing::kSmallLlama);
  const DecoderSpec spec = describe("llama", config, llama_like_tensors(config));
  EXPECT_EQ(spec.layers.size(), 2u);
}

}  // namespace
}  // namespace llm2mnn
