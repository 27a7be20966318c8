#include "base/near_match.h"

#include <gtest/gtest.h>

namespace llm2mnn {
namespace {

TEST(NearMatch, CountsEdits) {
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("q_porj", "q_proj"), 1u);  // neighbours swapped
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

TEST(NearMatch, GivesTheNearestFirst) {
  EXPECT_EQ(near_matches("qwen", {"llama", "qwen2", "qwen23"}),
            (std::vector<std::string>{"qwen2", "qwen23"}));
  EXPECT_TRUE(near_matches("zzz", {"llama"}).empty());
}

TEST(NearMatch, WritesAQuestion) {
  EXPECT_EQ(did_you_mean("lama", {"llama", "lamb"}), "; did you mean 'lamb' or 'llama'?");
  EXPECT_EQ(did_you_mean("x", {"llama"}), "");
}

TEST(NearMatch, ListsAFewNames) {
  EXPECT_EQ(list_names({"a", "b", "c", "d"}), "'a', 'b', 'c' and 1 more");
  EXPECT_EQ(list_names({"a"}), "'a'");
}

}  // namespace
}  // namespace llm2mnn
