#include "checkpoint/weight_index.h"

#include <algorithm>
#include <gtest/gtest.h>

#include "checkpoint/test_support.h"

namespace llm2mnn {
namespace {

WeightIndex parse(const std::string& text) {
  JsonBuffer buffer(text.size());
  std::ranges::copy(std::as_bytes(std::span(text)), buffer.bytes().begin());
  return parse_weight_index(buffer);
}

struct Index {
  const char* name;  // fail_* or pass_*
  std::string text;
  const char* message = "";
};

class WeightIndexText : public testing::TestWithParam<Index> {};

TEST_P(WeightIndexText, IsTakenOrRefusedAsItsNameSays) {
  const Index& test = GetParam();
  const Outcome outcome = outcome_of([&] { parse(test.text); });
  const bool expect_pass = std::string_view(test.name).starts_with("pass_");
  EXPECT_EQ(outcome.refused, !expect_pass) << outcome.message;
  if (expect_pass) return;
  EXPECT_EQ(outcome.kind, ErrorKind::kFormat);
  EXPECT_NE(outcome.message.find(test.message), std::string::npos) << outcome.message;
  expect_one_line(outcome.message);
}

std::string with_shard(const std::string& shard) { return R"({"weight_map":{"t":")" + shard + R"("}})"; }

const Index kIndexes[] = {
    {"pass_plain", R"({"metadata":{"total_size":1},"weight_map":{"a":"x","b":"y","c":"x"}})"},
    {"pass_map_first", R"({"weight_map":{"a":"x"},"metadata":{"weight_map":{"b":[1]},"n":null,"l":[[{}]]}})"},
    {"pass_no_metadata", with_shard("x")},
    {"pass_long_name", with_shard(std::string(255, 'x'))},
    {"fail_empty", "", "empty"},
    {"fail_array", "[]", "expected a JSON object, found an array"},
    {"fail_string", "\"x\"", "expected a JSON object, found a string"},
    {"fail_number", "1", "expected a JSON object, found a number"},
    {"fail_null", "null", "expected a JSON object, found null"},
    {"fail_word", "true", "expected a JSON object, found true or false"},
    {"fail_no_map", R"({"metadata":{"weight_map":{"a":"x"}}})", "'weight_map' is missing"},
    {"fail_empty_map", R"({"weight_map":{}})", "'weight_map' is empty"},
    {"fail_map_twice", R"({"weight_map":{"a":"x"},"weight_map":{"a":"x"}})", "'weight_map' appears twice"},
    {"fail_map_array", R"({"weight_map":["a"]})",
     "must be an object of tensor names and files, found an array"},
    {"fail_map_string", R"({"weight_map":"a"})",
     "must be an object of tensor names and files, found a string"},
    {"fail_map_null", R"({"weight_map":null})", "must be an object of tensor names and files, found null"},
    {"fail_value_null", R"({"weight_map":{"a":null}})",
     "tensor 'a': expected the name of its shard, found null"},
    {"fail_value_number", R"({"weight_map":{"a":1}})",
     "tensor 'a': expected the name of its shard, found a number"},
    {"fail_value_bool", R"({"weight_map":{"a":true}})", "tensor 'a': expected the name of its shard"},
    {"fail_value_array", R"({"weight_map":{"a":["x"]}})", "tensor 'a': expected the name of its shard"},
    {"fail_value_object", R"({"weight_map":{"a":{"b":"x"}}})", "tensor 'a': expected the name of its shard"},
    {"fail_tensor_twice", R"({"weight_map":{"a":"x","b":"x","a":"y"}})", "tensor 'a' appears twice"},
    {"fail_tensor_empty", R"({"weight_map":{"":"x"}})", "empty name"},
    {"fail_shard_empty", with_shard(""), "tensor 't': shard '' is not a plain file name"},
    {"fail_shard_dot", with_shard("."), "shard '.' is not a plain"},
    {"fail_shard_parent", with_shard(".."), "shard '..' is not a plain"},
    {"fail_shard_dots", with_shard("a..b"), "shard 'a..b' is not a plain"},
    {"fail_shard_up", with_shard("../x"), "shard '../x' is not a plain"},
    {"fail_shard_absolute", with_shard("/etc/x"), "shard '/etc/x' is not a plain"},
    {"fail_shard_folder", with_shard("a/b"), "shard 'a/b' is not a plain"},
    {"fail_shard_backslash", with_shard("a\\\\b"), "is not a plain"},
    {"fail_shard_nul", with_shard("a\\u0000b"), "shard 'a\\x00b' is not a plain"},
    {"fail_shard_too_long", with_shard(std::string(256, 'x')), "is not a plain"},
    {"fail_deep", R"({"m":)" + std::string(20, '[') + std::string(20, ']') + "}",
     "nested deeper than the limit of 16"},
};

INSTANTIATE_TEST_SUITE_P(Table, WeightIndexText, testing::ValuesIn(kIndexes),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(WeightIndex, SortsShardsAndTensors) {
  const WeightIndex index = parse(R"({"weight_map":{"c":"y","b":"x","a":"y"}})");
  EXPECT_EQ(index.shards, (std::vector<std::string>{"x", "y"}));
  const std::vector<std::pair<std::string, std::uint32_t>> expected = {{"a", 1}, {"b", 0}, {"c", 1}};
  EXPECT_EQ(index.tensors, expected);
}

}  // namespace
}  // namespace llm2mnn
